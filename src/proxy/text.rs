//! A part of a request's head, kept: the bytes as they came, or a text of ours in their place.
//!
//! In: a target, a field, a string. Out: text. Never: a copy of what came (an allocation each for host, path and query).

use std::ops::Deref;
use std::rc::Rc;

use http::HeaderValue;
use http::uri::PathAndQuery;

/// A text. Clones share it.
#[derive(Debug, Clone)]
pub(super) enum Text {
    /// The path of a target.
    Path(PathAndQuery),
    /// The query of a target, without its `?`.
    Query(PathAndQuery),
    /// So many bytes of a field's value, from its beginning.
    Field(HeaderValue, usize),
    /// What did not come so.
    Own(Rc<str>),
    /// None.
    Empty,
}

impl Text {
    /// The beginning of a field's value, which is text.
    pub(super) fn beginning(value: &HeaderValue, length: usize) -> Self {
        Self::Field(value.clone(), length)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Path(target) => target.path(),
            Self::Query(target) => target.query().unwrap_or_default(),
            Self::Field(value, length) => value.as_bytes().get(..*length).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default(),
            Self::Own(text) => text,
            Self::Empty => "",
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Own(text.into()) }
    }
}
