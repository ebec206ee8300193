//! The files of a directory and what is asked for -> what each file is to hold (pure).
//!
//! In: texts, objects to put or to remove. Out: [`Plan`]. Never: two files with one object; an object that another one's change breaks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::name::Name;
use super::sections::{Content, Section, removed, replaced, sections};
use crate::manifest;

/// Stands in the last file after its last object is gone: an empty directory is taken for a mistake, and everything would be served on.
const NOTHING_LEFT: &[u8] =
    b"# All manifests have been deleted. Without this file the directory would be empty, which is taken for a mistake.\n";

/// A document that is to be in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Document {
    pub name: Name,
    /// Its text.
    pub text: Arc<[u8]>,
    /// The text of its file, if the file holds nothing else.
    pub whole: Option<Arc<[u8]>>,
    /// The same as JSON, if the text is not the user's own but made of what `get` printed: then only what it means counts.
    pub json: Option<Arc<[u8]>>,
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Outcome {
    /// It was not there.
    Created,
    /// Its text was another.
    Configured,
    /// It is there already, letter by letter; or in other words, if the words are not the user's.
    Unchanged,
}

/// Why it can't be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum Error {
    /// Which of them is meant?
    #[error("{0} is in {1} and in {2}; remove one of them by hand")]
    Twice(Name, String, String),
    /// Its place is taken.
    #[error("{0} is new, and {1} holds something else; rename that file, or add the manifest by hand")]
    Taken(Name, String),
    /// The text around it would not be read as before.
    #[error("{0} can't be changed in {1} without touching what else is there; edit the file by hand")]
    Entangled(Name, String),
    /// YAML does not belong there.
    #[error("{0} is in {1}, which is JSON; give it as JSON, or rename that file")]
    Json(Name, String),
    /// It may be in a place that was not seen.
    #[error("{0} is not found, and {1} {2}")]
    Unseen(Name, String, String),
}

/// Every file, as it is and as it is to be.
#[derive(Debug, Default)]
pub(in crate::cli) struct Plan {
    /// By path relative to the directory.
    files: BTreeMap<String, File>,
    /// Places that were not seen, and why.
    pub unseen: BTreeMap<String, String>,
}

/// A file.
#[derive(Debug, Default)]
struct File {
    /// `None`: not there.
    before: Option<Arc<[u8]>>,
    after: Option<Arc<[u8]>>,
    /// Of `after`.
    sections: Vec<Section>,
}

/// A file that is to change; `None`: to go.
pub(in crate::cli) type Change<'p> = (&'p str, Option<&'p [u8]>);

impl Plan {
    /// A file that is there.
    pub(in crate::cli) fn add(&mut self, file: String, text: Arc<[u8]>) {
        let sections = sections(&text);
        self.files.insert(file, File { before: Some(text.clone()), after: Some(text), sections });
    }

    /// Puts a document in the place of the object that it is, or into a file of its own.
    pub(in crate::cli) fn put(&mut self, document: &Document) -> Result<Outcome, Error> {
        let name = &document.name;
        let Some((file, section)) = self.find(name)? else {
            let file = self.new_file(name)?;
            let text = document.whole.as_ref().unwrap_or(&document.text);
            self.set(&file, Some(ended(text)));
            return Ok(Outcome::Created);
        };
        let old = self.text(&file);
        if document.json.is_some() && object(&old[section.body.clone()]).is_some_and(|old| Some(old) == object(&document.text)) {
            return Ok(Outcome::Unchanged);
        }
        let in_json = Path::new(&file).extension().is_some_and(|extension| extension == "json");
        let text = document.json.as_ref().filter(|_| in_json).unwrap_or(&document.text);
        if in_json && !text.trim_ascii_start().starts_with(b"{") {
            return Err(Error::Json(name.clone(), file));
        }
        let alone = self.something(&file).count() == 1;
        let new = match document.whole.as_ref().filter(|_| alone) {
            Some(whole) => ended(whole),
            None => replaced(&old, &section, text).into(),
        };
        if *new == *old {
            return Ok(Outcome::Unchanged);
        }
        self.change(name, &file, &old, new)?;
        Ok(Outcome::Configured)
    }

    /// Takes an object out. Returns whether it was there.
    pub(in crate::cli) fn remove(&mut self, name: &Name) -> Result<bool, Error> {
        let Some((file, section)) = self.find(name)? else { return Ok(false) };
        let old = self.text(&file);
        let new = removed(&old, &section);
        if sections(&new).iter().any(Section::is_something) {
            self.change(name, &file, &old, new.into())?;
        } else {
            let last = !self.files.iter().any(|(other, text)| *other != file && text.after.is_some());
            self.set(&file, last.then(|| NOTHING_LEFT.into()));
        }
        Ok(true)
    }

