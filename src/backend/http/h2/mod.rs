//! HTTP/2 towards a backend, by prior knowledge (RFC 9113 section 3.3), over connections that the requests of a thread share.
//!
//! In: a request in origin form with its end-to-end fields, and an address. Out: a response that streams. Never: a second attempt at what may
//! have been worked on and is not idempotent; an upgrade; trailers; a push.

mod body;
mod connections;
mod failure;
mod head;
mod link;
#[cfg(test)]
mod tests;
mod upload;
mod wire;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::{Body, Incoming};

use super::body::UpstreamBody;
use super::exchange::{Call, Unsent};
use super::head::Head;
use super::pool::Pool;
use crate::backend::{Error, Failed, RequestBody, ResponseBody};
pub(super) use body::StreamBody;
pub(super) use connections::Connections;
use failure::translate;
use link::Failure;
pub(super) use link::Stream;

/// How often a request is sent at most: connections may end just when they are used. The last time it is the first on a new one, so that
/// it never is what other requests have used the connection up for.
const ATTEMPTS: usize = 3;

impl Pool {
    /// [`Pool::send`] for a backend that speaks HTTP/2.
    pub(super) async fn send_h2(&self, call: Call<'_>, head: &Head<'_>, mut body: RequestBody) -> Result<Response<ResponseBody>, Unsent> {
        let has_body = body.length() != Some(0);
        let mut cause = Error::Closed(None);
        for attempt in 1..=ATTEMPTS {
            let mut stream = match self.stream(call, attempt == ATTEMPTS).await {
                Ok(stream) => stream,
                Err(error) => return Err(Failed::unsent(error, body)),
            };
            let request = head::convert(head, body)?;
            body = match stream.exchange(request, call.timeouts.idle).await {
                Ok(response) => return Ok(accept(response, stream, *head.method == Method::HEAD)?),
                Err(Failure::Unsent(body)) => body,
                Err(Failure::Refused) if has_body => return Err(Error::Refused.into()),
                Err(Failure::Refused) => {
                    cause = Error::Refused;
                    RequestBody::empty()
                }
                Err(Failure::Dead(_)) if !has_body && stream.is_old() && head.method.is_idempotent() => RequestBody::empty(),
                Err(Failure::Dead(error) | Failure::Final(error)) => return Err(error.into()),
            };
        }
        Err(cause.into())
    }
}

fn accept(response: Response<Incoming>, stream: Stream, asks_head: bool) -> Result<Response<ResponseBody>, Error> {
    let (mut parts, body) = response.into_parts();
    // RFC 9113 section 8.6: there is no such answer.
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::Protocol("101 over HTTP/2"));
    }
    parts.version = http::Version::HTTP_11;
    one_length(&mut parts.headers, &body, asks_head);
    Ok(Response::from_parts(parts, ResponseBody::Http(UpstreamBody::shared(body, stream))))
}

/// A length that an answer has several times it has once. hyper has seen to it that they agree.
fn one_length(headers: &mut HeaderMap, body: &Incoming, asks_head: bool) {
    let lengths = || headers.get_all(CONTENT_LENGTH).iter();
    if lengths().count() > 1 || lengths().any(|length| length.as_bytes().contains(&b',')) {
        match body.size_hint().exact() {
            Some(length) if length > 0 && !asks_head => headers.insert(CONTENT_LENGTH, length.into()),
            _ => headers.remove(CONTENT_LENGTH),
        };
    }
}
