//! Text of a manifest file -> typed objects, or every error at once.
//!
//! In: bytes and the file's name. Out: [`Parsed`]: per document an [`Object`] or its [`Error`]s, each with line and column.
//! Never: I/O, a clock, a look at what the names refer to; a panic, whatever the bytes are.
//!
//! The stages: `yaml` reads a tree that keeps positions (`node`), `schema` judges its form, `explain` turns what the schema found into
//! sentences, `semantics` checks what fields mean together. The last two run both, so that one look shows all there is to repair.

mod cure;
mod elsewhere;
mod encoding;
mod explain;
mod formats;
mod limits;
mod nearest;
mod node;
mod printed;
mod report;
mod schema;
mod semantics;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod yaml;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use self::node::{Cursor, Node};
use self::report::Report;
pub use self::schema::simplify;
use self::text::{Finding, Spot, Text};
pub use crate::api::v1::Diagnostic as Error;
use crate::api::v1::{API_VERSION, App, Gateway};
use crate::names::{AppName, shown};

/// Their names.
const KINDS: [&str; 2] = ["App", "Gateway"];

/// The kinds of objects there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Kind {
    /// `App`
    App,
    /// `Gateway`
    Gateway,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An object that passed every check of form.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// `kind: App`
    App(Arc<App>),
    /// `kind: Gateway`
    Gateway(Arc<Gateway>),
}

/// One document of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its kind, if that could be read, even when the rest is invalid.
    pub kind: Option<Kind>,
    /// `metadata.name`, if it could be read and is valid, even when the rest is invalid.
    pub name: Option<String>,
    /// Where it starts, counted from 1.
    pub line: u64,
    /// The object, or everything that is wrong with it, in the order of the text.
    pub result: Result<Object, Vec<Error>>,
    /// Where the name stands; where the document starts, if it has none.
    name_at: Spot,
}

impl Document {
    /// Line and column of the name, or of the document's start; counted from 1.
    #[must_use]
    pub fn name_place(&self) -> (u64, u64) {
        (self.name_at.line, self.name_at.column)
    }

