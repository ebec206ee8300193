//! The same bytes read by the guard and by hyper alone -> where the two disagree on what was asked.
//!
//! In: any bytes. Out: what differs in a message that the guard let through. Never: a complaint about what it refused.
//! `fuzz/` builds this file, too.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::{Guard, Limits, Then};

const LIMITS: Limits = Limits { head: 8192, line: 4096, fields: 100 };

/// A message as one of the two reads it.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    method: String,
    /// As it is on the line.
    target: String,
    /// By name, in lower case.
    fields: Vec<(String, Vec<u8>)>,
    /// Without its framing; none: it is not whole.
    body: Option<Vec<u8>>,
    /// Nothing that follows is read.
    last: bool,
}

/// What the two disagree on.
pub(crate) fn disagreement(bytes: &[u8]) -> Option<String> {
    let (guard, refused) = by_guard(bytes);
    let hyper = by_hyper(bytes);
    for (index, ours) in guard.iter().enumerate() {
        let Some(theirs) = hyper.get(index) else {
            // The last one may be one that it did not answer because its body is missing.
            return Some(format!("hyper does not read message {index}: {ours:?}"));
        };
        if ours.body.is_none() && refused {
            return None;
        }
        if ours != theirs {
            return Some(format!("message {index}: the guard reads {ours:?}, hyper {theirs:?}"));
        }
        if theirs.last {
            return None;
        }
    }
    let more = hyper.len() > guard.len() && !refused;
    more.then(|| format!("hyper reads another message: {:?}", hyper[guard.len()]))
}

/// The messages that the guard lets through, read in the simplest way: there is only one. Whether it refused what follows.
fn by_guard(bytes: &[u8]) -> (Vec<Message>, bool) {
    let mut guard = Guard::new(LIMITS);
    let (mut messages, mut begin, mut passed, mut refused) = (Vec::new(), 0, 0, false);
    // Byte by byte: this is how the end of a head is told.
    for end in 1..=bytes.len() {
        let heads = guard.heads();
        let found = guard.look(&bytes[passed..end]);
        passed += found.passed;
        if guard.heads() > heads {
            let message = read(&bytes[begin..passed], &bytes[passed..]);
            // Where the next one begins does not matter: its head is read from its own first line.
            begin = passed + message.1;
            messages.push(message.0);
        }
        match found.then {
            Then::More => {}
            Then::Decision => guard.decide(false),
            Then::Refused(_) | Then::Broken(_) => {
                refused = true;
                break;
            }
        }
    }
    if begin > passed
        && let Some(last) = messages.last_mut()
    {
        last.body = None;
    }
    (messages, refused)
}

/// A head that is in order, and what follows it: the message, and the length of its body with its framing.
fn read(head: &[u8], rest: &[u8]) -> (Message, usize) {
    let text = String::from_utf8_lossy(head).into_owned();
    let mut words = text.trim_start_matches("\r\n").split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), with_path(&words.next().unwrap()));
    let is_10 = words.next().is_some_and(|version| version.starts_with("HTTP/1.0"));
    let lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut fields: Vec<(String, Vec<u8>)> = lines
        .skip_while(|line| line.is_empty())
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            (String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase(), line[colon + 1..].trim_ascii().to_vec())
        })
        .collect();
    fields.sort_by(by_name);
    let find = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let (body, length) = if find("transfer-encoding").is_some() {
        unchunk(rest).map_or((None, rest.len()), |(body, length)| (Some(body), length))
    } else {
        let length = find("content-length").map_or(0, |value| String::from_utf8_lossy(value).parse().unwrap_or(u64::MAX));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        (rest.get(..length).map(<[u8]>::to_vec), length.min(rest.len()))
    };
    let last = is_last(&fields, is_10);
    (Message { method, target, fields, body, last }, length)
}

/// An absolute-form target in the form in which hyper has it.
fn with_path(target: &str) -> String {
    let Some((scheme, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) else { return target.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let slash = if rest[end..].starts_with('/') { "" } else { "/" };
    format!("{}://{}{slash}{}", scheme.to_ascii_lowercase(), &rest[..end], &rest[end..])
}

/// A chunked body that is whole and in order.
fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    let line = |at: usize| bytes[at..].windows(2).position(|end| end == b"\r\n").map(|length| &bytes[at..at + length]);
    loop {
        let size = line(at)?;
        let digits = size.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let length = usize::from_str_radix(std::str::from_utf8(&size[..digits]).ok()?, 16).ok()?;
        at += size.len() + 2;
        if length == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at.checked_add(length)?)?);
        at += length;
        bytes.get(at..at + 2).filter(|end| end == b"\r\n")?;
        at += 2;
    }
    loop {
        let trailer = line(at)?;
        at += trailer.len() + 2;
        if trailer.is_empty() {
            return Some((body, at));
        }
    }
}

/// Whether the connection ends with this message (RFC 9112 section 9.3).
fn is_last(fields: &[(String, Vec<u8>)], is_10: bool) -> bool {
    let values = || fields.iter().filter(|(name, _)| name == "connection").map(|(_, value)| String::from_utf8_lossy(value));
    let has = |wanted: &str| values().any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)));
    has("close") || (is_10 && !has("keep-alive"))
}

/// Fields of one name stay in their order.
fn by_name(one: &(String, Vec<u8>), other: &(String, Vec<u8>)) -> std::cmp::Ordering {
    one.0.cmp(&other.0)
}

/// What hyper makes of the bytes without a guard.
fn by_hyper(bytes: &[u8]) -> Vec<Message> {
    let messages = Rc::new(RefCell::new(Vec::new()));
    let seen = messages.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            let authority = head.uri.authority().map(|authority| format!("://{authority}")).unwrap_or_default();
            let scheme = head.uri.scheme_str().unwrap_or_default();
            let mut fields: Vec<_> =
                head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
            fields.sort_by(by_name);
            let last = is_last(&fields, head.version == Version::HTTP_10);
            let target = with_path(&format!("{scheme}{authority}{}", head.uri.path_and_query().map_or("", |target| target.as_str())));
            let at = seen.borrow().len();
            seen.borrow_mut().push(Message { method: head.method.to_string(), target, fields, body: None, last });
            if let Ok(body) = body.collect().await {
                seen.borrow_mut()[at].body = Some(body.to_bytes().to_vec());
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).half_close(true).max_header_size(LIMITS.head);
    let mut connection = pin!(builder.serve_connection(Given(bytes.to_vec(), 0), service));
    let mut cx = Context::from_waker(Waker::noop());
    // Nothing ever blocks: what is not over after some turns waits for bytes that will not come.
    let turns = 64 + bytes.len();
    let _ = (0..turns).find(|_| connection.as_mut().poll(&mut cx).is_ready());
    messages.take()
}

/// Bytes that are there, and then the end.
struct Given(Vec<u8>, usize);

impl Read for Given {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let count = (self.0.len() - self.1).min(buf.remaining());
        buf.put_slice(&self.0[self.1..self.1 + count]);
        self.1 += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Given {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
