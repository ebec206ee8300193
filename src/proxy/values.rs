//! What placeholders stand for, in one request.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::id::RequestId;
use super::peer::Peer;
use super::text::Text;
use crate::route::{Placeholder, Template};

/// The values of one request; clones are cheap.
#[derive(Debug, Clone)]
pub(super) struct Values<'a> {
    /// Lower case, without port.
    pub(super) host: Text,
    /// The path in hand: filters may have replaced it.
    pub(super) path: Text,
    /// Without its `?`.
    pub(super) query: Option<Text>,
    /// The downstream connection.
    pub(super) peer: &'a Peer,
    /// This request.
    pub(super) id: RequestId,
}

impl Values<'_> {
    /// A template with its placeholders filled in.
    pub(super) fn fill(&self, template: &Template) -> String {
        let mut text = String::new();
        template.write(&mut text, |placeholder, out| self.write(placeholder, out));
        text
    }

    /// The same; `{path}` alone is not copied.
    pub(super) fn candidate(&self, template: &Template) -> Cow<'_, str> {
        if template.is_path() { Cow::Borrowed(&self.path) } else { Cow::Owned(self.fill(template)) }
    }

    /// One placeholder's value.
    pub(super) fn write(&self, placeholder: Placeholder, out: &mut String) {
        match placeholder {
            Placeholder::Path => out.push_str(&self.path),
            Placeholder::Query => out.push_str(self.query.as_deref().unwrap_or("")),
            Placeholder::Host => out.push_str(&self.host),
            Placeholder::Scheme => out.push_str(self.peer.scheme),
            // Writing to a String does not fail.
            Placeholder::ClientIp => drop(write!(out, "{}", self.peer.client.ip())),
            Placeholder::RequestId => drop(write!(out, "{}", self.id)),
        }
    }
}
