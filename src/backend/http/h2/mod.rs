//! HTTP/2 towards a backend, by prior knowledge (RFC 9113 section 3.3), over connections that the requests of a thread share.
//!
//! In: a request in origin form with its end-to-end fields, and an address. Out: a response that streams. Never: a second attempt at what may
//! have been worked on and is not idempotent; an upgrade; trailers; a push.

mod connections;
mod failure;
mod head;
mod link;
#[cfg(test)]
mod tests;

use http::{Method, Request, Response, StatusCode};

use super::body::UpstreamBody;
use super::exchange::{Call, Unsent, copy, one_length};
use super::pool::Pool;
use crate::backend::{Error, Failed, RequestBody, ResponseBody};
pub(super) use connections::Connections;
pub(super) use failure::translate;
use link::Failure;
pub(super) use link::Stream;

/// How often a request is sent at most: connections may end just when they are used. The last time it is the first on a new one, so that
/// it never is what other requests have used the connection up for.
const ATTEMPTS: usize = 3;

impl Pool {
    /// [`Pool::send`] for a backend that speaks HTTP/2.
    pub(super) async fn send_h2(&self, call: Call<'_>, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Unsent> {
        let asks_head = request.method() == Method::HEAD;
        let mut request = head::convert(request)?;
        let mut cause = Error::Closed(None);
        for attempt in 1..=ATTEMPTS {
            let mut stream = match self.stream(call, attempt == ATTEMPTS).await {
                Ok(stream) => stream,
                Err(error) => return Err(Failed::unsent(error, Box::new(head::revert(request)))),
            };
            let copy = copy(&request);
            request = match stream.exchange(request, call.timeouts.idle).await {
                Ok(response) => return Ok(accept(response, stream, asks_head)?),
                Err(Failure::Unsent(request)) => *request,
                Err(Failure::Refused) => {
                    cause = Error::Refused;
                    copy.ok_or(Error::Refused)?
                }
                Err(Failure::Dead(error)) => match copy.filter(|copy| stream.is_old() && copy.method().is_idempotent()) {
                    Some(copy) => copy,
                    None => return Err(error.into()),
                },
                Err(Failure::Final(error)) => return Err(error.into()),
            };
        }
        Err(cause.into())
    }
}

fn accept(response: Response<hyper::body::Incoming>, stream: Stream, asks_head: bool) -> Result<Response<ResponseBody>, Error> {
    let (mut parts, body) = response.into_parts();
    // RFC 9113 section 8.6: there is no such answer.
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::Protocol("101 over HTTP/2"));
    }
    parts.version = http::Version::HTTP_11;
    one_length(&mut parts.headers, &body, asks_head);
    Ok(Response::from_parts(parts, ResponseBody::Http(UpstreamBody::shared(body, stream))))
}
