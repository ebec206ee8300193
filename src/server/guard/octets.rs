//! Bytes -> how far they are of one kind.

/// Bytes of a token (RFC 9110 section 5.6.2).
pub(super) const TOKEN: u8 = 1;
/// Bytes of a path as clients send them: those of RFC 3986, and those that it wants encoded but browsers don't encode. No backslash:
/// some take it for a slash. No fragment. Bytes above 0x7f, which have to make up UTF-8.
pub(super) const PATH: u8 = 2;
/// Bytes of a query, likewise.
pub(super) const QUERY: u8 = 4;
/// Bytes of a registered name (RFC 3986 section 3.2.2). No percent-encoding: a host name has none.
pub(super) const HOST: u8 = 8;

static KINDS: [u8; 256] = kinds();

/// How many bytes at the front are of a kind, or of one of several.
pub(super) fn run<const KIND: u8>(bytes: &[u8]) -> usize {
    let is_other = |byte: u8| KINDS[usize::from(byte)] & KIND == 0;
    let (groups, rest) = bytes.as_chunks::<4>();
    // By hand: an iterator counts twice, and this is where most of the time goes.
    for (index, &[a, b, c, d]) in groups.iter().enumerate() {
        let at = index * 4;
        if is_other(a) {
            return at;
        }
        if is_other(b) {
            return at + 1;
        }
        if is_other(c) {
            return at + 2;
        }
        if is_other(d) {
            return at + 3;
        }
    }
    let tail = rest.iter().position(|byte| is_other(*byte)).unwrap_or(rest.len());
    bytes.len() - rest.len() + tail
}

/// How many bytes at the front may stand in the value of a field (RFC 9110 section 5.5): no control bytes but tabs.
pub(super) fn text(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += printable(&bytes[at..]);
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
}

/// The same without tabs; eight bytes at a time.
fn printable(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES * 0x80;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let low = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES) & !(word ^ (ONES * 0x7f));
        // A borrow can only mark bytes behind one that is marked rightly: the first one counts.
        let marked = (low | delete) & HIGH;
        if marked != 0 {
            return index * 8 + marked.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest.iter().position(u8::is_ascii_control).unwrap_or(rest.len());
    bytes.len() - rest.len() + tail
}

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut index = 0;
    while index < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "it is below 256; `try_from` is not const")]
        let byte = index as u8;
        let alphanumeric = byte.is_ascii_alphanumeric();
        if alphanumeric || is_in(byte, b"!#$%&'*+-.^_`|~") {
            kinds[index] |= TOKEN;
        }
        if (byte.is_ascii_graphic() || byte >= 0x80) && !is_in(byte, b"#<>?\\`") {
            kinds[index] |= PATH;
        }
        if (byte.is_ascii_graphic() || byte >= 0x80) && !is_in(byte, b"#<>\"") {
            kinds[index] |= QUERY;
        }
        if alphanumeric || is_in(byte, b"-._~!$&'()*+,;=") {
            kinds[index] |= HOST;
        }
        index += 1;
    }
    kinds
}

const fn is_in(byte: u8, set: &[u8]) -> bool {
    let mut index = 0;
    while index < set.len() {
        if set[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_byte_ends_a_text_wherever_it_stands_and_nothing_else_does() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                for around in [b'a', b' ', 0xff, b'\t', 0x80, 0x7e, 0x21] {
                    let mut bytes = [around; 23];
                    bytes[at] = byte;
                    let expected = if byte.is_ascii_control() && byte != b'\t' { at } else { bytes.len() };
                    assert_eq!(text(&bytes), expected, "{byte:#x} at {at} among {around:#x}");
                }
            }
        }
        assert_eq!(text(b""), 0);
    }
}
