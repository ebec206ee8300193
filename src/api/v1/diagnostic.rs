//! What is wrong with a manifest, in one place: for the log, for `validate`, and in the status.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that is wrong. `Display` is `file:line:column: field: what is wrong; hint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// The file, as whoever asked for it to be read has named it.
    pub file: String,
    /// Counted from 1; 0: there is no text, the file can't be read.
    pub line: u64,
    /// Counted from 1, in characters; 0 with a line of 0.
    pub column: u64,
    /// The field, such as `spec.rules[0].matches[0].path.value`; empty for the document or file as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong: what was expected, and what was found.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Nothing is wrong with it but that this version can't do it yet: the reason is `UnsupportedValue`, not `Invalid`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsupported: bool,
    /// The line as it stands in the file, for showing it; none if there is no such line, or it is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Excerpt>,
}

/// A line of a manifest, and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Excerpt {
    /// The line, or of a long one the part around the place; without control characters.
    pub text: String,
    /// Where the marked part starts in `text`, counted from 0, in characters.
    pub start: u64,
    /// How many characters of it are marked; at least 1, and it may reach one beyond the end.
    pub width: u64,
}

impl std::error::Error for Diagnostic {}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One error is one line, whatever a file is called.
        let file: String = self.file.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        match self.line {
            0 => write!(f, "{file}: ")?,
            line => write!(f, "{file}:{line}:{}: ", self.column)?,
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
