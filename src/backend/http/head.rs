//! The head of a request -> its bytes in HTTP/1.1 (pure).
//!
//! In: what the client sent, what we say in its place, how the body is framed. Out: the lines of RFC 9112 section 3. Never: a field of the
//! client that frames a message or belongs to a connection; a copy of the fields.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

use crate::backend::digits::digits;

/// A field of ours, and what it says; `None`: the client's stays.
pub type Ours<'r> = (&'static HeaderName, Option<&'r HeaderValue>);

static ROOT: std::sync::LazyLock<PathAndQuery> = std::sync::LazyLock::new(|| PathAndQuery::from_static("/"));

/// The head of a request, borrowed from whoever sends it: an attempt copies nothing but bytes.
#[derive(Debug, Clone, Copy)]
pub struct Head<'r> {
    /// The method.
    pub method: &'r Method,
    /// The target in origin form (RFC 9112 section 3.2.1).
    pub target: &'r PathAndQuery,
    /// End-to-end fields. `Content-Length`, `Transfer-Encoding`, `Connection`, `Upgrade` and `Expect` in them are passed over.
    pub fields: &'r HeaderMap,
    /// Fields that take the place of all of the same name.
    pub ours: &'r [Ours<'r>],
    /// The protocol that is asked for (RFC 9110 section 7.8). HTTP/2 has none.
    pub upgrade: Option<&'r HeaderValue>,
}

/// How the body of a request is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framed {
    /// There is none, and nothing says so.
    None,
    /// So many bytes.
    Sized(u64),
    /// In chunks, for who does not know how many.
    Chunked,
}

impl<'r> Head<'r> {
    /// That of a request that has its fields together.
    #[must_use]
    pub fn of<B>(request: &'r Request<B>) -> Self {
        let target = request.uri().path_and_query().unwrap_or(&ROOT);
        Self { method: request.method(), target, fields: request.headers(), ours: &[], upgrade: None }
    }

    /// The fields that go to the backend, without those that frame the body or ask for an upgrade.
    pub(super) fn sent(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let ours = self.ours.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        let is_replaced = |name: &HeaderName| self.ours.iter().any(|(own, value)| value.is_some() && *own == name);
        ours.chain(self.fields.iter().filter(move |(name, _)| !is_of_the_connection(name) && !is_replaced(name)))
    }

    /// Our framing, whatever the client said. RFC 9110 section 8.6: a method that has a use for content says so even if there is none.
    pub(super) fn framed(&self, length: Option<u64>) -> Framed {
        match length {
            None => Framed::Chunked,
            Some(0) if !matches!(*self.method, Method::POST | Method::PUT | Method::PATCH) => Framed::None,
            Some(length) => Framed::Sized(length),
        }
    }

    /// Writes all of it, the empty line included.
    pub(super) fn write(&self, framed: Framed, out: &mut Vec<u8>) {
        for part in [self.method.as_str(), " ", self.target.as_str(), " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        for (name, value) in self.sent() {
            field(out, name.as_str(), value.as_bytes());
        }
        if let Some(protocol) = self.upgrade {
            out.extend_from_slice(b"connection: upgrade\r\n");
            field(out, UPGRADE.as_str(), protocol.as_bytes());
        }
        match framed {
            Framed::None => {}
            Framed::Sized(length) => {
                out.extend_from_slice(b"content-length: ");
                digits(out, length, 10);
                out.extend_from_slice(b"\r\n");
            }
            Framed::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// What we say ourselves, or don't.
fn is_of_the_connection(name: &HeaderName) -> bool {
    *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING || *name == CONNECTION || *name == UPGRADE || *name == EXPECT
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::header::HOST;

    use super::*;

    static NAME: HeaderName = HOST;

    fn written(head: &Head<'_>, length: Option<u64>) -> String {
        let mut out = Vec::new();
        head.write(head.framed(length), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn ours_take_the_place_of_the_clients_and_framing_is_ours_alone() {
        let request = Request::post("/a?b")
            .header("host", "evil")
            .header("content-length", "7")
            .header("transfer-encoding", "gzip")
            .header("connection", "x")
            .header("expect", "100-continue")
            .header("x", "1")
            .body(())
            .unwrap();
        let (host, none) = (HeaderValue::from_static("a"), [(&NAME, None)]);
        let ours = [(&NAME, Some(&host))];
        let head = Head { ours: &ours, ..Head::of(&request) };
        assert_eq!(written(&head, Some(3)), "POST /a?b HTTP/1.1\r\nhost: a\r\nx: 1\r\ncontent-length: 3\r\n\r\n");
        assert_eq!(written(&head, None), "POST /a?b HTTP/1.1\r\nhost: a\r\nx: 1\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(written(&head, Some(0)), "POST /a?b HTTP/1.1\r\nhost: a\r\nx: 1\r\ncontent-length: 0\r\n\r\n");
        assert!(written(&Head { ours: &none, ..head }, Some(0)).contains("host: evil\r\n"));
    }

    #[test]
    fn an_upgrade_is_asked_for_and_a_get_has_no_length() {
        let (request, echo) = (Request::get("/").body(()).unwrap(), HeaderValue::from_static("echo"));
        let head = Head { upgrade: Some(&echo), ..Head::of(&request) };
        assert_eq!(written(&head, Some(0)), "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    }
}
