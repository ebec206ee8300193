//! The head of a CGI answer as it is read, and as its lines say -> where the two differ.
//!
//! In: any bytes, cut anywhere. Out: what differs, or what could harm a client. Never: a word on what is refused. `fuzz/` builds this
//! file, too.

use bytes::Bytes;

use super::{find_end, parse};

/// What is wrong with how these bytes are read, if the first `cut` of them come first.
pub(crate) fn disagreement(bytes: &[u8], cut: usize) -> Option<String> {
    let cut = cut.min(bytes.len());
    let (whole, resumed) = (find_end(bytes, 0), find_end(&bytes[..cut], 0).or_else(|| find_end(bytes, cut)));
    if whole != resumed || whole != simple_end(bytes) {
        return Some(format!("the end is at {whole:?}, cut at {cut} at {resumed:?}, and should be at {:?}", simple_end(bytes)));
    }
    let text = &bytes[..whole?];
    let head = parse(&Bytes::copy_from_slice(text)).ok()?;
    if !(200..600).contains(&head.status.as_u16()) {
        return Some(format!("status {}", head.status));
    }
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    for (name, value) in &head.headers {
        let is_line = |line: &&[u8]| {
            let colon = line.iter().position(|byte| *byte == b':');
            colon.is_some_and(|at| line[..at].eq_ignore_ascii_case(name.as_str().as_bytes()) && line[at + 1..].trim_ascii() == value)
        };
        if !lines.iter().any(is_line) {
            return Some(format!("no line says {name}: {value:?}"));
        }
        if value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Some(format!("{name} would split the answer: {value:?}"));
        }
    }
    // How its lines end means nothing.
    let other_ends = parse(&Bytes::from(lines.join(&b"\r\n"[..])));
    match other_ends {
        Ok(other) if (other.status, other.length, &other.headers) == (head.status, head.length, &head.headers) => None,
        other => Some(format!("with CR LF it is {other:?}, not {head:?}")),
    }
}

/// Behind the first empty line.
fn simple_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return Some(at);
        }
    }
    None
}
