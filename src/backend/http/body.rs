//! The body of an answer, which gives its connection back.
//!
//! In: hyper's frames. Out: data frames, or an [`Error`] that says whose fault it is. Never: trailers, a connection kept after half an
//! answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::h2::{self, Stream};
use super::link::{Link, poll_silent, translate};
use super::pool::Pool;
use super::silence::Silence;
use super::upload::Progress;
use crate::backend::{Error, Phase};

/// The body of an HTTP backend's answer. Read to its end it gives the connection back; dropped before, it closes it.
pub struct UpstreamBody {
    inner: Option<Incoming>,
    lease: Option<Lease>,
}

/// What it comes over.
enum Lease {
    /// A connection of its own, and where that is kept.
    Own(Box<Link>, Pool),
    /// A place on one that speaks HTTP/2.
    Shared(Box<Stream>),
}

impl UpstreamBody {
    pub(super) fn new(inner: Incoming, link: Box<Link>, pool: &Pool) -> Self {
        if inner.is_end_stream() {
            pool.keep(link);
            return Self::none();
        }
        Self { inner: Some(inner), lease: Some(Lease::Own(link, pool.clone())) }
    }

    /// One that comes over a connection that others use as well.
    pub(super) fn shared(inner: Incoming, stream: Stream) -> Self {
        if inner.is_end_stream() { Self::none() } else { Self { inner: Some(inner), lease: Some(Lease::Shared(Box::new(stream))) } }
    }

    /// A body without bytes.
    pub(super) fn none() -> Self {
        Self { inner: None, lease: None }
    }

    fn finish(&mut self) {
        self.inner = None;
        if let Some(Lease::Own(link, pool)) = self.lease.take() {
            pool.keep(link);
        }
    }
}

impl Lease {
    fn watched(&mut self) -> (&mut Silence, &Progress) {
        match self {
            Self::Own(link, _) => (&mut link.silence, &link.progress),
            Self::Shared(stream) => (&mut stream.silence, &stream.progress),
        }
    }

    fn failed(&self, error: hyper::Error) -> Error {
        match self {
            Self::Own(link, _) => translate(error, &link.progress),
            Self::Shared(stream) => h2::translate(error, &stream.progress),
        }
    }

    fn timed_out(&self) -> Error {
        if let Self::Shared(stream) = self {
            stream.retire();
        }
        Error::Timeout(Phase::Backend)
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let (Some(inner), Some(lease)) = (&mut this.inner, &mut this.lease) else { return Poll::Ready(None) };
        let (silence, progress) = lease.watched();
        let error = match Pin::new(&mut *inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                silence.broken();
                if inner.is_end_stream() {
                    this.finish();
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            // Trailers are dropped unless they are allowed, and no rule allows them yet.
            Poll::Ready(Some(Ok(_)) | None) => {
                this.finish();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => lease.failed(error),
            Poll::Pending if poll_silent(silence, progress, cx).is_pending() => return Poll::Pending,
            Poll::Pending => lease.timed_out(),
        };
        *this = Self::none();
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").field("inner", &self.inner).finish_non_exhaustive()
    }
}
