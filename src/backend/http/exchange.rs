//! A request -> an answer, over a kept connection or a new one.
//!
//! In: a call and its request. Out: a response whose body gives the connection back at its end. Never: a retry but on a new connection,
//! once, of what was not sent or is idempotent.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::body::UpstreamBody;
use super::key::{Key, fingerprint};
use super::link::{Failure, Link};
use super::pool::Pool;
use crate::api::v1::HttpProtocol;
use crate::backend::{Error, Failed, Phase, RequestBody, ResponseBody};
use crate::dial::{self, Address};
use crate::route::Timeouts;

/// A connection that rested this long may be closing just now: what can be sent twice is copied before.
const RESTED: Duration = Duration::from_millis(100);

/// How a request is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Where the backend is. Connections are shared by equal addresses: the same `Arc` of a container's root or network, the same path,
    /// port or target.
    pub address: &'a Address,
    /// `connect` and `idle` count here; `request` is the caller's.
    pub timeouts: Timeouts,
    /// Idle connections kept for this address, per thread; 0: none.
    pub keep: usize,
    /// What is spoken.
    pub protocol: HttpProtocol,
}

/// Why there is no answer, and the request if it was not sent.
pub type Unsent = Failed<Box<Request<RequestBody>>>;

/// What an answer may be depends on what was asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    head: bool,
    switch: bool,
}

impl Pool {
    /// Sends a request, and waits for the head of the answer. Bodies are framed here, whatever the fields said: `Content-Length` or
    /// chunks towards the backend (RFC 9112 section 6), none of a chunked answer's framing towards the caller. An answer 101 carries its
    /// upgrade: `hyper::upgrade::on(&mut response)`. Needs a `LocalSet`. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`Error::Connect`] and `Timeout(Connect)` before a connection stands; `Timeout(Backend)`, [`Error::Closed`], [`Error::Http`],
    /// [`Error::Protocol`] for what the backend does; what the request's body said if that broke off. The request itself if it was not sent.
    pub async fn send(&self, call: Call<'_>, mut request: Request<RequestBody>) -> Result<Response<ResponseBody>, Unsent> {
        if call.protocol == HttpProtocol::H2c {
            // Boxed, so that requests over HTTP/1.1 do not carry its size around.
            return Box::pin(self.send_h2(call, request)).await;
        }
        frame(&mut request);
        let fingerprint = fingerprint(call.address);
        let asked =
            Asked { head: request.method() == Method::HEAD, switch: request.headers().contains_key(UPGRADE) && !has_body(&request) };
        if let Some(mut link) = self.take(fingerprint, call.address) {
            // RFC 9110 section 9.2.2: what may be sent twice.
            let twice = request.method().is_idempotent() && link.idle_since.elapsed() >= RESTED;
            let copy = if twice { copy(&request) } else { None };
            request = match link.exchange(request, call.timeouts.idle).await {
                Ok(response) => return Ok(self.accept(response, link, asked)?),
                Err(Failure::Unsent(request)) => *request,
                Err(Failure::Dead(error)) => copy.ok_or(error)?,
                Err(Failure::Final(error)) => return Err(error.into()),
            };
        }
        let mut link = match self.connect(call, fingerprint).await {
            Ok(link) => link,
            Err(error) => return Err(Failed::unsent(error, Box::new(request))),
        };
        match link.exchange(request, call.timeouts.idle).await {
            Ok(response) => Ok(self.accept(response, link, asked)?),
            Err(Failure::Unsent(request)) => Err(Failed::unsent(Error::Closed(None), request)),
            Err(Failure::Dead(error) | Failure::Final(error)) => Err(error.into()),
        }
    }

    async fn connect(&self, call: Call<'_>, fingerprint: u64) -> Result<Box<Link>, Error> {
        let deadline = call.timeouts.connect.map(|limit| Instant::now() + limit);
        let stream = dial::connect(call.address, deadline).await.map_err(|error| match error {
            dial::Error::TimedOut(_) => Error::Timeout(Phase::Connect),
            error => Error::Connect(error),
        })?;
        let mut link = Link::open(stream, Key::of(call.address), fingerprint).await?;
        link.keep = call.keep;
        Ok(link)
    }

    fn accept(&self, response: Response<Incoming>, link: Box<Link>, asked: Asked) -> Result<Response<ResponseBody>, Error> {
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            if !asked.switch {
                return Err(Error::Protocol("101 to a request that did not ask for it"));
            }
            link.detach();
            return Ok(Response::from_parts(parts, ResponseBody::Http(UpstreamBody::none())));
        }
        if parts.headers.remove(TRANSFER_ENCODING).is_some() {
            parts.headers.remove(CONTENT_LENGTH);
        }
        one_length(&mut parts.headers, &body, asked.head);
        let body = UpstreamBody::new(body, link, self);
        Ok(Response::from_parts(parts, ResponseBody::Http(body)))
    }
}

fn has_body(request: &Request<RequestBody>) -> bool {
    request.body().length() != Some(0)
}

/// A length that an answer has several times it has once. hyper has seen to it that they agree.
pub(super) fn one_length(headers: &mut HeaderMap, body: &Incoming, asks_head: bool) {
    let lengths = || headers.get_all(CONTENT_LENGTH).iter();
    if lengths().count() > 1 || lengths().any(|length| length.as_bytes().contains(&b',')) {
        match body.size_hint().exact() {
            Some(length) if length > 0 && !asks_head => headers.insert(CONTENT_LENGTH, length.into()),
            _ => headers.remove(CONTENT_LENGTH),
        };
    }
}

/// Our framing in place of what the client said.
pub(super) fn frame(request: &mut Request<RequestBody>) {
    *request.version_mut() = Version::HTTP_11;
    let length = request.body().length();
    // RFC 9110 section 8.6: a method that has a use for content says so even if there is none.
    let expects = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let headers = request.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    match length {
        None => {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Some(0) if !expects => {
            headers.remove(CONTENT_LENGTH);
        }
        Some(length) => {
            headers.insert(CONTENT_LENGTH, length.into());
        }
    }
}

/// A copy of a request that has no body.
pub(super) fn copy(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    if has_body(request) {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    *copy.version_mut() = request.version();
    Some(copy)
}
