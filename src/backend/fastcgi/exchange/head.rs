//! The head of a CGI answer (RFC 3875 section 6) -> status and fields (pure).
//!
//! In: bytes up to the blank line. Out: [`Head`]. Never: a field that could split the answer, or that frames a connection of ours.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The longest head that is read.
pub const MAX_HEAD: usize = 64 * 1024;

/// Status and fields of an answer.
#[derive(Debug)]
pub struct Head {
    /// `Status`; 302 for a `Location` without one; else 200.
    pub status: StatusCode,
    /// All other fields, but those of a connection.
    pub headers: HeaderMap,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// All that it says is a `Location` on this server, without a status: that is to be answered in its stead (RFC 3875 section 6.2.2).
    pub is_local: bool,
}

/// Marks an answer that is a local redirect: its `Location` is a path, and there is nothing else in it.
#[derive(Debug, Clone, Copy)]
pub struct LocalRedirect;

/// What is wrong with a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HeadError(pub &'static str);

/// Where the body starts: behind the blank line. The first `searched` bytes hold no line end that is followed by another.
#[must_use]
pub fn find_end(bytes: &[u8], searched: usize) -> Option<usize> {
    match bytes {
        [b'\n', ..] => return Some(1),
        [b'\r', b'\n', ..] => return Some(2),
        _ => {}
    }
    // The line end before the blank line may be the last byte that was searched, or the one before a CR.
    let mut at = searched.saturating_sub(2);
    while let Some(line_end) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        at += line_end + 1;
        match &bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Reads a head, its blank line included. Values share its memory. A first line as HTTP has it (`HTTP/1.1 404 Not Found`) tells the status:
/// some applications can't do without, and nginx lets it pass.
///
/// # Errors
/// A line without a name, a name or value that HTTP does not allow, a status that is none, two statuses or lengths.
pub fn parse(head: &Bytes) -> Result<Head, HeadError> {
    let mut headers = HeaderMap::with_capacity(16);
    let mut status = None;
    let mut length = None;
    for (number, line) in head.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if number == 0 && line.starts_with(b"HTTP/") {
            status = Some(parse_status(behind_version(line))?);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(HeadError("a line of the answer's head has no colon"))?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| HeadError("a field of the answer has an invalid name"))?;
        let value = line[colon + 1..].trim_ascii();
        if name.as_str() == "status" {
            unique(&mut status, parse_status(value)?, "the answer has two statuses")?;
            continue;
        }
        if is_of_a_connection(&name) {
            continue;
        }
        if name == header::CONTENT_LENGTH {
            let repeated = length.is_some();
            unique(&mut length, parse_length(value)?, "the answer has two lengths")?;
            if repeated {
                continue;
            }
        }
        // `slice_ref` of an empty value has no place in `head`.
        let shared = if value.is_empty() { Bytes::new() } else { head.slice_ref(value) };
        let value = HeaderValue::from_maybe_shared(shared).map_err(|_| HeadError("a field of the answer has an invalid value"))?;
        headers.try_append(name, value).map_err(|_| HeadError("the answer has too many fields"))?;
    }
    let implied = if headers.contains_key(header::LOCATION) { StatusCode::FOUND } else { StatusCode::OK };
    let is_local = status.is_none() && headers.len() == 1 && headers.get(header::LOCATION).is_some_and(is_here);
    Ok(Head { status: status.unwrap_or(implied), headers, length, is_local })
}

/// A path of this server; `//` would begin the name of another one, and a fragment is the client's business.
fn is_here(location: &HeaderValue) -> bool {
    let bytes = location.as_bytes();
    bytes.starts_with(b"/") && !bytes.starts_with(b"//") && !bytes.contains(&b'#')
}

/// Repeated with the same value, a field says nothing new; with another one, it can't be trusted at all.
fn unique<T: PartialEq>(known: &mut Option<T>, new: T, error: &'static str) -> Result<(), HeadError> {
    match known {
        Some(old) if *old != new => Err(HeadError(error)),
        _ => {
            *known = Some(new);
            Ok(())
        }
    }
}

/// What follows the first space; nothing if there is none.
fn behind_version(line: &[u8]) -> &[u8] {
    let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    line[space..].trim_ascii()
}

/// `404 Not Found`: three digits, then nothing or a space. An interim status has no place here.
fn parse_status(value: &[u8]) -> Result<StatusCode, HeadError> {
    let error = HeadError("the answer's status is not valid");
    let (digits, reason) = value.split_at_checked(3).ok_or(error)?;
    if !matches!(reason, [] | [b' ', ..]) || reason.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return Err(error);
    }
    let status = StatusCode::from_bytes(digits).map_err(|_| error)?;
    if (200..600).contains(&status.as_u16()) { Ok(status) } else { Err(error) }
}

fn parse_length(value: &[u8]) -> Result<u64, HeadError> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or(HeadError("the answer's length is not valid"))
}

/// A script must not speak of the client's connection (RFC 3875 section 6.3.4).
fn is_of_a_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade" | "http2-settings"
    )
}

