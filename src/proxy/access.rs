//! What the access log is told of a request: bounded copies, so that a long answer holds nothing of its request's head.
//!
//! In: a request, who sent it. Out: [`Access`], filled in at the end: two allocations, the record and its texts. Never: a form; that is
//! the log's.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http::header::{HOST, REFERER, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Version};

use super::fields::{Kind, Seen};
use super::id::RequestId;
use super::peer::Peer;

/// Bytes of a field that are kept; a longer one ends in `...`.
const METHOD: usize = 32;
const TARGET: usize = 4096;
const FIELD: usize = 1024;
/// Room for names of ours that come later; more than that is rare, and moves the texts.
const NAMES: usize = 96;

/// Takes what is to be logged. It never waits.
pub type Sink = Rc<dyn Fn(Box<Access>)>;

/// A request that is over. Texts are as the client sent them: any byte, not too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// When it was over.
    pub time: SystemTime,
    /// Who sent it.
    pub client: IpAddr,
    /// The version of the request line.
    pub version: Version,
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
    /// The request's name.
    pub id: RequestId,
    /// What is text of it.
    pub texts: Texts,
}

/// The texts of a request, in one allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// One behind the other.
    bytes: Vec<u8>,
    /// Where each stands, in the order of [`Part`]; none: there is no such text.
    places: [Option<(u32, u32)>; 8],
}

/// A text of [`Access`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The method.
    Method,
    /// The target of the request line.
    Target,
    /// `Host`.
    Host,
    /// `Referer`.
    Referer,
    /// `User-Agent`.
    UserAgent,
    /// The App; none: no rule was found.
    App,
    /// The rule's name or index.
    Rule,
    /// The backend that was asked; none: a file, a redirect, a failure before its turn.
    Backend,
}

impl Access {
    /// A request without a text. `room`: bytes that its texts may have.
    #[must_use]
    pub fn new(client: IpAddr, version: Version, id: RequestId, room: usize) -> Self {
        Self {
            time: SystemTime::UNIX_EPOCH,
            client,
            version,
            status: 0,
            received: 0,
            sent: 0,
            took: Duration::ZERO,
            upstream: None,
            id,
            texts: Texts { bytes: Vec::with_capacity(room), places: [None; 8] },
        }
    }

    /// A text; none: there is none.
    #[must_use]
    pub fn text(&self, part: Part) -> Option<&[u8]> {
        let (begin, end) = self.texts.places[part as usize]?;
        self.texts.bytes.get(begin as usize..end as usize)
    }

    /// Adds a text, or the first so many bytes of it, and says so.
    pub fn note(&mut self, part: Part, text: &[u8], most: usize) {
        let Texts { bytes, places } = &mut self.texts;
        let begin = bytes.len();
        bytes.extend_from_slice(&text[..text.len().min(most)]);
        if text.len() > most {
            bytes.extend_from_slice(b"...");
        }
        // What is noted has less than 10 KB in all.
        places[part as usize] = u32::try_from(begin).ok().zip(u32::try_from(bytes.len()).ok());
    }

    /// What is known at the start. `seen`: its fields.
    pub(super) fn of<B>(request: &Request<B>, seen: Seen, peer: &Peer, id: RequestId) -> Box<Self> {
        let field = |kind: Kind, name: HeaderName| seen.has(kind).then(|| request.headers().get(name)).flatten().map(HeaderValue::as_bytes);
        let fields = [
            (Part::Host, field(Kind::Host, HOST)),
            (Part::Referer, field(Kind::Referer, REFERER)),
            (Part::UserAgent, field(Kind::UserAgent, USER_AGENT)),
        ];
        let (method, whole) = (request.method().as_str().as_bytes(), request.uri().authority().map(|_| request.uri().to_string()));
        let target = whole.as_deref().or_else(|| Some(request.uri().path_and_query()?.as_str())).unwrap_or_default().as_bytes();
        let length = |text: &[u8], most: usize| text.len().min(most + 3);
        let room = fields.iter().filter_map(|(_, text)| *text).map(|text| length(text, FIELD)).sum::<usize>();
        let room = room + length(method, METHOD) + length(target, TARGET) + NAMES;
        let mut access = Box::new(Self::new(peer.client.ip(), request.version(), id, room));
        access.note(Part::Method, method, METHOD);
        access.note(Part::Target, target, TARGET);
        for (part, text) in fields {
            if let Some(text) = text {
                access.note(part, text, FIELD);
            }
        }
        access
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
        let mut access = Box::new(Self::new(peer.client.ip(), version, id, line.len().min(METHOD + TARGET) + NAMES));
        access.note(Part::Method, method, METHOD);
        access.note(Part::Target, target, TARGET);
        access
    }

    /// The name of something of ours.
    pub(super) fn name(&mut self, part: Part, name: &str) {
        self.note(part, name.as_bytes(), FIELD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_fields_are_cut_and_say_so() {
        let mut access = Access::new([192, 0, 2, 1].into(), Version::HTTP_11, RequestId::default(), 0);
        access.note(Part::Host, b"abc", 3);
        access.note(Part::Referer, b"abcd", 3);
        access.note(Part::UserAgent, b"", 3);
        let texts = [Part::Host, Part::Referer, Part::UserAgent, Part::App].map(|part| access.text(part));
        assert_eq!(texts, [Some(&b"abc"[..]), Some(b"abc..."), Some(b""), None]);
    }
}
