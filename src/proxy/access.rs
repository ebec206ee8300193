//! What the access log is told of a request: bounded copies, so that a long answer holds nothing of its request's head.
//!
//! In: a request, who sent it. Out: [`Access`], filled in at the end. Never: a form; that is the log's.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http::header::{HOST, REFERER, USER_AGENT};
use http::{HeaderName, Request, Version};

use super::id::RequestId;
use super::peer::Peer;

/// Bytes of a field that are kept; a longer one ends in `...`.
const METHOD: usize = 32;
const TARGET: usize = 4096;
const FIELD: usize = 1024;

/// Takes what is to be logged. It never waits.
pub type Sink = Rc<dyn Fn(Box<Access>)>;

/// A request that is over. Texts are as the client sent them: any byte, not too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// When it was over.
    pub time: SystemTime,
    /// Who sent it.
    pub client: IpAddr,
    /// The method.
    pub method: Box<[u8]>,
    /// The target of the request line.
    pub target: Box<[u8]>,
    /// The version of the request line.
    pub version: Version,
    /// `Host`.
    pub host: Option<Box<[u8]>>,
    /// `Referer`.
    pub referer: Option<Box<[u8]>>,
    /// `User-Agent`.
    pub user_agent: Option<Box<[u8]>>,
    /// What it was answered with; 499: the client left before there was an answer (as nginx says it).
    pub status: u16,
    /// Bytes of its body that were read.
    pub received: u64,
    /// Bytes of the answer's body that were handed over.
    pub sent: u64,
    /// From its head to the last byte of its answer, or of its tunnel.
    pub took: Duration,
    /// From the backend's turn to the head of its answer; none: there was no such head.
    pub upstream: Option<Duration>,
    /// The App; none: no rule was found.
    pub app: Option<Box<str>>,
    /// The rule's name or index.
    pub rule: Option<Box<str>>,
    /// The backend that was asked; none: a file, a redirect, a failure before its turn.
    pub backend: Option<Box<str>>,
    /// The request's name.
    pub id: RequestId,
}

impl Access {
    /// What is known at the start.
    pub(super) fn of<B>(request: &Request<B>, peer: &Peer, id: RequestId) -> Box<Self> {
        let field = |name: HeaderName| request.headers().get(name).map(|value| bounded(value.as_bytes(), FIELD));
        let target = match request.uri().path_and_query() {
            Some(target) if request.uri().authority().is_none() => bounded(target.as_str().as_bytes(), TARGET),
            _ => bounded(request.uri().to_string().as_bytes(), TARGET),
        };
        Box::new(Self {
            host: field(HOST),
            referer: field(REFERER),
            user_agent: field(USER_AGENT),
            ..Self::new(request.method().as_str().as_bytes(), target, request.version(), peer, id)
        })
    }

    /// What a request line says that nobody read, or the first part of one.
    pub(super) fn of_line(line: &[u8], peer: &Peer, id: RequestId) -> Box<Self> {
        let mut words = line.splitn(3, |byte| *byte == b' ').map(|word| if word.is_empty() { b"-" } else { word });
        let (method, target) = (words.next().unwrap_or(b"-"), words.next().unwrap_or(b"-"));
        let version = match words.next() {
            None => Version::HTTP_09,
            Some(b"HTTP/1.0") => Version::HTTP_10,
            Some(b"HTTP/2.0") => Version::HTTP_2,
            Some(_) => Version::HTTP_11,
        };
        Box::new(Self::new(method, bounded(target, TARGET), version, peer, id))
    }

    fn new(method: &[u8], target: Box<[u8]>, version: Version, peer: &Peer, id: RequestId) -> Self {
        Self {
            time: SystemTime::UNIX_EPOCH,
            client: peer.client.ip(),
            method: bounded(method, METHOD),
            target,
            version,
            host: None,
            referer: None,
            user_agent: None,
            status: 0,
            received: 0,
            sent: 0,
            took: Duration::ZERO,
            upstream: None,
            app: None,
            rule: None,
            backend: None,
            id,
        }
    }
}

fn bounded(bytes: &[u8], most: usize) -> Box<[u8]> {
    if bytes.len() <= most { bytes.into() } else { [&bytes[..most], b"..."].concat().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_fields_are_cut_and_say_so() {
        assert_eq!(&*bounded(b"abc", 3), b"abc");
        assert_eq!(&*bounded(b"abcd", 3), b"abc...");
    }
}
