//! `{path}/index.html` -> pieces -> text.
//!
//! In: a value of a manifest. Out: the value with its placeholders filled in. Never: any other template language.

use std::fmt::Write as _;

/// The placeholders there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// `{path}`: the path in hand, percent-encoded as it came.
    Path,
    /// `{query}`: the query without its `?`; empty if there is none.
    Query,
    /// `{host}`: the request's host, without port.
    Host,
    /// `{scheme}`: `http` or `https`.
    Scheme,
    /// `{client_ip}`: the client's address.
    ClientIp,
    /// `{request_id}`: names this request in answers and logs.
    RequestId,
}

const NAMES: [(&str, Placeholder); 6] = [
    ("path", Placeholder::Path),
    ("query", Placeholder::Query),
    ("host", Placeholder::Host),
    ("scheme", Placeholder::Scheme),
    ("client_ip", Placeholder::ClientIp),
    ("request_id", Placeholder::RequestId),
];

/// A text with placeholders, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Value(Placeholder),
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{name}` that is none of the placeholders.
    #[error("unknown placeholder `{{{0}}}`; expected one of {{path}} {{query}} {{host}} {{scheme}} {{client_ip}} {{request_id}}")]
    Unknown(String),
    /// A `{` without its `}`, or the reverse.
    #[error("a `{{` or `}}` stands alone; expected placeholders like `{{path}}`")]
    Unbalanced,
}

impl Template {
    /// Reads placeholders; there is no escape for braces.
    ///
    /// # Errors
    /// An unknown placeholder, or a brace that stands alone.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            if rest.as_bytes()[open] == b'}' {
                return Err(TemplateError::Unbalanced);
            }
            let close = open + rest[open..].find('}').ok_or(TemplateError::Unbalanced)?;
            let name = &rest[open + 1..close];
            let (_, placeholder) = NAMES.iter().find(|(known, _)| *known == name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].into()));
            }
            pieces.push(Piece::Value(*placeholder));
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self(pieces))
    }

    /// Appends the text, each placeholder's value written by `value`.
    pub fn write(&self, out: &mut String, mut value: impl FnMut(Placeholder, &mut String)) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(placeholder) => value(*placeholder, out),
            }
        }
    }

    /// Whether this is `{path}` and nothing else: the common case costs no copy.
    #[must_use]
    pub fn is_path(&self) -> bool {
        matches!(self.0.as_slice(), [Piece::Value(Placeholder::Path)])
    }

    /// The text, if it holds no placeholder.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Value(value) => {
                    f.write_char('{')?;
                    f.write_str(NAMES.iter().find(|(_, known)| known == value).map_or("", |(name, _)| name))?;
                    f.write_char('}')?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_order() {
        let template = Template::parse("{path}/index.html?{query}").unwrap();
        let mut out = String::new();
        template.write(&mut out, |placeholder, out| match placeholder {
            Placeholder::Path => out.push_str("/a"),
            _ => out.push('q'),
        });
        assert_eq!(out, "/a/index.html?q");
        assert_eq!(template.to_string(), "{path}/index.html?{query}");
    }

    #[test]
    fn what_is_no_placeholder_is_an_error() {
        assert_eq!(Template::parse("{paht}"), Err(TemplateError::Unknown("paht".into())));
        for bad in ["{path", "path}", "{", "}"] {
            assert_eq!(Template::parse(bad), Err(TemplateError::Unbalanced), "{bad}");
        }
    }
}
