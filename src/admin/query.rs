//! The query of an admin request -> what is asked for.
//!
//! In: `newerThan=7&timeoutSeconds=30&fieldSelector=metadata.name=ttrss`. Out: [`Query`]. Never: a parameter that is silently ignored.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

/// The longest that an answer is held back.
pub const MAX_POLL: Duration = Duration::from_secs(300);
/// How long an answer is held back if the client does not say.
const DEFAULT_POLL: Duration = Duration::from_secs(30);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// Only objects of this name.
    pub(super) name: Option<String>,
    /// Do not answer before the snapshot is newer than this revision.
    pub(super) newer_than: Option<u64>,
    /// Answer after this time in any case.
    pub(super) timeout: Duration,
}

impl Query {
    /// Reads a query; every parameter is optional.
    ///
    /// # Errors
    /// One sentence that says what was expected.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let mut parsed = Self { name: None, newer_than: None, timeout: DEFAULT_POLL };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = unescape(value).ok_or_else(|| format!("`{key}` is not valid percent-encoding"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("`{key}` takes a number, not `{value}`"));
            match key {
                "newerThan" => parsed.newer_than = Some(number()?),
                "timeoutSeconds" => parsed.timeout = Duration::from_secs(number()?).min(MAX_POLL),
                "fieldSelector" => {
                    let name = value.strip_prefix("metadata.name=");
                    parsed.name = Some(name.ok_or("`fieldSelector` takes `metadata.name=NAME`, nothing else")?.to_owned());
                }
                _ => return Err(format!("there is no parameter `{key}`; expected newerThan, timeoutSeconds or fieldSelector")),
            }
        }
        Ok(parsed)
    }
}

/// Percent-encodes what is not unreserved (RFC 3986 section 2.3).
#[must_use]
pub fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Decodes once; `None`: a bad escape, or not UTF-8.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut pieces = text.split('%');
    let mut out = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(digits, 16).ok()?);
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_in_any_order() {
        let query = Query::parse("timeoutSeconds=5&fieldSelector=metadata.name%3Dttrss&newerThan=7").unwrap();
        assert_eq!(query, Query { name: Some("ttrss".to_owned()), newer_than: Some(7), timeout: Duration::from_secs(5) });
        assert_eq!(Query::parse("").unwrap().newer_than, None);
        assert_eq!(Query::parse("timeoutSeconds=999999").unwrap().timeout, MAX_POLL);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in ["watch=true", "newerThan=x", "newerThan=-1", "newerThan", "fieldSelector=spec.x=1", "fieldSelector=%zz", "newerThan=%"]
        {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn escaping_and_unescaping_give_the_text_back() {
        for text in ["ttrss", "sub dir/ä%.yaml", "a=b&c", ""] {
            assert_eq!(unescape(&escape(text)).as_deref(), Some(text));
        }
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "%é"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }
}
