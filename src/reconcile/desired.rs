//! The files of one listing -> what each App should be (pure).
//!
//! In: parsed files, and which file each App came from last. Out: [`Desired`] by name, and what belongs to no App. Never: a decision about
//! what is served.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::refusal::Refusal;
use crate::api::v1::{App, Reason};
use crate::manifest::{Document, Object, Parsed};
use crate::names::AppName;

/// A file of a listing.
#[derive(Debug, Clone)]
pub struct File {
    /// The directory that its relative paths start from.
    pub base: PathBuf,
    /// Its documents, or why it could not be read.
    pub content: Result<Arc<Parsed>, Refusal>,
}

/// What one App should be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The file that says so, relative to the manifest directory.
    pub file: String,
    /// The directory that its relative paths start from.
    pub base: PathBuf,
    /// Where its document starts in the file, counted from 1.
    pub line: u64,
    /// The App, or why its manifest is refused.
    pub app: Result<Arc<App>, Refusal>,
}

/// A manifest that belongs to no App: its name could not be read, or is another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The App's name, or the file's path.
    pub name: String,
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// Everything that a listing says.
#[derive(Debug, Default)]
pub struct Assignment {
    /// Apps by name.
    pub apps: BTreeMap<AppName, Desired>,
    /// What belongs to none.
    pub strays: Vec<Stray>,
}

/// Reads a listing. `owners`: the file that each known App came from last; it keeps the name, and holds the App while it can't be read.
#[must_use]
pub fn assign(files: &BTreeMap<String, File>, owners: &BTreeMap<AppName, String>) -> Assignment {
    let mut claims: BTreeMap<AppName, Vec<Desired>> = BTreeMap::new();
    let mut broken: BTreeMap<&str, Refusal> = BTreeMap::new();
    for (path, file) in files {
        match &file.content {
            Err(refusal) => {
                broken.insert(path, refusal.clone());
            }
            Ok(parsed) => read(path, file, parsed, &mut claims, &mut broken),
        }
    }
    let mut assignment = Assignment::default();
    for (name, claims) in claims {
        settle(name, claims, owners, &mut assignment);
    }
    hold(broken, files, owners, &mut assignment);
    assignment
}

fn read<'a>(
    path: &'a str,
    file: &File,
    parsed: &Parsed,
    claims: &mut BTreeMap<AppName, Vec<Desired>>,
    broken: &mut BTreeMap<&'a str, Refusal>,
) {
    let mut nameless: Vec<_> = parsed.errors.iter().collect();
    for document in &parsed.documents {
        let (name, app) = match &document.result {
            Ok(Object::App(app)) => (app.metadata.name.clone(), Ok(Arc::clone(app))),
            Ok(Object::Gateway(_)) => continue,
            Err(errors) => {
                let Some(name) = app_name(document) else {
                    nameless.extend(errors);
                    continue;
                };
                (name, Err(Refusal::of(errors)))
            }
        };
        claims.entry(name).or_default().push(Desired { file: path.to_owned(), base: file.base.clone(), line: document.line, app });
    }
    if !nameless.is_empty() {
        broken.insert(path, Refusal::of(nameless));
    }
}

/// The name of a document that has errors, if it is an App's.
fn app_name(document: &Document) -> Option<AppName> {
    let is_app = document.kind.is_none_or(|kind| kind == crate::manifest::Kind::App);
    document.name.as_ref().filter(|_| is_app)?.parse().ok()
}

/// One of several manifests has the name: the one that had it before, else the first by path.
fn settle(name: AppName, mut claims: Vec<Desired>, owners: &BTreeMap<AppName, String>, assignment: &mut Assignment) {
    let owner = owners.get(&name).and_then(|file| claims.iter().position(|claim| claim.file == *file)).unwrap_or(0);
    let kept = claims.remove(owner);
    for other in claims {
        let conflict = || {
            let message = format!("`{name}` is the name of the App in {}; the older keeps it", kept.file);
            let refusal = Refusal::one(Reason::NameConflict, (&other.file, other.line), "metadata.name", message);
            refusal.hint("give one of them another name")
        };
        let refusal = other.app.err().unwrap_or_else(conflict);
        assignment.strays.push(Stray { name: name.to_string(), file: other.file, refusal });
    }
    assignment.apps.insert(name, kept);
}

