//! `Range` and `If-Range` -> which bytes are sent (pure).
//!
//! In: the fields of a GET whose preconditions hold. Out: [`Selection`]. Never: several ranges in one answer: they get the whole file,
//! which RFC 9110 section 14.2 allows.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};
use http_range_header::{EndPosition, StartPosition, SyntacticallyCorrectRange, parse_range_header};

use super::conditional::{Validators, date};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: 200.
    Whole,
    /// One range: 206.
    Part {
        /// Its first byte.
        first: u64,
        /// Its last byte; never before the first.
        last: u64,
    },
    /// A range that begins behind the end: 416.
    Unsatisfiable,
}

/// The bytes that a GET asks for. A field that is not understood is as if it were not there (RFC 9110 section 14.2).
pub(super) fn select(headers: &HeaderMap, size: u64, known: &Validators<'_>, now: SystemTime) -> Selection {
    let mut fields = headers.get_all(RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Selection::Whole };
    // The crate reads the syntax; what it says about a length is too strict (a suffix longer than the file), so that is done here.
    let Some(Ok(parsed)) = field.to_str().ok().map(parse_range_header) else { return Selection::Whole };
    match parsed.ranges.as_slice() {
        [only] if is_current(headers, known, now) => resolve(*only, size),
        _ => Selection::Whole,
    }
}

fn resolve(range: SyntacticallyCorrectRange, size: u64) -> Selection {
    let end = size.saturating_sub(1);
    match (range.start, range.end) {
        // No `Content-Range` can say "the last bytes of nothing".
        (StartPosition::FromLast(_), _) if size == 0 => Selection::Whole,
        (StartPosition::FromLast(count), _) => Selection::Part { first: size.saturating_sub(count), last: end },
        (StartPosition::Index(first), EndPosition::Index(last)) if last < first => Selection::Whole,
        (StartPosition::Index(first), _) if first >= size => Selection::Unsatisfiable,
        (StartPosition::Index(first), EndPosition::Index(last)) => Selection::Part { first, last: last.min(end) },
        (StartPosition::Index(first), EndPosition::LastByte) => Selection::Part { first, last: end },
    }
}

/// Whether the part would fit what the client has (RFC 9110 section 13.1.5): strong tags only, and a date only if the file did not
/// change within the second of its date.
fn is_current(headers: &HeaderMap, known: &Validators<'_>, now: SystemTime) -> bool {
    let mut fields = headers.get_all(IF_RANGE).iter();
    match (fields.next(), fields.next()) {
        (None, _) => true,
        (Some(tag), None) if tag.as_bytes() == known.etag.as_bytes() => true,
        (Some(_), None) => date(headers, &IF_RANGE)
            .is_some_and(|date| known.modified == Some(date) && now.duration_since(date).is_ok_and(|age| age >= Duration::from_secs(1))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn modified() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn selected(range: &str, size: u64, if_range: Option<&str>, age: Duration) -> Selection {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
        if let Some(value) = if_range {
            headers.insert(IF_RANGE, HeaderValue::from_str(value).unwrap());
        }
        select(&headers, size, &Validators { etag: "\"x\"", modified: Some(modified()) }, modified() + age)
    }

    #[test]
    fn one_range_is_cut_to_the_file_and_nonsense_is_ignored() {
        use Selection::{Part, Unsatisfiable, Whole};
        let day = Duration::from_secs(86_400);
        for (range, expected) in [
            ("bytes=0-0", Part { first: 0, last: 0 }),
            ("bytes=2-5", Part { first: 2, last: 5 }),
            ("bytes=2-", Part { first: 2, last: 9 }),
            ("bytes=2-99", Part { first: 2, last: 9 }),
            ("bytes=9-18446744073709551615", Part { first: 9, last: 9 }),
            ("bytes=-3", Part { first: 7, last: 9 }),
            ("bytes=-10", Part { first: 0, last: 9 }),
            ("bytes=-99", Part { first: 0, last: 9 }),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-20", Unsatisfiable),
            ("bytes=5-4", Whole),
            ("bytes=20-10", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=0-1,", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1-2-3", Whole),
            ("bytes=99999999999999999999-", Whole),
            ("items=0-1", Whole),
            ("0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(selected(range, 10, None, day), expected, "{range}");
        }
        assert_eq!(selected("bytes=0-", 0, None, day), Unsatisfiable);
        assert_eq!(selected("bytes=-5", 0, None, day), Whole);
    }

    #[test]
    fn a_range_of_something_else_than_the_client_has_is_the_whole_file() {
        let part = Selection::Part { first: 0, last: 1 };
        let (day, now) = (Duration::from_secs(86_400), Duration::ZERO);
        for (if_range, age, expected) in [
            ("\"x\"", now, part),
            ("\"y\"", day, Selection::Whole),
            ("W/\"x\"", day, Selection::Whole),
            (DATE, day, part),
            (DATE, now, Selection::Whole),
            ("Sun, 06 Nov 1994 08:49:38 GMT", day, Selection::Whole),
            ("junk", day, Selection::Whole),
        ] {
            assert_eq!(selected("bytes=0-1", 10, Some(if_range), age), expected, "{if_range}");
        }
        assert_eq!(selected("bytes=99-", 10, Some("\"y\""), day), Selection::Whole, "not even a 416");
    }

    #[test]
    fn two_range_fields_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(select(&headers, 10, &Validators { etag: "", modified: None }, modified()), Selection::Whole);
    }

    proptest::proptest! {
        #[test]
        fn a_part_lies_within_the_file(range in "bytes=[0-9]{0,3}-[0-9]{0,3}", size in 0_u64..1000) {
            if let Selection::Part { first, last } = selected(&range, size, None, Duration::ZERO) {
                proptest::prop_assert!(first <= last && last < size);
            }
        }
    }
}
