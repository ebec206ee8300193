//! A request line -> what the rest of its head has to go with (RFC 9112 section 3).

use std::ops::Range;

use super::host;
use super::octets::{PATH, QUERY, TOKEN, run};
use super::refusal::Refusal;

/// What the fields of a head are judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// HTTP/1.1, not 1.0.
    pub(super) is_11: bool,
    /// Where the authority of an absolute-form target stands in the line.
    pub(super) authority: Option<Range<usize>>,
}

/// The four forms of a target (RFC 9112 section 3.2).
enum Form {
    Origin,
    Absolute(Range<usize>),
    Asterisk,
    /// Authority-form, or none.
    Other,
}

/// Reads the line and the length of it; `None`: it is in order so far.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Line, usize)>, Refusal> {
    let method = run::<TOKEN>(bytes);
    match (method, bytes.get(method)) {
        (_, None) => return Ok(None),
        (1.., Some(b' ')) => {}
        _ => return Err(Refusal::Line),
    }
    let begin = method + 1;
    let (form, length) = target(&bytes[begin..]);
    let end = begin + length;
    match bytes.get(end) {
        None => return Ok(None),
        Some(b' ') if length > 0 => {}
        Some(b' ' | b'\r' | b'\n') => return Err(Refusal::Line),
        Some(_) => return Err(Refusal::Target),
    }
    if std::str::from_utf8(&bytes[begin..end]).is_err() {
        return Err(Refusal::Target);
    }
    let Some(is_11) = version(&bytes[end + 1..])? else { return Ok(None) };
    let method = &bytes[..method];
    if method == b"CONNECT" {
        return Err(Refusal::Connect);
    }
    let authority = match form {
        Form::Origin => None,
        Form::Absolute(at) => Some(begin + at.start..begin + at.end),
        Form::Asterisk if method == b"OPTIONS" => None,
        Form::Asterisk | Form::Other => return Err(Refusal::Target),
    };
    if let Some(at) = &authority
        && (at.is_empty() || !host::is_valid(&bytes[at.clone()]))
    {
        return Err(Refusal::Host);
    }
    Ok(Some((Line { is_11, authority }, end + 1 + VERSION)))
}

/// `HTTP/1.1` and CRLF.
const VERSION: usize = 10;

fn target(bytes: &[u8]) -> (Form, usize) {
    match bytes {
        [b'/', ..] => (Form::Origin, path_and_query(bytes)),
        [b'*', ..] => (Form::Asterisk, 1),
        _ => {
            let scheme = ["http://", "https://"]
                .into_iter()
                .find(|scheme| bytes.get(..scheme.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(scheme.as_bytes())));
            let Some(scheme) = scheme else { return (Form::Other, run::<{ PATH | QUERY }>(bytes)) };
            let rest = &bytes[scheme.len()..];
            // Whatever it holds: whether it names a host is seen later.
            let authority = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b' ' | b'\r' | b'\n')).unwrap_or(rest.len());
            let path = path_and_query(&rest[authority..]);
            (Form::Absolute(scheme.len()..scheme.len() + authority), scheme.len() + authority + path)
        }
    }
}

fn path_and_query(bytes: &[u8]) -> usize {
    let path = run::<PATH>(bytes);
    if bytes.get(path) == Some(&b'?') { path + 1 + run::<QUERY>(&bytes[path + 1..]) } else { path }
}

/// Whether it is 1.1; `None`: it is not there yet.
fn version(bytes: &[u8]) -> Result<Option<bool>, Refusal> {
    match bytes {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n', ..] => match (major, minor) {
            (b'1', b'1') => Ok(Some(true)),
            (b'1', b'0') => Ok(Some(false)),
            (b'0'..=b'9', b'0'..=b'9') => Err(Refusal::Version),
            _ => Err(Refusal::Line),
        },
        // A space is one too many; any other byte may still become part of a version.
        _ if bytes.len() < VERSION && !bytes.iter().any(|byte| matches!(byte, b' ' | b'\n')) => Ok(None),
        _ => Err(Refusal::Line),
    }
}
