//! A request -> the head of its answer, and a body that goes on from there.
//!
//! In: a [`Call`]. Out: a response, as soon as its head is there. Never: a second try of a request that the application may have seen,
//! but for a kept connection that was dead.
//!
//! `upload` sends the parameters and the `content`, which `spool` measures if nobody else did; `head` reads the answer's first lines,
//! `stderr` takes the complaints; `transfer` does both at once, up to the answer's head here, and in `body` from there on.

mod body;
mod content;
pub mod head;
mod spool;
mod stderr;
mod transfer;
mod upload;

use std::future::poll_fn;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode, header};
use tokio::time::Instant;

use self::head::{Head, HeadError, MAX_HEAD};
use self::stderr::StderrLog;
use self::transfer::Output;
use self::upload::Upload;
use super::params::environment::{self, Request};
use super::pool::{Home, Pool};
use crate::backend::wire::Wire;
use crate::backend::{Error, Failed, Phase, ResponseBody};
use crate::dial::{self, Address, Connection};
use crate::route::{CompiledApp, FastcgiSettings, Timeouts};

pub use self::body::StdoutBody;
pub use self::content::Content;
pub use self::head::LocalRedirect;
pub(super) use self::transfer::Transfer;

/// A request for a FastCGI backend.
#[derive(Debug)]
pub struct Call<'a> {
    /// The App that was matched. Kept connections belong to it: a changed App starts with none.
    pub app: &'a Arc<CompiledApp>,
    /// Index in [`CompiledApp::backends`].
    pub backend: usize,
    /// Index in its endpoints.
    pub endpoint: usize,
    /// That backend's settings.
    pub settings: &'a FastcgiSettings,
    /// What the application is told.
    pub request: Request<'a>,
    /// The request's body.
    pub content: Content,
    /// A body of unknown length is not read before a connection stands.
    pub patient: bool,
    /// `connect` and `idle` count here; `request` is the caller's.
    pub timeouts: Timeouts,
}

