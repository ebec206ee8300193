//! The head of a request as another program reads it -> names and values (specification sections 3.3 and 3.4).
//!
//! In: all its bytes. Out: the pairs, or what is wrong with the bytes. Never: a word of how they were written. `fuzz/` builds this file, too.

/// A name and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// The pairs. A pair that fits into a record has to lie in one: php-fpm reads records, not the stream.
pub(crate) fn read_back(head: &[u8]) -> Result<Vec<Pair>, String> {
    let mut rest = head.strip_prefix(&[1, 1, 0, 1, 0, 8, 0, 0]).ok_or("it does not begin with FCGI_BEGIN_REQUEST")?;
    rest = match rest {
        [0, 1, 0 | 1, 0, 0, 0, 0, 0, rest @ ..] => rest,
        _ => return Err("the begin of the request is not that of a responder".into()),
    };
    let (mut pairs, mut split) = (Vec::new(), Vec::new());
    loop {
        let (header, content) = rest.split_at_checked(8).ok_or("a header is cut")?;
        let [1, 4, 0, 1, high, low, padding, _] = *header else { return Err(format!("no FCGI_PARAMS: {header:?}")) };
        let (content, later) = content.split_at_checked(u16::from_be_bytes([high, low]).into()).ok_or("a record is cut")?;
        rest = later.get(padding.into()..).ok_or("the padding is cut")?;
        if content.is_empty() {
            return if split.is_empty() && rest.is_empty() { Ok(pairs) } else { Err("something is left over".into()) };
        }
        let mut stream = [std::mem::take(&mut split), content.to_vec()].concat();
        while let Some(length) = take(&stream, &mut pairs) {
            stream.drain(..length);
        }
        if !stream.is_empty() && announced(&stream).is_none_or(|whole| whole <= 65_535) {
            return Err(format!("a pair lies in several records: {:?} of it in the first", stream.len()));
        }
        split = stream;
    }
}

/// Reads the first pair; returns how long it was, if it is all there.
fn take(stream: &[u8], pairs: &mut Vec<Pair>) -> Option<usize> {
    let (name, value, begin) = lengths(stream)?;
    let end = begin + name + value;
    let pair = stream.get(begin..end)?;
    pairs.push((pair[..name].to_vec(), pair[name..].to_vec()));
    Some(end)
}

/// How long the first pair is to be.
fn announced(stream: &[u8]) -> Option<usize> {
    lengths(stream).map(|(name, value, begin)| begin + name + value)
}

/// Lengths of name and value, and where the name begins.
fn lengths(stream: &[u8]) -> Option<(usize, usize, usize)> {
    let (name, of_name) = length(stream)?;
    let (value, of_value) = length(&stream[of_name..])?;
    Some((name, value, of_name + of_value))
}

/// A length, and in how many bytes it is told.
fn length(stream: &[u8]) -> Option<(usize, usize)> {
    match *stream {
        [short, ..] if short < 0x80 => Some((short.into(), 1)),
        [a, b, c, d, ..] => Some((u32::from_be_bytes([a & 0x7f, b, c, d]) as usize, 4)),
        _ => None,
    }
}
