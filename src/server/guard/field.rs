//! A field line -> its name and value (RFC 9112 section 5).

use super::octets::{TOKEN, run, text};
use super::refusal::Refusal;

/// A field, where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    /// With the white space around it.
    pub(super) value: &'a [u8],
}

/// What stands at the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read<'a> {
    /// A part of a line that is in order so far.
    Part,
    /// The empty line behind the last field: two bytes.
    End,
    /// A field, and the length of its line.
    Field(Field<'a>, usize),
}

/// Reads one line.
pub(super) fn read(bytes: &[u8]) -> Result<Read<'_>, Refusal> {
    let colon = run::<TOKEN>(bytes);
    match (colon, &bytes[colon..]) {
        (_, []) | (0, [b'\r']) => return Ok(Read::Part),
        (0, [b'\r', b'\n', ..]) => return Ok(Read::End),
        (0, [b' ' | b'\t', ..]) => return Err(Refusal::Folded),
        (1.., [b':', ..]) => {}
        _ => return Err(Refusal::Name),
    }
    let rest = &bytes[colon + 1..];
    let length = text(rest);
    match &rest[length..] {
        [] | [b'\r'] => Ok(Read::Part),
        [b'\r', b'\n', ..] => {
            let field = Field { name: &bytes[..colon], value: &rest[..length] };
            Ok(Read::Field(field, colon + 1 + length + 2))
        }
        _ => Err(Refusal::Value),
    }
}

/// Without optional white space (RFC 9110 section 5.6.3).
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