    /// The files that are to change.
    pub(in crate::cli) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.files.iter().filter(|(_, file)| file.before != file.after).map(|(name, file)| (name.as_str(), file.after.as_deref()))
    }

    /// The one place where the object is.
    fn find(&self, name: &Name) -> Result<Option<(String, Section)>, Error> {
        let mut found: Option<(String, Section)> = None;
        for (file, text) in &self.files {
            for section in text.sections.iter().filter(|section| section.is(name.kind, &name.name)) {
                if let Some((first, _)) = &found {
                    return Err(Error::Twice(name.clone(), first.clone(), file.clone()));
                }
                found = Some((file.clone(), section.clone()));
            }
        }
        match self.unseen.first_key_value() {
            Some((place, why)) if found.is_none() => Err(Error::Unseen(name.clone(), place.clone(), why.clone())),
            _ => Ok(found),
        }
    }

    /// `NAME.yaml`, or if that is another object's, `NAME.app.yaml`. A file that holds nothing, or nothing that can be read, is taken over.
    fn new_file(&self, name: &Name) -> Result<String, Error> {
        let kind = name.kind.to_string().to_ascii_lowercase();
        let candidates = [format!("{}.yaml", name.name), format!("{}.{kind}.yaml", name.name)];
        let is_free = |file: &String| {
            let mut something = self.something(file);
            match (something.next(), something.next()) {
                (None, _) => true,
                (Some(only), None) => only.content == Content::Unreadable,
                _ => false,
            }
        };
        candidates.iter().find(|file| is_free(file)).cloned().ok_or_else(|| Error::Taken(name.clone(), candidates[1].clone()))
    }

    /// What a file holds but for comments.
    fn something(&self, file: &str) -> impl Iterator<Item = &Section> {
        let sections = self.files.get(file).map(|file| file.sections.as_slice()).unwrap_or_default();
        sections.iter().filter(|section| section.is_something())
    }

    fn set(&mut self, file: &str, text: Option<Arc<[u8]>>) {
        let file = self.files.entry(file.to_owned()).or_default();
        file.sections = text.as_deref().map(sections).unwrap_or_default();
        file.after = text;
    }

    fn text(&self, file: &str) -> Arc<[u8]> {
        self.files.get(file).and_then(|file| file.after.clone()).unwrap_or_default()
    }

    /// Sets a file's text, if what else is in it is read as before.
    fn change(&mut self, name: &Name, file: &str, old: &[u8], new: Arc<[u8]>) -> Result<(), Error> {
        let others = |text: &[u8]| {
            let documents = manifest::parse("", text).documents.into_iter();
            let is_other = |document: &manifest::Document| document.name.as_ref() != Some(&name.name);
            documents.filter(is_other).map(|document| (document.kind, document.name, document.result.ok())).collect::<Vec<_>>()
        };
        let (before, after) = (others(old), others(&new));
        if !before.is_empty() && before != after {
            return Err(Error::Entangled(name.clone(), file.to_owned()));
        }
        self.set(file, Some(new));
        Ok(())
    }
}

/// The one object of a document's text.
fn object(text: &[u8]) -> Option<manifest::Object> {
    manifest::parse("", text).documents.pop()?.result.ok()
}

