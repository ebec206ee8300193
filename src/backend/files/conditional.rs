//! Preconditions of a request -> whether it goes on (pure).
//!
//! In: the request's fields, what is known of the file. Out: [`Verdict`]. Never: a look at the range, see [`super::range`].

use std::time::SystemTime;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName};

/// What clients compare with what they have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validators<'a> {
    /// A strong entity tag, with its quotes.
    pub(super) etag: &'a [u8],
    /// In whole seconds; `None`: not known.
    pub(super) modified: Option<SystemTime>,
}

/// What the preconditions say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request is answered.
    Proceed,
    /// The client has it: 304.
    NotModified,
    /// The client asked for another state: 412.
    Failed,
}

/// Evaluates the preconditions of GET or HEAD in the order of RFC 9110 section 13.2.2, steps 1 to 4.
pub(super) fn evaluate(headers: &HeaderMap, known: &Validators<'_>) -> Verdict {
    if headers.contains_key(IF_MATCH) {
        if !names(headers, &IF_MATCH, |tag| tag == known.etag) {
            return Verdict::Failed;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, &IF_UNMODIFIED_SINCE), known.modified)
        && modified > since
    {
        return Verdict::Failed;
    }
    let has_it = if headers.contains_key(IF_NONE_MATCH) {
        names(headers, &IF_NONE_MATCH, |tag| tag.strip_prefix(b"W/").unwrap_or(tag) == known.etag)
    } else {
        date(headers, &IF_MODIFIED_SINCE).zip(known.modified).is_some_and(|(since, modified)| modified <= since)
    };
    if has_it { Verdict::NotModified } else { Verdict::Proceed }
}

/// A date that stands alone; anything else is as if it were not there (RFC 9110 sections 13.1.3 and 13.1.4).
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => httpdate::parse_http_date(only.to_str().ok()?).ok(),
        _ => None,
    }
}

/// Whether a field is `*`, or lists an entity tag that `same` accepts.
fn names(headers: &HeaderMap, name: &HeaderName, same: impl Fn(&[u8]) -> bool) -> bool {
    headers.get_all(name).iter().any(|value| value.as_bytes().trim_ascii() == b"*" || tags(value.as_bytes()).any(&same))
}

