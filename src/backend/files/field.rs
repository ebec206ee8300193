//! What is told about a file, as the value of a field.
//!
//! In: what to write. Out: a value. Never: a text on the heap in between: a value is one allocation, a `String` that grows into one is four.

use std::fmt;
use std::io::Write as _;

use http::HeaderValue;

/// Bytes that are written without an allocation: a `Content-Range` of the longest numbers has 68.
const ROOM: usize = 80;

/// The text as a value; `None`: it holds a control byte.
pub(super) fn value(text: fmt::Arguments<'_>) -> Option<HeaderValue> {
    let mut room = [0; ROOM];
    let mut rest = &mut room[..];
    if rest.write_fmt(text).is_err() {
        return HeaderValue::try_from(text.to_string()).ok();
    }
    let length = ROOM - rest.len();
    HeaderValue::from_bytes(&room[..length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_was_written_however_long_it_is() {
        for length in [0, 1, ROOM - 1, ROOM, ROOM + 1, 10 * ROOM] {
            let text = "x".repeat(length);
            assert_eq!(value(format_args!("{text}")).unwrap(), text);
        }
        assert_eq!(value(format_args!("bytes */{}", u64::MAX)).unwrap(), "bytes */18446744073709551615");
        assert_eq!(value(format_args!("a\r\nb")), None);
    }
}
