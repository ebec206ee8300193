//! The fields that say where a message ends (RFC 9112 section 6).

use super::field::trim;
use super::octets::{TOKEN, run};
use super::refusal::Refusal;

/// Where the body of a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Sized(u64),
    /// After the last chunk.
    Chunked,
}

/// What `Transfer-Encoding` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// `chunked`, and nothing else.
    Chunked,
    /// Codings that are not known here.
    Unknown,
}

/// The digits that any reader takes for the same number: no sign, no list, no leading zero.
const LONGEST: usize = 19;

/// `Content-Length`.
pub(super) fn length(value: &[u8]) -> Result<u64, Refusal> {
    let value = trim(value);
    match value {
        [b'0'] => Ok(0),
        [b'1'..=b'9', rest @ ..] if rest.len() < LONGEST && rest.iter().all(u8::is_ascii_digit) => {
            // Nineteen digits fit.
            Ok(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit & 0xf)))
        }
        _ => Err(Refusal::Length),
    }
}

/// `Transfer-Encoding`. A list that is well-formed is refused for what is in it, later: another length beside it is worse.
pub(super) fn coding(value: &[u8]) -> Result<Coding, Refusal> {
    let value = trim(value);
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Coding::Chunked);
    }
    let mut codings = value.split(|byte| *byte == b',').map(trim).peekable();
    while let Some(coding) = codings.next() {
        let is_token = !coding.is_empty() && run::<TOKEN>(coding) == coding.len();
        // Applied twice, or not last: RFC 9112 section 7.
        let is_misplaced = coding.eq_ignore_ascii_case(b"chunked") && codings.peek().is_some();
        if !is_token || is_misplaced {
            return Err(Refusal::TransferEncoding);
        }
    }
    Ok(Coding::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits() {
        for (text, number) in
            [("0", 0), ("7", 7), ("1234567890123456789", 1_234_567_890_123_456_789), ("9999999999999999999", 9_999_999_999_999_999_999)]
        {
            assert_eq!(length(text.as_bytes()), Ok(number), "{text}");
        }
        for text in
            ["", "00", "07", "+1", "-1", "0x1", "1 1", "1,1", "1, 1", "1.0", "1e1", "a", "11111111111111111111", "1_0", "\u{661}", "1;"]
        {
            assert_eq!(length(text.as_bytes()), Err(Refusal::Length), "{text}");
        }
    }

    #[test]
    fn a_coding_is_chunked_or_unknown_or_nonsense() {
        for text in ["chunked", "Chunked", "CHUNKED"] {
            assert_eq!(coding(text.as_bytes()), Ok(Coding::Chunked), "{text}");
        }
        for text in ["gzip", "identity", "gzip, chunked", "identity,chunked", "xchunked", "chunkedx", "x-chunked"] {
            assert_eq!(coding(text.as_bytes()), Ok(Coding::Unknown), "{text}");
        }
        for text in [
            "",
            ",",
            ",chunked",
            "chunked,",
            "chunked, chunked",
            "chunked, identity",
            "\"chunked\"",
            "chunked;a=b",
            "chunked chunked",
            "chun\u{212a}ed",
        ] {
            assert_eq!(coding(text.as_bytes()), Err(Refusal::TransferEncoding), "{text}");
        }
    }
}
