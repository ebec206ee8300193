//! `Range` and `If-Range` -> which bytes are sent (pure).
//!
//! In: the fields of a GET whose preconditions hold. Out: [`Selection`]. Never: more parts, or more bytes in all of them, than a whole file
//! is worth.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};

use super::conditional::{Validators, date};

/// Who asks for more parts gets the whole file: RFC 9110 section 14.2 allows it for "many small ranges", and each costs us a head.
const MOST: usize = 100;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: 200.
    Whole,
    /// One range: 206.
    One(Part),
    /// Two or more, in the order that they were asked for: 206, `multipart/byteranges`.
    Several(Vec<Part>),
    /// Nothing but ranges that begin behind the end: 416.
    Unsatisfiable,
}

/// Bytes of a file that follow each other; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// The first.
    pub(super) first: u64,
    /// The last; never before the first.
    pub(super) last: u64,
}

/// One member of the field, for a file of a certain size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Part(Part),
    /// It begins behind the end, or asks for the last 0 bytes.
    Nowhere,
    /// From the first byte on, or the last bytes, of an empty file. No `Content-Range` can say that.
    OfNothing,
}

impl Part {
    /// How many bytes; at least one.
    pub(super) fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// The bytes that a GET asks for. A field that is not understood is as if it were not there (RFC 9110 section 14.2).
pub(super) fn select(headers: &HeaderMap, size: u64, known: &Validators<'_>, now: SystemTime) -> Selection {
    let mut fields = headers.get_all(RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Selection::Whole };
    match range_set(field.as_bytes()) {
        Some(set) if is_current(headers, known, now) => resolve(set, size),
        _ => Selection::Whole,
    }
}

/// What follows `bytes=`; units are compared without case (RFC 9110 section 14.1).
fn range_set(field: &[u8]) -> Option<&[u8]> {
    let (unit, set) = field.split_at_checked("bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

/// The parts of the file that a set asks for. As nginx: those behind the end are left out, and whoever asks for more bytes than there are,
/// by ranges that overlap, gets each of them once.
fn resolve(set: &[u8], size: u64) -> Selection {
    let mut parts = Vec::new();
    let (mut sum, mut empty) = (0_u64, true);
    // RFC 9110 section 5.6.1.2: empty members of a list count for nothing.
    for text in set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|text| !text.is_empty()) {
        empty = false;
        match member(text, size) {
            Some(Member::Part(part)) => {
                match sum.checked_add(part.length()) {
                    Some(more) if more <= size && parts.len() < MOST => sum = more,
                    _ => return Selection::Whole,
                }
                parts.push(part);
            }
            Some(Member::Nowhere) => {}
            Some(Member::OfNothing) | None => return Selection::Whole,
        }
    }
    match *parts {
        [] if empty => Selection::Whole,
        [] => Selection::Unsatisfiable,
        [only] => Selection::One(only),
        _ => Selection::Several(parts),
    }
}

/// `2-5`, `2-` or `-5` (RFC 9110 section 14.1.2). `None`: it is none of these, or ends before it begins.
fn member(text: &[u8], size: u64) -> Option<Member> {
    let dash = text.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&text[..dash], &text[dash + 1..]);
    let (first, last) = if first.is_empty() {
        let count = number(last)?;
        if count == 0 && size > 0 {
            return Some(Member::Nowhere);
        }
        (size.saturating_sub(count), u64::MAX)
    } else {
        (number(first)?, if last.is_empty() { u64::MAX } else { number(last)? })
    };
    if last < first {
        return None;
    }
    Some(match size.checked_sub(1) {
        None if first == 0 => Member::OfNothing,
        Some(end) if first <= end => Member::Part(Part { first, last: last.min(end) }),
        _ => Member::Nowhere,
    })
}

/// Digits. What is too large for a number is behind the end of every file.
fn number(digits: &[u8]) -> Option<u64> {
    let plus = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then(|| digits.iter().fold(0, plus))
}

/// Whether a part would fit what the client has (RFC 9110 section 13.1.5): strong tags only, and a date only if the file did not
/// change within the second of its date.
fn is_current(headers: &HeaderMap, known: &Validators<'_>, now: SystemTime) -> bool {
    let mut fields = headers.get_all(IF_RANGE).iter();
    match (fields.next(), fields.next()) {
        (None, _) => true,
        (Some(tag), None) if tag.as_bytes() == known.etag => true,
        (Some(_), None) => date(headers, &IF_RANGE)
            .is_some_and(|date| known.modified == Some(date) && now.duration_since(date).is_ok_and(|age| age >= Duration::from_secs(1))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn modified() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn selected(range: &str, size: u64, if_range: &[&str], age: Duration) -> Selection {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
        for value in if_range {
            headers.append(IF_RANGE, HeaderValue::from_str(value).unwrap());
        }
        select(&headers, size, &Validators { etag: b"\"x\"", modified: Some(modified()) }, modified() + age)
    }

    /// `200`, `416`, or the parts as `first-last`, separated by spaces.
    fn shown(range: &str, size: u64) -> String {
        let part = |part: &Part| format!("{}-{}", part.first, part.last);
        match selected(range, size, &[], Duration::ZERO) {
            Selection::Whole => "200".to_owned(),
            Selection::Unsatisfiable => "416".to_owned(),
            Selection::One(only) => part(&only),
            Selection::Several(parts) => parts.iter().map(part).collect::<Vec<_>>().join(" "),
        }
    }

    #[test]
    fn one_range_is_cut_to_the_file_and_nonsense_is_ignored() {
        for (range, expected) in [
            ("bytes=0-0", "0-0"),
            ("bytes=2-5", "2-5"),
            ("bytes=02-005", "2-5"),
            ("Bytes=2-5", "2-5"),
            ("bytes=2-", "2-9"),
            ("bytes=2-99", "2-9"),
            ("bytes=9-18446744073709551615", "9-9"),
            ("bytes=9-99999999999999999999", "9-9"),
            ("bytes=-3", "7-9"),
            ("bytes=-10", "0-9"),
            ("bytes=-99999999999999999999", "0-9"),
            ("bytes=0-1,", "0-1"),
            ("bytes=,\t, 0-1", "0-1"),
            ("bytes=10-", "416"),
            ("bytes=10-20", "416"),
            ("bytes=99999999999999999999-", "416"),
            ("bytes=-0", "416"),
            ("bytes=5-4", "200"),
            ("bytes=20-10", "200"),
            ("bytes=", "200"),
            ("bytes=,", "200"),
            ("bytes=-", "200"),
            ("bytes=--1", "200"),
            ("bytes=a-b", "200"),
            ("bytes=0x1-2", "200"),
            ("bytes=+1-2", "200"),
            ("bytes=1 - 2", "200"),
            ("bytes=1-2-3", "200"),
            ("bytes=1", "200"),
            ("bytes =0-1", "200"),
            ("bytes:0-1", "200"),
            ("items=0-1", "200"),
            ("0-1", "200"),
            ("", "200"),
        ] {
            assert_eq!(shown(range, 10), expected, "{range}");
        }
        // As nginx, and Go since its issue 47021: clients that ask for a first part of anything get an empty file, not an error.
        for (range, expected) in [("bytes=0-", "200"), ("bytes=0-5", "200"), ("bytes=-5", "200"), ("bytes=-0", "200"), ("bytes=1-", "416")]
        {
            assert_eq!(shown(range, 0), expected, "{range} of nothing");
        }
        assert_eq!(shown("bytes=0-,-1", u64::MAX), "200");
    }

    #[test]
    fn several_ranges_are_sent_in_their_order_without_those_behind_the_end() {
        for (range, expected) in [
            ("bytes=0-1,3-4", "0-1 3-4"),
            ("bytes=0-1 ,\t3-4,, 9-", "0-1 3-4 9-9"),
            ("bytes=-1,0-0", "9-9 0-0"),
            ("bytes=0-1,1-2", "0-1 1-2"),
            ("bytes=0-4,5-9", "0-4 5-9"),
            ("bytes=0-1,10-,20-30", "0-1"),
            ("bytes=10-,-0,4-4", "4-4"),
            ("bytes=10-,11-", "416"),
            ("bytes=10-,-0", "416"),
            ("bytes=0-1,5-4", "200"),
            ("bytes=0-1,x", "200"),
            ("bytes=0-1;3-4", "200"),
        ] {
            assert_eq!(shown(range, 10), expected, "{range}");
        }
    }

    #[test]
    fn who_asks_for_too_much_gets_each_byte_once() {
        let of = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        for (range, size, expected) in [
            ("bytes=0-,0-".to_owned(), 10, "200"),
            ("bytes=0-5,5-9".to_owned(), 10, "200"),
            ("bytes=0-9,-1".to_owned(), 10, "200"),
            (of(MOST + 1), 1000, "200"),
            (of(10_000), 1_000_000, "200"),
        ] {
            assert_eq!(shown(&range, size), expected, "{range}");
        }
        assert_eq!(shown(&of(MOST), 1000).split(' ').count(), MOST);
    }

    #[test]
    fn a_range_of_something_else_than_the_client_has_is_the_whole_file() {
        let part = Selection::One(Part { first: 0, last: 1 });
        let (day, second, now) = (Duration::from_secs(86_400), Duration::from_secs(1), Duration::ZERO);
        for (if_range, age, expected) in [
            (&["\"x\""][..], now, &part),
            (&["\"y\""], day, &Selection::Whole),
            (&["W/\"x\""], day, &Selection::Whole),
            (&["x"], day, &Selection::Whole),
            (&["*"], day, &Selection::Whole),
            (&["\"x\", \"y\""], day, &Selection::Whole),
            (&["\"x\"", "\"x\""], day, &Selection::Whole),
            (&[DATE], day, &part),
            (&["Sunday, 06-Nov-94 08:49:37 GMT"], day, &part),
            (&["Sun Nov  6 08:49:37 1994"], day, &part),
            (&[DATE, DATE], day, &Selection::Whole),
            (&[DATE], second, &part),
            (&[DATE], now, &Selection::Whole),
            (&["Sun, 06 Nov 1994 08:49:36 GMT"], day, &Selection::Whole),
            (&["Sun, 06 Nov 1994 08:49:38 GMT"], day, &Selection::Whole),
            (&["junk"], day, &Selection::Whole),
            (&[""], day, &Selection::Whole),
        ] {
            assert_eq!(&selected("bytes=0-1", 10, if_range, age), expected, "{if_range:?}");
        }
        assert_eq!(selected("bytes=99-", 10, &["\"y\""], day), Selection::Whole, "not even a 416");
    }

    #[test]
    fn a_file_without_a_date_has_no_parts_of_a_date() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(IF_RANGE, HeaderValue::from_static(DATE));
        assert_eq!(select(&headers, 10, &Validators { etag: b"\"x\"", modified: None }, modified()), Selection::Whole);
    }

    #[test]
    fn two_range_fields_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(select(&headers, 10, &Validators { etag: b"", modified: None }, modified()), Selection::Whole);
    }

    /// What a client writes: sense, and nonsense.
    fn any_range() -> impl Strategy<Value = String> {
        let sense = prop_oneof![
            "[0-9]{1,3}-",
            "-[0-9]{1,3}",
            (0_u64..1000, 0_u64..20).prop_map(|(first, more)| format!("{first}-{}", first + more)),
        ];
        let any = prop_oneof!["[0-9]{0,25}-[0-9]{0,25}", "[ -~]{0,6}", "[0-9]-"];
        let members = prop_oneof![prop::collection::vec(sense, 0..120), prop::collection::vec(any, 0..4)];
        (prop_oneof![9 => Just("bytes="), 1 => Just("Bytes"), 1 => Just("")], members)
            .prop_map(|(unit, members)| format!("{unit}{}", members.join(",")))
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_file_and_are_not_more_than_it(
            range in any_range(),
            size in prop_oneof![0_u64..4, 0_u64..1000, any::<u64>()],
        ) {
            let parts = match selected(&range, size, &[], Duration::ZERO) {
                Selection::Whole | Selection::Unsatisfiable => Vec::new(),
                Selection::One(only) => vec![only],
                Selection::Several(parts) => {
                    prop_assert!(parts.len() > 1 && parts.len() <= MOST);
                    parts
                }
            };
            prop_assert!(parts.iter().all(|part| part.first <= part.last && part.last < size));
            prop_assert!(parts.iter().map(|part| u128::from(part.length())).sum::<u128>() <= u128::from(size));
        }
    }
}
