//! Findings -> the list of errors that a person reads.
//!
//! In: places and sentences, in any order. Out: [`Error`]s in the order of the text. Never: two errors about one value; endless lists.

use std::collections::HashSet;

use super::Error;
use super::node::Cursor;
use super::text::{Finding, Spot, Text};

/// Errors of one document, at most.
const ERRORS: usize = 100;

/// Collects what is wrong with one document.
#[derive(Debug)]
pub(super) struct Report<'f> {
    text: &'f Text<'f>,
    findings: Vec<(Spot, Finding)>,
    /// Values that an error was reported for.
    judged: HashSet<String>,
    /// Objects with a field that is not known: what they lack is most likely that field, misspelt.
    misspelt: HashSet<String>,
}

impl<'f> Report<'f> {
    pub(super) fn new(text: &'f Text<'f>) -> Self {
        Self { text, findings: Vec::new(), judged: HashSet::new(), misspelt: HashSet::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// A value is wrong. Only the first finding about a value counts.
    pub(super) fn value(&mut self, at: &Cursor<'_>, message: impl Into<String>, hint: Option<String>) {
        if self.judged.insert(at.path.clone()) {
            self.push(at.node.spot, at.path.clone(), message, hint, false);
        }
    }

    /// A field should not be there. Its key is what is shown.
    pub(super) fn key(&mut self, at: &Cursor<'_>, message: impl Into<String>, hint: Option<String>) {
        self.judged.insert(at.path.clone());
        self.push(at.key, at.path.clone(), message, hint, false);
    }

    /// A field is there twice. What is wrong with the value of the first is still told.
    pub(super) fn repeated(&mut self, at: &Cursor<'_>, message: impl Into<String>, hint: Option<String>) {
        self.push(at.key, at.path.clone(), message, hint, false);
    }

    /// A field of `object` is not known.
    pub(super) fn unknown(&mut self, object: &Cursor<'_>, at: &Cursor<'_>, message: impl Into<String>, hint: Option<String>) {
        self.misspelt.insert(object.path.clone());
        self.key(at, message, hint);
    }

    /// Something is wrong with an object as a whole: a field is missing.
    pub(super) fn object(&mut self, at: &Cursor<'_>, message: impl Into<String>, hint: Option<String>) {
        self.push(at.node.spot, at.path.clone(), message, hint, false);
    }

    /// An object lacks one of several fields; said only if none of its fields is misspelt.
    pub(super) fn lacks(&mut self, at: &Cursor<'_>, message: impl Into<String>, hint: Option<String>) {
        if !self.misspelt.contains(&at.path) && !self.judged.contains(&at.path) {
            self.object(at, message, hint);
        }
    }

    /// A value that this version does not do yet.
    pub(super) fn unsupported(&mut self, at: &Cursor<'_>, hint: Option<String>) {
        if self.judged.insert(at.path.clone()) {
            let message = match at.text() {
                Some(text) => format!("is not supported by this version: `{text}`"),
                None => "is not supported by this version".to_owned(),
            };
            let spot = if at.text().is_some() { at.node.spot } else { at.key };
            self.push(spot, at.path.clone(), message, hint, true);
        }
    }

    /// In the order of the text, at most [`ERRORS`] and a note about the rest.
    pub(super) fn into_errors(mut self) -> Vec<Error> {
        self.findings.sort_by_key(|(spot, _)| (spot.line, spot.column));
        if let Some(more) = self.findings.len().checked_sub(ERRORS).filter(|more| *more > 0) {
            self.findings.truncate(ERRORS);
            let spot = self.findings.last().map_or(Spot { line: 1, column: 1, width: 1 }, |(last, _)| *last);
            let hint = Some("repair the first ones, and look again".to_owned());
            self.push(spot, String::new(), format!("{more} more errors are not shown"), hint, false);
        }
        self.findings.into_iter().map(|(spot, finding)| self.text.error(spot, finding)).collect()
    }

    fn push(&mut self, spot: Spot, field: String, message: impl Into<String>, hint: Option<String>, unsupported: bool) {
        self.findings.push((spot, Finding { field, message: message.into(), hint, unsupported }));
    }
}