    /// Something is wrong with the name that only those know who see other files as well. `text`: what the document was read from.
    #[must_use]
    pub fn name_error(&self, file: &str, text: &[u8], message: String, hint: &str) -> Error {
        let field = "metadata.name".to_owned();
        Text::new(file, text).error(self.name_at, Finding { field, message, hint: Some(hint.to_owned()), unsupported: false })
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// In the order of the text; empty if the file as a whole can't be read.
    pub documents: Vec<Document>,
    /// Of the file as a whole: size, encoding, YAML syntax, emptiness.
    pub errors: Vec<Error>,
}

impl Parsed {
    /// Everything that is wrong, first the file's, then each document's.
    pub fn errors(&self) -> impl Iterator<Item = &Error> {
        self.errors.iter().chain(self.documents.iter().filter_map(|document| document.result.as_ref().err()).flatten())
    }
}

/// Reads a file's text. One bad document does not spoil the others; bad YAML spoils the file.
#[must_use]
pub fn parse(file: &str, text: &[u8]) -> Parsed {
    let text = Text::new(file, text);
    match yaml::read(&text) {
        Ok(nodes) => Parsed { documents: nodes.iter().map(|node| document(&text, node)).collect(), errors: Vec::new() },
        Err(errors) => Parsed { documents: Vec::new(), errors },
    }
}

/// The same for text that people pass on from `get -o yaml` or `get -o json`: what only the daemon sets is left out, and a list is its objects.
#[must_use]
pub fn parse_printed(file: &str, text: &[u8]) -> Parsed {
    let text = Text::new(file, text);
    match yaml::read(&text).map(printed::undo) {
        Ok((nodes, _)) => Parsed { documents: nodes.iter().map(|node| document(&text, node)).collect(), errors: Vec::new() },
        Err(errors) => Parsed { documents: Vec::new(), errors },
    }
}

/// The objects of such a text as they would be written by hand; `None`: it is written by hand, or can't be read.
#[must_use]
pub fn unprinted(text: &[u8]) -> Option<Vec<serde_json::Value>> {
    let (nodes, printed) = printed::undo(yaml::read(&Text::new("", text)).ok()?);
    printed.then(|| nodes.iter().map(Node::to_value).collect())
}

/// The JSON Schema (draft 2020-12) of a kind, generated from the types in [`crate::api::v1`].
#[must_use]
pub fn schema(kind: Kind) -> serde_json::Value {
    schema::generate(kind)
}

/// `did you mean ...?`, if one of the known words is near enough.
#[must_use]
pub fn meant(word: &str, known: &[&str]) -> Option<String> {
    nearest::meant(word, known)
}

fn document(text: &Text<'_>, node: &Node) -> Document {
    let root = Cursor::root(node);
    let mut report = Report::new(text);
    report_duplicates(&root, &mut report);
    let kind = kind_of(&root, &mut report);
    let named = root.get("metadata").and_then(|metadata| metadata.get("name"));
    let name = named.as_ref().and_then(Cursor::text).filter(|name| name.parse::<AppName>().is_ok());
    let object = kind.and_then(|kind| object(kind, &root, &mut report));
    let result = match object {
        Some(object) if report.is_empty() => Ok(object),
        _ => Err(report.into_errors()),
    };
    let name_at = named.as_ref().map_or(node.spot, |named| named.node.spot);
    Document { kind, name: name.map(str::to_owned), line: node.spot.line, result, name_at }
}

fn object(kind: Kind, root: &Cursor<'_>, report: &mut Report<'_>) -> Option<Object> {
    let value = root.node.to_value();
    let form = schema::of(kind);
    if !form.validator.is_valid(&value) {
        explain::explain(form, &value, root, report);
    }
    semantics::check(kind, root, report);
    if !report.is_empty() {
        return None;
    }
    let object = match kind {
        Kind::App => serde_json::from_value(value).map(|app| Object::App(Arc::new(app))),
        Kind::Gateway => serde_json::from_value(value).map(|gateway| Object::Gateway(Arc::new(gateway))),
    };
    // The schema is generated from the types, so that this is unreachable; if they ever differ, it is an error like any other.
    object.map_err(|error| report.object(root, format!("can't be read: {error}"), None)).ok()
}

/// Every field that is written twice in one object.
fn report_duplicates(at: &Cursor<'_>, report: &mut Report<'_>) {
    for (first, again) in at.duplicates() {
        let line = first.key.line;
        report.repeated(
            &again,
            format!("duplicate field `{}`", shown(again.name())),
            Some(format!("it is written on line {line} already")),
        );
    }
    for child in at.children() {
        report_duplicates(&child, report);
    }
}

/// `apiVersion` and `kind`: without them nothing else can be judged, so that they are the one error if they are not known.
fn kind_of(root: &Cursor<'_>, report: &mut Report<'_>) -> Option<Kind> {
    if !root.is_map() {
        let message = format!("expected an object with `apiVersion`, `kind`, `metadata` and `spec`, found {}", root.node.describe());
        report.value(root, message, None);
        return None;
    }
    if let Some(version) = root.get("apiVersion")
        && version.text() != Some(API_VERSION)
    {
        let found = version.text().map_or_else(|| version.node.describe(), |text| format!("`{}`", shown(text)));
        report.value(&version, format!("expected `{API_VERSION}`, found {found}"), None);
        return None;
    }
    let Some(kind) = root.get("kind") else {
        report.object(root, "missing field `kind`", Some("it is `App` or `Gateway`".to_owned()));
        return None;
    };
    match kind.text() {
        Some("App") => Some(Kind::App),
        Some("Gateway") => Some(Kind::Gateway),
        other => {
            let found = other.map_or_else(|| kind.node.describe(), |text| format!("`{}`", shown(text)));
            let list = || {
                other.is_some_and(|word| word.ends_with("List")).then(|| "write each object of a list as a document of its own".to_owned())
            };
            let hint = list().or_else(|| nearest::meant(other?, &KINDS)).unwrap_or_else(|| "expected `App` or `Gateway`".to_owned());
            report.value(&kind, format!("unknown kind {found}"), Some(hint));
            None
        }
    }
}
