//! One connection to a backend, and one exchange on it.
//!
//! In: a connected stream, a framed request. Out: hyper's response, or why there is none and whether the request may be sent again.
//! Never: a second exchange before the first is over.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::key::Key;
use super::silence::Silence;
use super::upload::{Progress, Upload};
use super::wire::Wire;
use crate::backend::{Error, Phase, RequestBody};
use crate::dial::Stream;

/// What hyper may hold of an answer's head, and of either body, per connection.
pub(super) const BUFFER: usize = 128 * 1024;

/// A connection. Dropping it closes it, whatever its task is doing.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) key: Key,
    pub(super) fingerprint: u64,
    /// How many of its kind may be kept idle.
    pub(super) keep: usize,
    /// When it last became idle.
    pub(super) idle_since: Instant,
    pub(super) silence: Silence,
    pub(super) progress: Rc<Progress>,
    /// The backend speaks HTTP/1.1 and has not said that it closes.
    reusable: bool,
    sender: SendRequest<Upload>,
    task: Option<AbortHandle>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing of the request was sent: here it is.
    Unsent(Box<Request<RequestBody>>),
    /// The connection ended before the first byte of an answer; the request may have been worked on.
    Dead(Error),
    /// Anything else.
    Final(Error),
}

impl Link {
    pub(super) async fn open(stream: Stream, key: Key, fingerprint: u64) -> Result<Box<Self>, Error> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER);
        let (sender, connection) = builder.handshake(TokioIo::new(Wire(stream))).await.map_err(Error::Http)?;
        let task = tokio::task::spawn_local(connection.with_upgrades());
        Ok(Box::new(Self {
            key,
            fingerprint,
            keep: 0,
            idle_since: Instant::now(),
            silence: Silence::default(),
            progress: Rc::default(),
            reusable: true,
            sender,
            task: Some(task.abort_handle()),
        }))
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn exchange(&mut self, request: Request<RequestBody>, idle: Option<Duration>) -> Result<Response<Incoming>, Failure> {
        match Rc::get_mut(&mut self.progress) {
            Some(progress) => *progress = Progress::default(),
            // The last request's body still holds it.
            None => self.progress = Rc::default(),
        }
        self.silence.limit(idle);
        let progress = self.progress.clone();
        let mut response = pin!(self.sender.try_send_request(request.map(|body| Upload { body, progress })));
        let answer = poll_fn(|cx| match response.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => poll_silent(&mut self.silence, &self.progress, cx).map(|()| None),
        });
        match answer.await {
            Some(Ok(response)) => {
                self.reusable = response.version() == Version::HTTP_11;
                self.silence.broken();
                Ok(response)
            }
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Failure::Unsent(Box::new(request.map(into_request_body))),
                None => match translate(error.into_error(), &self.progress) {
                    error @ Error::Closed(_) => Failure::Dead(error),
                    error => Failure::Final(error),
                },
            }),
            None => Err(Failure::Final(Error::Timeout(Phase::Backend))),
        }
    }

    /// Whether another request may be sent on it. Not while a request's body is still on its way, and not after HTTP/1.0, which hyper
    /// would go on speaking and which has no bodies of unknown length.
    pub(super) fn is_ready(&self) -> bool {
        self.reusable && self.sender.is_ready()
    }

    /// Lets the task end by itself: the stream belongs to the upgrade now.
    pub(super) fn detach(mut self) {
        self.task = None;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// What hyper's error means. The request's body put its own aside.
pub(super) fn translate(error: hyper::Error, progress: &Progress) -> Error {
    if let Some(failure) = progress.failure.take() {
        return failure;
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Error::Closed(None);
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind) {
        Some(
            kind @ (io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof),
        ) => Error::Closed(Some(kind.into())),
        _ => Error::Http(error),
    }
}

pub(super) fn into_request_body(upload: Upload) -> RequestBody {
    // `Upload` has a drop of its own, so its body is swapped out, not moved.
    let mut upload = upload;
    std::mem::replace(&mut upload.body, RequestBody::empty())
}

/// Ready once neither side of a backend has moved for too long.
pub(super) fn poll_silent(silence: &mut Silence, progress: &Progress, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        ready!(silence.poll_over(cx));
        if progress.awaits_client.get() {
            silence.broken();
        } else if !progress.moved.get().is_some_and(|moved| silence.broken_at(moved)) {
            return Poll::Ready(());
        }
    }
}
