//! A request -> an answer, over a kept connection or a new one.
//!
//! In: a call and its request. Out: a response whose body gives the connection back at its end. Never: a retry but on a new connection,
//! once, of what was not sent or is idempotent.

use std::time::Duration;

use http::{Response, StatusCode};
use hyper::ext::ReasonPhrase;
use tokio::time::Instant;

use super::answer::Answer;
use super::body::UpstreamBody;
use super::head::Head;
use super::key::{Key, fingerprint};
use super::link::{Failure, Link};
use super::pool::Pool;
use crate::api::v1::HttpProtocol;
use crate::backend::{Error, Failed, Phase, RequestBody, ResponseBody};
use crate::dial::{self, Address};
use crate::route::Timeouts;

/// A connection that rested this long may be closing just now: what can be sent twice may be, then.
const RESTED: Duration = Duration::from_millis(100);

/// How a request is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Where the backend is. Connections are shared by equal addresses: the same `Arc` of a container's root or network, the same path,
    /// port or target.
    pub address: &'a Address,
    /// `connect` and `idle` count here; `request` is the caller's.
    pub timeouts: Timeouts,
    /// Idle connections that are kept for this address, per thread; after a peak it may be more for some seconds. 0: none.
    pub keep: usize,
    /// What is spoken.
    pub protocol: HttpProtocol,
}

/// Why there is no answer, and the request's body if nothing was sent.
pub type Unsent = Failed<RequestBody>;

impl Pool {
    /// Sends a request, and waits for the head of the answer. Bodies are framed here, whatever the fields said: `Content-Length` or
    /// chunks towards the backend (RFC 9112 section 6), none of a chunked answer's framing towards the caller. The body of an answer 101
    /// is the connection: [`ResponseBody::switched`]. Needs a `LocalSet` or a `LocalRuntime`. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`Error::Connect`] and `Timeout(Connect)` before a connection stands; `Timeout(Backend)`, [`Error::Closed`], [`Error::Http`],
    /// [`Error::Protocol`] for what the backend does; what the request's body said if that broke off. The body itself if nothing was sent.
    pub async fn send(&self, call: Call<'_>, head: &Head<'_>, mut body: RequestBody) -> Result<Response<ResponseBody>, Unsent> {
        if call.protocol == HttpProtocol::H2c {
            // Boxed, so that requests over HTTP/1.1 do not carry its size around.
            return Box::pin(self.send_h2(call, head, body)).await;
        }
        let fingerprint = fingerprint(call.address);
        let has_body = body.length() != Some(0);
        let switches = head.upgrade.is_some() && !has_body;
        let now = Instant::now();
        if let Some(mut link) = self.take(fingerprint, call.address, now) {
            // RFC 9110 section 9.2.2: what may be sent twice.
            let twice = !has_body && head.method.is_idempotent() && now.duration_since(link.idle_since) >= RESTED;
            body = match link.exchange(head, body, call.timeouts.idle).await {
                Ok(answer) => return Ok(self.accept(answer, link, switches)?),
                Err(Failure::Unsent(body)) => body,
                Err(Failure::Dead(_)) if twice => RequestBody::empty(),
                Err(Failure::Dead(error) | Failure::Final(error)) => return Err(error.into()),
            };
        }
        // Boxed: few requests connect, and all would carry its size around.
        let mut link = match Box::pin(connect(call, fingerprint)).await {
            Ok(link) => link,
            Err(error) => return Err(Failed::unsent(error, body)),
        };
        match link.exchange(head, body, call.timeouts.idle).await {
            Ok(answer) => Ok(self.accept(answer, link, switches)?),
            Err(Failure::Unsent(body)) => Err(Failed::unsent(Error::Closed(None), body)),
            Err(Failure::Dead(error) | Failure::Final(error)) => Err(error.into()),
        }
    }

    fn accept(&self, answer: Answer, mut link: Box<Link>, switches: bool) -> Result<Response<ResponseBody>, Error> {
        let body = if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            if !switches {
                return Err(Error::Protocol("101 to a request that did not ask for it"));
            }
            ResponseBody::Http(UpstreamBody::switched(link.switch()?))
        } else if let Some(whole) = link.whole() {
            // Small answers come with their head: the connection is free before the client has them.
            self.keep(link);
            if whole.is_empty() { ResponseBody::Empty } else { ResponseBody::Full(whole) }
        } else {
            ResponseBody::Http(UpstreamBody::own(link, self))
        };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        // A reason that can't be said is left out.
        if let Some(reason) = answer.reason.and_then(|reason| ReasonPhrase::try_from(reason).ok()) {
            response.extensions_mut().insert(reason);
        }
        Ok(response)
    }
}

async fn connect(call: Call<'_>, fingerprint: u64) -> Result<Box<Link>, Error> {
    let deadline = call.timeouts.connect.map(|limit| Instant::now() + limit);
    let connection = dial::reach(call.address, deadline).await.map_err(|error| match error {
        dial::Error::TimedOut(_) => Error::Timeout(Phase::Connect),
        error => Error::Connect(error),
    })?;
    Link::open(connection, Key::of(call.address), fingerprint, call.keep)
}
