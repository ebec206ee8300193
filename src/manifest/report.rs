//! Findings -> the list of errors that a person reads.
//!
//! In: places and sentences, in any order. Out: [`Error`]s in the order of the text. Never: two errors about one value; endless lists.

use std::collections::HashSet;

use super::Error;
use super::node::Cursor;

/// Errors of one document, at most.
const ERRORS: usize = 100;
/// Characters of a message, at most.
const MESSAGE: usize = 400;

/// Collects what is wrong with one document.
#[derive(Debug)]
pub(super) struct Report<'f> {
    file: &'f str,
    errors: Vec<Error>,
    /// Values that an error was reported for.
    judged: HashSet<String>,
    /// Objects with a field that is not known: what they lack is most likely that field, misspelt.
    misspelt: HashSet<String>,
}

impl<'f> Report<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, errors: Vec::new(), judged: HashSet::new(), misspelt: HashSet::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// A value is wrong. Only the first finding about a value counts.
    pub(super) fn value(&mut self, at: &Cursor<'_>, message: impl Into<String>, hint: Option<String>) {
        if self.judged.insert(at.path.clone()) {
            self.push((at.node.line, at.node.column), at.path.clone(), message, hint, false);
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
        self.push((at.node.line, at.node.column), at.path.clone(), message, hint, false);
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
            let place = if at.text().is_some() { (at.node.line, at.node.column) } else { at.key };
            self.push(place, at.path.clone(), message, hint, true);
        }
    }

    /// In the order of the text, at most [`ERRORS`] and a note about the rest.
    pub(super) fn into_errors(mut self) -> Vec<Error> {
        self.errors.sort_by_key(|error| (error.line, error.column));
        if let Some(more) = self.errors.len().checked_sub(ERRORS).filter(|more| *more > 0) {
            self.errors.truncate(ERRORS);
            let (line, column) = self.errors.last().map_or((1, 1), |last| (last.line, last.column));
            self.push((line, column), String::new(), format!("{more} more errors are not shown"), None, false);
        }
        self.errors
    }

    fn push(&mut self, (line, column): (u64, u64), field: String, message: impl Into<String>, hint: Option<String>, unsupported: bool) {
        let hint = hint.map(|hint| bounded(&hint));
        self.errors.push(Error {
            file: self.file.to_owned(),
            line,
            column,
            field,
            message: bounded(&message.into()),
            hint,
            unsupported,
            excerpt: None,
        });
    }
}

/// One line of bounded length, whatever was quoted in it.
pub(super) fn bounded(message: &str) -> String {
    message.chars().take(MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