/// With an end to its last line.
fn ended(text: &Arc<[u8]>) -> Arc<[u8]> {
    if text.ends_with(b"\n") { text.clone() } else { [&**text, b"\n"].concat().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Kind;

    fn app(name: &str, root: &str) -> String {
        format!(
            "# about {name}\napiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec: {{rules: [{{files: {{root: {root}}}}}]}}\n"
        )
    }

    fn plan(files: &[(&str, &str)]) -> Plan {
        let mut plan = Plan::default();
        for (file, text) in files {
            plan.add((*file).to_owned(), text.as_bytes().into());
        }
        plan
    }

    fn name(name: &str) -> Name {
        Name { kind: Kind::App, name: name.to_owned() }
    }

    fn document(of: &str, text: &str) -> Document {
        Document { name: name(of), text: text.as_bytes().into(), whole: Some(text.as_bytes().into()), json: None }
    }

    fn changes(plan: &Plan) -> Vec<(String, Option<String>)> {
        plan.changes().map(|(file, text)| (file.to_owned(), text.map(|text| String::from_utf8(text.to_vec()).unwrap()))).collect()
    }

    #[test]
    fn an_object_is_created_configured_or_unchanged() {
        let mut plan = plan(&[("apps/some.yaml", &app("a", "/one"))]);
        assert_eq!(plan.put(&document("a", &app("a", "/one"))), Ok(Outcome::Unchanged));
        assert_eq!(changes(&plan), []);
        assert_eq!(plan.put(&document("a", &app("a", "/two"))), Ok(Outcome::Configured));
        assert_eq!(plan.put(&document("b", app("b", "/b").trim_end())), Ok(Outcome::Created));
        let expected = [("apps/some.yaml".to_owned(), Some(app("a", "/two"))), ("b.yaml".to_owned(), Some(app("b", "/b")))];
        assert_eq!(changes(&plan), expected);
    }

    #[test]
    fn of_a_file_of_several_only_the_one_is_touched() {
        let both = format!("# both\n---\n{}---\n{}", app("a", "/a"), app("b", "/b"));
        let mut plan = plan(&[("x.yaml", &both)]);
        assert_eq!(plan.put(&document("b", &app("b", "/new"))), Ok(Outcome::Configured));
        assert_eq!(changes(&plan)[0].1, Some(both.replace("root: /b", "root: /new")));
        assert_eq!(plan.remove(&name("a")), Ok(true));
        assert_eq!(changes(&plan)[0].1, Some(format!("# both\n---\n{}", app("b", "/new"))));
        assert_eq!(plan.remove(&name("a")), Ok(false));
    }

    #[test]
    fn the_last_object_of_a_file_takes_the_file_along_but_the_directory_does_not_become_empty() {
        let mut plan = plan(&[("a.yaml", &app("a", "/a")), ("b.yaml", &app("b", "/b"))]);
        assert_eq!((plan.remove(&name("a")), plan.remove(&name("b"))), (Ok(true), Ok(true)));
        let left = String::from_utf8(NOTHING_LEFT.to_vec()).unwrap();
        assert_eq!(changes(&plan), [("a.yaml".to_owned(), None), ("b.yaml".to_owned(), Some(left))]);
        assert_eq!(plan.put(&document("b", &app("b", "/b"))), Ok(Outcome::Created), "the place is free");
        assert_eq!(changes(&plan).len(), 1);
    }

    #[test]
    fn a_broken_file_is_repaired_and_one_of_another_object_is_left_alone() {
        let mut plan =
            plan(&[("a.yaml", "oops: ["), ("b.yaml", &app("other", "/o")), ("c.yaml", &app("c", "/c").replace("rules", "rulse"))]);
        assert_eq!(plan.put(&document("a", &app("a", "/a"))), Ok(Outcome::Created));
        assert_eq!(plan.put(&document("b", &app("b", "/b"))), Ok(Outcome::Created));
        assert_eq!(plan.put(&document("c", &app("c", "/c"))), Ok(Outcome::Configured));
        let files: Vec<_> = changes(&plan).into_iter().map(|(file, _)| file).collect();
        assert_eq!(files, ["a.yaml", "b.app.yaml", "c.yaml"]);
        plan.add("d.yaml".into(), app("x", "/").as_bytes().into());
        plan.add("d.app.yaml".into(), app("y", "/").as_bytes().into());
        assert_eq!(plan.put(&document("d", &app("d", "/"))), Err(Error::Taken(name("d"), "d.app.yaml".to_owned())));
    }

    #[test]
    fn what_is_there_twice_or_may_be_out_of_sight_is_not_guessed() {
        let mut plan = plan(&[("a.yaml", &app("a", "/a")), ("b.yaml", &app("a", "/b"))]);
        let twice = Error::Twice(name("a"), "a.yaml".to_owned(), "b.yaml".to_owned());
        assert_eq!(plan.put(&document("a", &app("a", "/c"))), Err(twice.clone()));
        assert_eq!(plan.remove(&name("a")), Err(twice));
        plan.unseen.insert("sub".into(), "can't be read".into());
        assert!(matches!(plan.put(&document("new", &app("new", "/"))), Err(Error::Unseen(..))));
    }

    #[test]
    fn json_stays_json() {
        let json = r#"{"apiVersion": "lxcproxy.dev/v1", "kind": "App", "metadata": {"name": "a"}, "spec": {"rules": [{}]}}"#;
        let mut plan = plan(&[("a.json", json)]);
        assert_eq!(plan.put(&document("a", &app("a", "/a"))), Err(Error::Json(name("a"), "a.json".to_owned())));
        assert_eq!(plan.put(&document("a", &json.replace("{}", "{\"name\": \"all\"}"))), Ok(Outcome::Configured));
    }

    #[test]
    fn a_change_that_would_break_a_neighbour_is_refused() {
        let text = format!("{}---\n{}", app("a", "/a"), app("b", "/b"));
        let mut plan = plan(&[("x.yaml", &text)]);
        let odd = Document { name: name("a"), text: b"a: [\n"[..].into(), whole: None, json: None };
        assert_eq!(plan.put(&odd), Err(Error::Entangled(name("a"), "x.yaml".to_owned())));
        assert_eq!(changes(&plan), []);
    }
}
