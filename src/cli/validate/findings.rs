//! Manifest files -> what is wrong with each, and how many are good.
//!
//! In: an [`Input`]. Out: [`Findings`]. Never: a comparison of files of two arguments; those may stand for two directories.

use std::collections::HashMap;

use crate::cli::input::{Input, Manifest, Unread};
use crate::cli::{render, warn_user};
use crate::manifest::{self, Document, Kind, Parsed};

/// Which sort of mistake an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Sort {
    /// The file as a whole: encoding, YAML.
    Syntax,
    /// A field of a document.
    Field,
    /// Another document has the name.
    NameConflict,
}

/// An error and its sort.
#[derive(Debug)]
pub(in crate::cli) struct Found {
    pub sort: Sort,
    pub error: manifest::Error,
}

/// What was found, over all files.
#[derive(Debug, Default)]
pub(in crate::cli) struct Findings {
    /// Manifests without an error.
    pub valid: usize,
    /// Manifests with errors, and files that hold none.
    pub invalid: usize,
    /// In the order of the files and of their text.
    pub found: Vec<Found>,
    /// Files and directories that can't be read.
    pub unread: Vec<Unread>,
}

/// Who has a name: the argument, kind and name, and where it is.
type Names = HashMap<(usize, Kind, String), String>;

impl Findings {
    /// As the daemon will read it.
    pub(in crate::cli) fn of(input: &Input) -> Self {
        Self::by(manifest::parse, input)
    }

    /// The same where output of `get` is taken as well.
    pub(in crate::cli) fn of_printed(input: &Input) -> Self {
        Self::by(manifest::parse_printed, input)
    }

    fn by(parse: fn(&str, &[u8]) -> Parsed, input: &Input) -> Self {
        let mut findings = Self { unread: input.unread.clone(), ..Self::default() };
        let mut names = Names::new();
        for manifest in &input.manifests {
            findings.check(manifest, parse(&manifest.file, &manifest.text), &mut names);
        }
        findings
    }

    /// Nothing is wrong.
    pub(in crate::cli) fn all_well(&self) -> bool {
        self.invalid == 0 && self.unread.is_empty()
    }

    /// Every error with its line, on standard error.
    pub(in crate::cli) fn show(&self, styled: bool) {
        for found in &self.found {
            warn_user(&render::render(&found.error, styled));
        }
        for unread in &self.unread {
            warn_user(&format!("error: {unread}"));
        }
    }

    /// Every error on one line.
    pub(in crate::cli) fn lines(&self) -> impl Iterator<Item = String> {
        self.found.iter().map(|found| found.error.to_string()).chain(self.unread.iter().map(ToString::to_string))
    }

    fn check(&mut self, manifest: &Manifest, Parsed { documents, errors }: Parsed, names: &mut Names) {
        self.invalid += usize::from(!errors.is_empty());
        self.found.extend(errors.into_iter().map(|error| Found { sort: Sort::Syntax, error }));
        for document in documents {
            let conflict = taken(manifest, &document, names);
            let good = document.result.is_ok() && conflict.is_none();
            if good {
                self.valid += 1;
            } else {
                self.invalid += 1;
            }
            self.found.extend(document.result.err().into_iter().flatten().map(|error| Found { sort: Sort::Field, error }));
            self.found.extend(conflict.map(|error| Found { sort: Sort::NameConflict, error }));
        }
    }
}

/// What a daemon would call `NameConflict`.
fn taken(manifest: &Manifest, document: &Document, names: &mut Names) -> Option<manifest::Error> {
    let (kind, name) = (document.kind?, document.name.clone()?);
    let Some(first) = names.get(&(manifest.argument, kind, name.clone())) else {
        names.insert((manifest.argument, kind, name), format!("{}:{}", manifest.file, document.name_place().0));
        return None;
    };
    let message = format!("there is another {kind} `{name}` at {first}");
    Some(document.name_error(&manifest.file, &manifest.text, message, "give one of them another name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> String {
        format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  rules: [{{files: {{root: /www}}}}]\n")
    }

    fn check(files: &[(&str, &str)]) -> Findings {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Findings::of(&Input::read(&[dir.path().to_owned()]))
    }

    #[test]
    fn good_manifests_are_counted() {
        let findings = check(&[("a.yaml", &app("a")), ("b.yaml", &format!("{}---\n{}", app("b"), app("c")))]);
        assert_eq!((findings.valid, findings.all_well(), findings.lines().count()), (3, true, 0));
    }

    #[test]
    fn a_bad_manifest_is_named_with_line_and_column() {
        let findings = check(&[("good.yaml", &app("good")), ("bad.yaml", "oops: [")]);
        assert_eq!((findings.valid, findings.invalid, findings.unread.len()), (1, 1, 0));
        assert!(findings.lines().all(|line| line.contains("/bad.yaml:1:")) && findings.found[0].sort == Sort::Syntax);
    }

    #[test]
    fn a_name_that_is_used_twice_is_said_with_both_places() {
        let findings = check(&[("a.yaml", &app("same")), ("b.yaml", &app("same"))]);
        assert_eq!((findings.valid, findings.invalid), (1, 1));
        let line = findings.lines().next().unwrap();
        assert!(line.contains("/b.yaml:3:18: metadata.name: ") && line.contains("/a.yaml:3"), "{line}");
        let other = check(&[("a.yaml", &app("same")), ("b.yaml", &app("same").replace("rules", "rulse"))]);
        assert_eq!(other.found.iter().map(|found| found.sort).collect::<Vec<_>>(), [Sort::Field, Sort::NameConflict]);
    }

    #[test]
    fn two_arguments_may_hold_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a.yaml", "b.yaml"].map(|name| dir.path().join(name));
        for path in &paths {
            std::fs::write(path, app("same")).unwrap();
        }
        assert!(Findings::of(&Input::read(&paths)).all_well());
    }
}