#[cfg(test)]
mod agree;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> Result<Head, HeadError> {
        parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_head_ends_at_its_blank_line_with_or_without_carriage_returns() {
        for (text, end) in [
            ("A: 1\n\nbody", Some(6)),
            ("A: 1\r\n\r\nbody", Some(8)),
            ("A: 1\n\r\nbody", Some(7)),
            ("A: 1\r\n\nbody", Some(7)),
            ("\nbody", Some(1)),
            ("\r\nbody", Some(2)),
            ("A: 1\r\n\r", None),
            ("A: 1\n", None),
            ("A: 1\r\r\n", None),
            ("", None),
        ] {
            assert_eq!(find_end(text.as_bytes(), 0), end, "{text:?}");
        }
    }

    #[test]
    fn status_location_and_length_have_their_meaning() {
        let parsed = head("Status: 404 Not Found\r\nContent-Length: 3\r\ncontent-length: 3\r\nX-A:  b \r\nX-A: c\r\nX-E:\r\n\r\n").unwrap();
        assert_eq!((parsed.status, parsed.length), (StatusCode::NOT_FOUND, Some(3)));
        assert_eq!(parsed.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(parsed.headers.get_all("content-length").iter().count(), 1);
        assert_eq!(parsed.headers["x-e"], "");
        assert!(!parsed.headers.contains_key("status"));
        assert_eq!(head("Location: /x\n\n").unwrap().status, StatusCode::FOUND);
        assert_eq!(head("Status: 201\nLocation: /x\n\n").unwrap().status, StatusCode::CREATED);
        assert_eq!(head("X: y\n\n").unwrap().status, StatusCode::OK);
        assert_eq!(head("HTTP/1.1 404 Not Found\r\nX: y\r\n\r\n").unwrap().status, StatusCode::NOT_FOUND);
        assert_eq!(head("HTTP/1.0 200\nStatus: 200 OK\n\n").unwrap().status, StatusCode::OK);
    }

    #[test]
    fn a_path_alone_is_a_local_redirect_and_anything_beside_it_makes_it_the_clients() {
        for (text, is_local) in [
            ("Location: /x?y=1\n\n", true),
            ("location:/x\nConnection: close\n\n", true),
            ("Status: 302 Found\nLocation: /x\n\n", false),
            ("Location: /x\nSet-Cookie: a=1\n\n", false),
            ("Location: /x\nLocation: /y\n\n", false),
            ("Location: http://other.example/x\n\n", false),
            ("Location: //other.example/x\n\n", false),
            ("Location: x\n\n", false),
            ("Location: /x#y\n\n", false),
            ("Location:\n\n", false),
            ("X: /x\n\n", false),
        ] {
            assert_eq!(head(text).unwrap().is_local, is_local, "{text:?}");
        }
    }

    #[test]
    fn fields_of_a_connection_are_dropped() {
        let parsed = head("Connection: close\nTransfer-Encoding: chunked\nKeep-Alive: 5\nUpgrade: x\nTrailer: y\nX: y\n\n").unwrap();
        assert_eq!(parsed.headers.len(), 1);
    }

    #[test]
    fn what_could_split_or_forge_an_answer_is_an_error() {
        for bad in [
            "no colon\n\n",
            "HTTP/1.1\n\n",
            "HTTP/1.1 OK\n\n",
            "HTTP/1.1 101 Switching Protocols\n\n",
            "HTTP/1.1 200 OK\nStatus: 404\n\n",
            "A: x\nHTTP/1.1 200 OK\n\n",
            ": empty\n\n",
            "bad name: x\n\n",
            "A : x\n\n",
            "A: x\n folded\n\n",
            "A: x\ry\n\n",
            "A: x\0y\n\n",
            "Status: abc\n\n",
            "Status: 20\n\n",
            "Status: 2000\n\n",
            "Status: 101 Switching\n\n",
            "Status: 999\n\n",
            "Status:\n\n",
            "Status: 200\nStatus: 404\n\n",
            "Content-Length: -1\n\n",
            "Content-Length: +1\n\n",
            "Content-Length:\n\n",
            "Content-Length: 1, 1\n\n",
            "Content-Length: 99999999999999999999\n\n",
            "Content-Length: 1\nContent-Length: 2\n\n",
        ] {
            assert!(head(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (find_end(&bytes, bytes.len() / 2), parse(&bytes.into()));
        }

        #[test]
        fn a_head_says_what_its_lines_say_wherever_it_is_cut(
            lines in prop::collection::vec("(Status|Location|Content-Length|X-A|x-b|Connection)?:? ?[0-9a-z :\r\0]{0,8}\r?\n", 0..8),
            cut in 0usize..60,
        ) {
            let text = lines.concat() + "\n";
            prop_assert_eq!(agree::disagreement(text.as_bytes(), cut), None);
        }

        #[test]
        fn a_search_that_goes_on_finds_what_a_search_from_the_start_finds(text in "[a\r\n]{0,30}", cut in 0usize..30) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let resumed = find_end(&bytes[..cut], 0).or_else(|| find_end(bytes, cut));
            prop_assert_eq!(resumed, find_end(bytes, 0));
        }
    }
}