/// A file that can't be read holds the Apps that came from it; one that never held any is a stray.
fn hold(broken: BTreeMap<&str, Refusal>, files: &BTreeMap<String, File>, owners: &BTreeMap<AppName, String>, assignment: &mut Assignment) {
    let mut held = BTreeSet::new();
    for (name, file) in owners {
        if let (Some(refusal), false) = (broken.get(file.as_str()), assignment.apps.contains_key(name)) {
            held.insert(file.as_str());
            let base = files.get(file).map(|file| file.base.clone()).unwrap_or_default();
            assignment.apps.insert(name.clone(), Desired { file: file.clone(), base, line: 1, app: Err(refusal.clone()) });
        }
    }
    for (file, refusal) in broken {
        if !held.contains(file) {
            assignment.strays.push(Stray { name: file.to_owned(), file: file.to_owned(), refusal });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    fn app(name: &str) -> String {
        format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec: {{rules: [{{}}]}}\n")
    }

    fn listing(files: &[(&str, &str)]) -> BTreeMap<String, File> {
        let parsed = |(path, text): &(&str, &str)| {
            let content = Ok(Arc::new(manifest::parse(path, text.as_bytes())));
            ((*path).to_owned(), File { base: PathBuf::from("/etc/lxcproxy.d"), content })
        };
        files.iter().map(parsed).collect()
    }

    fn owners(of: &[(&str, &str)]) -> BTreeMap<AppName, String> {
        of.iter().map(|(name, file)| (name.parse().unwrap(), (*file).to_owned())).collect()
    }

    #[test]
    fn a_file_that_cannot_be_read_holds_the_apps_that_came_from_it() {
        let files = listing(&[("a.yaml", "kind: ["), ("b.yaml", &app("b"))]);
        let assignment = assign(&files, &owners(&[("a", "a.yaml"), ("b", "b.yaml"), ("c", "c.yaml")]));
        assert!(assignment.apps["a"].app.is_err());
        assert!(assignment.apps["b"].app.is_ok());
        assert!(!assignment.apps.contains_key("c"), "its file is gone");
        assert!(assignment.strays.is_empty());
    }

    #[test]
    fn a_broken_file_that_never_held_an_app_is_shown_by_its_path() {
        let assignment = assign(&listing(&[("x.yaml", "kind: [")]), &BTreeMap::new());
        assert_eq!(assignment.strays.len(), 1);
        assert_eq!(assignment.strays[0].name, "x.yaml");
        assert!(assignment.strays[0].refusal.message().starts_with("x.yaml:1:"), "{:?}", assignment.strays[0].refusal);
    }

    #[test]
    fn the_file_that_had_a_name_keeps_it() {
        let files = listing(&[("a.yaml", &app("same")), ("b.yaml", &app("same"))]);
        let assignment = assign(&files, &owners(&[("same", "b.yaml")]));
        assert_eq!(assignment.apps["same"].file, "b.yaml");
        assert_eq!((assignment.strays[0].file.as_str(), assignment.strays[0].refusal.reason), ("a.yaml", Reason::NameConflict));
        assert_eq!(assign(&files, &BTreeMap::new()).apps["same"].file, "a.yaml");
    }

    #[test]
    fn one_bad_document_does_not_touch_the_others_of_its_file() {
        let text = format!("{}---\n{}", app("good"), app("bad").replace("rules", "rulez"));
        let assignment = assign(&listing(&[("a.yaml", &text)]), &BTreeMap::new());
        assert!(assignment.apps["good"].app.is_ok());
        assert_eq!(assignment.apps["bad"].app.as_ref().unwrap_err().reason, Reason::Invalid);
    }
}
