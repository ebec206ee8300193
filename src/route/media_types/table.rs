//! `/etc/mime.types` -> extensions and their media types (pure).
//!
//! In: lines of a media type and extensions, `#` starts a comment. Out: pairs, in order. Never: a type that is not `type/subtype` of tokens
//! (RFC 9110 section 8.3.1), an extension that no name ends in.

/// The pairs of a table. Lines that say nothing, or nothing that can be understood, are passed over.
pub(super) fn entries(text: &[u8]) -> impl Iterator<Item = (&[u8], &str)> {
    text.split(|byte| *byte == b'\n').flat_map(|line| {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let type_ = words.next().and_then(media_type);
        type_.into_iter().flat_map(move |type_| words.clone().filter(|word| is_extension(word)).map(move |word| (word, type_)))
    })
}

fn media_type(word: &[u8]) -> Option<&str> {
    let word = str::from_utf8(word).ok()?;
    let (type_, subtype) = word.split_once('/')?;
    (is_token(type_) && is_token(subtype)).then_some(word)
}

/// RFC 9110 section 5.6.2
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_extension(word: &[u8]) -> bool {
    word.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'/') && !word.starts_with(b".") && !word.ends_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_type_and_its_extensions() {
        let text = b"# a comment\n\ntext/html\t\thtml htm # more\ntext/none\n  image/png png\r\napplication/x-a+b.c a.b .c d. e/f g\n\
                     nonsense x\n/ y\ntext/ z\na/b/c w\n\xff/x v\ntext/plain \xc3\xa4 txt";
        let read: Vec<_> = entries(text).map(|(extension, type_)| (str::from_utf8(extension).unwrap(), type_)).collect();
        assert_eq!(
            read,
            [
                ("html", "text/html"),
                ("htm", "text/html"),
                ("png", "image/png"),
                ("a.b", "application/x-a+b.c"),
                ("g", "application/x-a+b.c"),
                ("txt", "text/plain"),
            ]
        );
    }
}
