//! The path of a request -> the one path that is matched, checked and forwarded.
//!
//! In: the path as it came. Out: without dot segments, every other byte as it was. Never: a second opinion later on.

use std::borrow::Cow;

/// Why a path is refused: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not start with `/`.
    #[error("the path does not start with a slash")]
    NotAbsolute,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("a percent sign is not followed by two hexadecimal digits")]
    BadEscape,
    /// A control byte, plain or encoded; NUL among them.
    #[error("the path holds a control byte")]
    Control,
    /// `..` above the root.
    #[error("the path leads above the root")]
    AboveRoot,
}

/// Checks a path and removes its dot segments (RFC 3986 section 5.2.4), also those written with `%2e`. Everything else stays
/// byte for byte: `%2F`, case, `//`.
///
/// # Errors
/// See [`PathError`].
pub fn normalise(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    check_bytes(path)?;
    if !path.split('/').any(|segment| dots(segment) > 0) {
        return Ok(Cow::Borrowed(path));
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match dots(segment) {
            0 => kept.push(segment),
            1 => {}
            _ => {
                kept.pop().ok_or(PathError::AboveRoot)?;
            }
        }
        if last && dots(segment) > 0 {
            kept.push("");
        }
    }
    Ok(Cow::Owned(format!("/{}", kept.join("/"))))
}

/// 1 for `.`, 2 for `..`, plain or encoded; 0 for everything else.
fn dots(segment: &str) -> usize {
    let mut rest = segment.as_bytes();
    let mut count = 0;
    while !rest.is_empty() {
        rest = match rest {
            [b'.', tail @ ..] | [b'%', b'2', b'e' | b'E', tail @ ..] => tail,
            _ => return 0,
        };
        count += 1;
    }
    if count <= 2 { count } else { 0 }
}

fn check_bytes(path: &str) -> Result<(), PathError> {
    let bytes = path.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            0..0x20 | 0x7f => return Err(PathError::Control),
            b'%' => {
                let decoded = bytes.get(at + 1..at + 3).and_then(hex_pair).ok_or(PathError::BadEscape)?;
                if decoded < 0x20 || decoded == 0x7f {
                    return Err(PathError::Control);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Decodes once, for looking up a file. `None`: it holds an encoded slash or backslash, or a plain backslash, which name no file.
#[must_use]
pub fn decode_for_lookup(path: &str) -> Option<Cow<'_, [u8]>> {
    if path.contains('\\') {
        return None;
    }
    if !path.contains('%') {
        return Some(Cow::Borrowed(path.as_bytes()));
    }
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let decoded = bytes.get(at + 1..at + 3).and_then(hex_pair)?;
            if matches!(decoded, b'/' | b'\\' | 0) {
                return None;
            }
            out.push(decoded);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    Some(Cow::Owned(out))
}

/// Decodes what is well-formed and keeps the rest: for comparing, never for opening.
pub(super) fn decode_lossy(text: &str, plus_is_space: bool) -> Cow<'_, str> {
    let changes = |byte: u8| byte == b'%' || (plus_is_space && byte == b'+');
    if !text.bytes().any(changes) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3).and_then(hex_pair)).flatten();
        if let Some(byte) = escape {
            out.push(byte);
            at += 3;
        } else {
            out.push(if plus_is_space && bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(pair[0])? * 16 + digit(pair[1])?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_go_and_everything_else_stays() {
        for (from, to) in [
            ("/", "/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a//../b", "/a/b"),
            ("//a", "//a"),
            ("/a%2Fb", "/a%2Fb"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/A%41", "/A%41"),
        ] {
            assert_eq!(normalise(from).as_deref(), Ok(to), "{from}");
        }
    }

    #[test]
    fn a_path_that_can_only_be_an_attack_or_a_mistake_is_refused() {
        for (path, error) in [
            ("", PathError::NotAbsolute),
            ("a", PathError::NotAbsolute),
            ("/..", PathError::AboveRoot),
            ("/a/../../b", PathError::AboveRoot),
            ("/%2e%2e/x", PathError::AboveRoot),
            ("/%", PathError::BadEscape),
            ("/%4", PathError::BadEscape),
            ("/%zz", PathError::BadEscape),
            ("/%+1", PathError::BadEscape),
            ("/%00", PathError::Control),
            ("/%0a", PathError::Control),
            ("/a\u{1}", PathError::Control),
        ] {
            assert_eq!(normalise(path), Err(error), "{path}");
        }
    }

    #[test]
    fn an_encoded_slash_names_no_file() {
        assert_eq!(decode_for_lookup("/a%20b").as_deref(), Some(&b"/a b"[..]));
        assert_eq!(decode_for_lookup("/a%2e"), Some(Cow::Owned(b"/a.".to_vec())));
        for none in ["/a%2fb", "/a%5cb", "/a\\b"] {
            assert_eq!(decode_for_lookup(none), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_normal_stays_normal(path in "/[a-z./%2eE0-9-]{0,40}") {
            if let Ok(once) = normalise(&path) {
                let twice = normalise(&once);
                proptest::prop_assert_eq!(twice.as_deref(), Ok(&*once));
                proptest::prop_assert!(once.split('/').all(|segment| dots(segment) == 0));
            }
        }
    }
}