/// The entity tags of a list (RFC 9110 section 8.8.3), weak ones with their `W/`. It ends at the first thing that is none.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
        rest = &rest[start..];
        let opening = if rest.starts_with(b"W/") { 2 } else { 0 };
        let inner = rest[opening..].strip_prefix(b"\"")?;
        let length = opening + 2 + inner.iter().position(|byte| *byte == b'"')?;
        let (tag, after) = rest.split_at(length);
        rest = after;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn verdict(fields: &[(HeaderName, &str)]) -> Verdict {
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
        evaluate(&fields_of(fields), &Validators { etag: b"\"x,1\"", modified })
    }

    fn fields_of(fields: &[(HeaderName, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).fold(
            HeaderMap::new(),
            |mut map, (name, value)| {
                map.append(name, value);
                map
            },
        )
    }

    #[test]
    fn each_precondition_alone_says_what_the_rfc_says() {
        use Verdict::{Failed, NotModified, Proceed};
        for (name, value, expected) in [
            (IF_MATCH, "\"x,1\"", Proceed),
            (IF_MATCH, "\"a\", \"x,1\"", Proceed),
            (IF_MATCH, "*", Proceed),
            (IF_MATCH, "\"a\"", Failed),
            (IF_MATCH, "W/\"x,1\"", Failed),
            (IF_MATCH, "x,1", Failed),
            (IF_MATCH, "", Failed),
            (IF_MATCH, "W/*", Failed),
            (IF_MATCH, "junk, \"x,1\"", Failed),
            (IF_MATCH, "\"x,1\", junk", Proceed),
            (IF_MATCH, " * ", Proceed),
            (IF_UNMODIFIED_SINCE, BEFORE, Failed),
            (IF_UNMODIFIED_SINCE, SAME, Proceed),
            (IF_UNMODIFIED_SINCE, AFTER, Proceed),
            (IF_UNMODIFIED_SINCE, "yesterday", Proceed),
            (IF_UNMODIFIED_SINCE, "Sunday, 06-Nov-94 08:49:36 GMT", Failed),
            (IF_UNMODIFIED_SINCE, "Sun Nov  6 08:49:36 1994", Failed),
            (IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 CET", Proceed),
            (IF_UNMODIFIED_SINCE, "", Proceed),
            (IF_NONE_MATCH, "\"x,1\"", NotModified),
            (IF_NONE_MATCH, "W/\"x,1\"", NotModified),
            (IF_NONE_MATCH, " ,\"a\" ,\t W/\"x,1\"", NotModified),
            (IF_NONE_MATCH, "*", NotModified),
            (IF_NONE_MATCH, "\"a\", \"b\"", Proceed),
            (IF_NONE_MATCH, "\"x,1", Proceed),
            (IF_NONE_MATCH, "w/\"x,1\"", Proceed),
            (IF_NONE_MATCH, "junk, \"x,1\"", Proceed),
            (IF_NONE_MATCH, "\"x\", \"1\"", Proceed),
            (IF_NONE_MATCH, "x,1", Proceed),
            (IF_NONE_MATCH, "", Proceed),
            (IF_NONE_MATCH, "\"*\"", Proceed),
            (IF_NONE_MATCH, "\"X,1\"", Proceed),
            (IF_NONE_MATCH, "\"a\"\"x,1\"", NotModified),
            (IF_MODIFIED_SINCE, BEFORE, Proceed),
            (IF_MODIFIED_SINCE, SAME, NotModified),
            (IF_MODIFIED_SINCE, AFTER, NotModified),
            (IF_MODIFIED_SINCE, "Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
            (IF_MODIFIED_SINCE, "Sun Nov  6 08:49:37 1994", NotModified),
            (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 +0000", Proceed),
            (IF_MODIFIED_SINCE, "Sun, 31 Nov 2094 08:49:37 GMT", Proceed),
            (IF_MODIFIED_SINCE, "Fri, 01 Jan 2100 00:00:00 GMT", NotModified),
            (IF_MODIFIED_SINCE, "784111777", Proceed),
        ] {
            assert_eq!(verdict(&[(name.clone(), value)]), expected, "{name}: {value}");
        }
        assert_eq!(verdict(&[]), Proceed);
    }

    #[test]
    fn a_tag_outranks_a_date_and_a_failure_outranks_not_modified() {
        use Verdict::{Failed, NotModified, Proceed};
        assert_eq!(verdict(&[(IF_MATCH, "\"x,1\""), (IF_UNMODIFIED_SINCE, BEFORE)]), Proceed);
        assert_eq!(verdict(&[(IF_NONE_MATCH, "\"a\""), (IF_MODIFIED_SINCE, AFTER)]), Proceed);
        assert_eq!(verdict(&[(IF_NONE_MATCH, ""), (IF_MODIFIED_SINCE, AFTER)]), Proceed, "an empty list is one");
        assert_eq!(verdict(&[(IF_MATCH, ""), (IF_UNMODIFIED_SINCE, AFTER)]), Failed, "an empty list is one");
        assert_eq!(verdict(&[(IF_UNMODIFIED_SINCE, AFTER), (IF_NONE_MATCH, "\"x,1\"")]), NotModified);
        assert_eq!(verdict(&[(IF_UNMODIFIED_SINCE, BEFORE), (IF_NONE_MATCH, "*")]), Failed);
        assert_eq!(verdict(&[(IF_MATCH, "\"a\""), (IF_NONE_MATCH, "\"x,1\"")]), Failed);
        assert_eq!(verdict(&[(IF_MATCH, "\"x,1\""), (IF_NONE_MATCH, "\"x,1\"")]), NotModified);
        assert_eq!(verdict(&[(IF_UNMODIFIED_SINCE, BEFORE), (IF_MODIFIED_SINCE, AFTER)]), Failed);
    }

    #[test]
    fn fields_that_come_twice_are_one_list_of_tags_and_no_date() {
        assert_eq!(verdict(&[(IF_NONE_MATCH, "\"a\""), (IF_NONE_MATCH, "\"x,1\"")]), Verdict::NotModified);
        assert_eq!(verdict(&[(IF_MATCH, "\"a\""), (IF_MATCH, "\"x,1\"")]), Verdict::Proceed);
        assert_eq!(verdict(&[(IF_MODIFIED_SINCE, AFTER), (IF_MODIFIED_SINCE, AFTER)]), Verdict::Proceed);
        assert_eq!(verdict(&[(IF_UNMODIFIED_SINCE, BEFORE), (IF_UNMODIFIED_SINCE, BEFORE)]), Verdict::Proceed);
    }

    #[test]
    fn a_file_without_a_date_has_no_conditions_on_dates() {
        let known = Validators { etag: b"\"x\"", modified: None };
        for name in [IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
            assert_eq!(evaluate(&fields_of(&[(name, BEFORE)]), &known), Verdict::Proceed);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_list_of_tags_is_read_to_an_end(list in "[W/\", \tab*]{0,60}") {
            proptest::prop_assert!(tags(list.as_bytes()).all(|tag| tag.ends_with(b"\"")));
        }
    }
}