impl Pool {
    /// Sends a request and waits for the head of its answer. Dropped before that, or with the answer's body, it closes the connection.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Connect`] or [`Error::Timeout`] without a connection; [`Error::Protocol`] or [`Error::Closed`]
    /// for an answer that is none; what the request's body says, if the head of the answer has not come by then. The body itself if nothing
    /// was sent.
    pub async fn exchange(&self, call: Call<'_>) -> Result<Response<ResponseBody>, Failed<Content>> {
        let Call { app, backend, endpoint, settings, request, content, patient, timeouts } = call;
        let target = app.backends.get(backend).ok_or(Error::Unavailable)?;
        let address = target.endpoints.get(endpoint).and_then(|endpoint| endpoint.address.as_ref()).ok_or(Error::Unavailable)?;
        let home = Home::new(self, app, (backend, endpoint), target.keep);

        let fields = request.headers;
        let announced = fields.contains_key(header::CONTENT_LENGTH) || fields.contains_key(header::TRANSFER_ENCODING);
        let content = if content.is_measured() { content } else { Box::pin(measured(content, address, patient, &timeouts)).await? };
        let length = content.length();
        let content_length = (announced || length > 0).then_some(length);
        let mut upload = Upload::new(environment::encode(settings, &request, content_length, home.is_some()), content);

        // The backend may close a kept connection at the moment that a request goes out on it: only one that can be sent again takes that
        // chance. Any other gets a new connection; the kept one is closed, for it may hold the application's last worker.
        let repeats = length == 0 && request.method.is_idempotent();
        let mut kept = home.as_ref().and_then(Home::kept).filter(|_| repeats);
        let mut seen = false;
        loop {
            let (wire, reused) = match kept.take() {
                Some(wire) => (wire, true),
                None => match connect(address, &timeouts).await {
                    Ok(wire) => (wire, false),
                    Err(error) => return Err(Failed { error, unsent: upload.into_content().filter(|_| !seen) }),
                },
            };
            let stderr = StderrLog::new(app.clone(), backend, request.request_id, self.shard().clone());
            let mut transfer = Transfer::new(wire, upload, stderr, self.timers().lend(timeouts.idle));
            match read_head(&mut transfer).await {
                Ok((head, rest)) => return Ok(respond(head, rest, transfer, request.method, home)?),
                Err(error @ Error::Closed(_)) if reused && transfer.is_unanswered() => {
                    upload = transfer.into_upload().ok_or(error)?;
                    seen = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The content with its length, which is known once it has been read. If it is to be `patient`, only when the backend is there.
async fn measured(content: Content, address: &Address, patient: bool, timeouts: &Timeouts) -> Result<Content, Failed<Content>> {
    if patient && let Err(error) = connect(address, timeouts).await {
        return Err(Failed::unsent(error, content));
    }
    Ok(content.measured().await?)
}

/// Mostly the backend is a unix socket whose queue has room. Anything else is boxed: no request carries the size of that wait around.
pub(super) async fn connect(address: &Address, timeouts: &Timeouts) -> Result<Wire, Error> {
    let connection = match dial::at_hand(address) {
        Some(connection) => connection,
        None => Box::pin(reach(address, timeouts)).await?,
    };
    Wire::new(connection).map_err(Error::Local)
}

async fn reach(address: &Address, timeouts: &Timeouts) -> Result<Connection, Error> {
    let deadline = timeouts.connect.and_then(|limit| Instant::now().checked_add(limit));
    dial::reach(address, deadline).await.map_err(|error| match error {
        dial::Error::TimedOut(_) => Error::Timeout(Phase::Connect),
        error => Error::Connect(error),
    })
}

/// Reads up to the blank line; returns the head, and what of the body came with it.
async fn read_head(transfer: &mut Transfer) -> Result<(Head, Bytes), Error> {
    let mut gathered = BytesMut::new();
    loop {
        let Output::Data(mut bytes) = poll_fn(|cx| transfer.poll_output(cx)).await? else {
            return Err(Error::Protocol("the answer has no end of its head"));
        };
        // Nearly always the first piece holds the whole head, which is then not copied.
        let found = if gathered.is_empty() {
            head::find_end(&bytes, 0).map(|end| (bytes.split_to(end), std::mem::take(&mut bytes)))
        } else {
            let searched = gathered.len();
            gathered.extend_from_slice(&bytes);
            bytes.clear();
            head::find_end(&gathered, searched).map(|end| {
                let rest = gathered.split_off(end).freeze();
                (std::mem::take(&mut gathered).freeze(), rest)
            })
        };
        gathered.extend_from_slice(&bytes);
        let length = found.as_ref().map_or(gathered.len(), |(head, _)| head.len());
        if length > MAX_HEAD {
            return Err(Error::Protocol("the answer's head is too long"));
        }
        if let Some((head, rest)) = found {
            let head = head::parse(&head).map_err(|HeadError(words)| Error::Protocol(words))?;
            return Ok((head, rest));
        }
    }
}

/// An answer that is whole already has a known length and needs no connection; any other one streams.
fn respond(head: Head, rest: Bytes, mut transfer: Transfer, method: &Method, home: Option<Home>) -> Result<Response<ResponseBody>, Error> {
    let Head { status, mut headers, length, is_local } = head;
    if status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
    }
    let bodiless = method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);

    let mut ready = [rest, Bytes::new()];
    let mut ended = false;
    while !ended && ready[1].is_empty() {
        match transfer.output_in_hand()? {
            None => break,
            Some(Output::End) => ended = true,
            // Without a body there is nowhere to put it.
            Some(Output::Data(_)) if bodiless => {}
            Some(Output::Data(bytes)) if ready[0].is_empty() => ready[0] = bytes,
            Some(Output::Data(bytes)) => ready[1] = bytes,
        }
    }
    let body = if ended {
        if let Some(home) = home {
            home.take_back(transfer);
        }
        if bodiless { ResponseBody::Empty } else { whole(ready, length)? }
    } else if bodiless {
        // Nobody waits for what the application may still say: the connection closes, as nginx does it.
        ResponseBody::Empty
    } else {
        ResponseBody::Fastcgi(Box::new(StdoutBody::new(ready, length, transfer, home)))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if is_local {
        response.extensions_mut().insert(LocalRedirect);
    }
    Ok(response)
}

/// The body of an answer that has ended, no longer than it announced.
fn whole([mut first, second]: [Bytes; 2], length: Option<u64>) -> Result<ResponseBody, Error> {
    if !second.is_empty() {
        first = [first, second].concat().into();
    }
    if let Some(length) = length {
        if (first.len() as u64) < length {
            return Err(Error::Closed(None));
        }
        first.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    }
    Ok(ResponseBody::Full(first))
}
