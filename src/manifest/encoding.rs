//! Bytes -> text in which everything that counts can be seen.
//!
//! In: a [`Text`]. Out: a `str`, or what is wrong with the file as a whole. Never: a byte that a reader and the machine take differently.

use super::Error;
use super::limits::FILE_BYTES;
use super::text::{Finding, Spot, Text, is_bidi};

/// Characters that can't be seen are reported so often, at most.
const UNSEEN: usize = 20;

/// Checks size, encoding and what can't be seen.
pub(super) fn decode<'t>(text: &'t Text<'_>) -> Result<&'t str, Vec<Error>> {
    let first = Spot { line: 1, column: 1, width: 1 };
    let error =
        |spot: Spot, message: String, hint: &str| text.error(spot, Finding { message, hint: Some(hint.to_owned()), ..Finding::default() });
    let bytes = text.bytes;
    if bytes.len() > FILE_BYTES {
        let message = format!("the file has {} bytes; at most {FILE_BYTES} are read", bytes.len());
        return Err(vec![error(first, message, "split it into several files")]);
    }
    if is_utf16(bytes) {
        return Err(vec![error(first, "the file is UTF-16; expected UTF-8".to_owned(), "save the file as UTF-8")]);
    }
    let decoded = std::str::from_utf8(bytes).map_err(|bad| {
        let byte = bytes.get(bad.valid_up_to()).copied().unwrap_or_default();
        vec![error(text.spot(bad.valid_up_to()), format!("byte 0x{byte:02x} is not UTF-8"), "save the file as UTF-8")]
    })?;
    if decoded.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Err(vec![error(first, "the file is empty".to_owned(), "write a manifest into it, or remove the file")]);
    }
    let unseen = decoded.char_indices().filter_map(|(at, c)| Some((at, c, complaint(c)?))).take(UNSEEN);
    let errors: Vec<_> =
        unseen.map(|(at, c, (what, hint))| error(text.spot(at), format!("U+{:04X} is {what}", u32::from(c)), hint)).collect();
    if errors.is_empty() { Ok(decoded) } else { Err(errors) }
}

/// With a byte order mark, or without one: every second byte of plain text is then zero.
fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [a, b, c, d, ..] => matches!((*a, *b, *c, *d), (0, 1.., 0, 1..) | (1.., 0, 1.., 0)),
        _ => false,
    }
}

/// What is wrong with a character, and what to do about it.
fn complaint(c: char) -> Option<(&'static str, &'static str)> {
    match c {
        '\t' | '\n' | '\r' => None,
        '\u{85}' | '\u{2028}' | '\u{2029}' => Some(("a line break that editors don't show", "write a plain one")),
        _ if c.is_control() => Some(("a control character, which YAML does not allow", "remove it")),
        _ if is_bidi(c) => Some(("a mark that makes the text read otherwise than it is", "remove it")),
        '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => Some(("a mark that can't be seen", "remove it")),
        _ if !c.is_ascii() && c.is_whitespace() => {
            Some(("white space that can't be seen", "YAML does not take it for a space; write a plain one"))
        }
        _ => None,
    }
}
