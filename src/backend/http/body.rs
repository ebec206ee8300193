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

use super::link::{Link, translate};
use super::pool::Pool;
use crate::backend::{Error, Phase};

/// The body of an HTTP backend's answer. Read to its end it gives the connection back; dropped before, it closes it.
pub struct UpstreamBody {
    inner: Option<Incoming>,
    link: Option<(Box<Link>, Pool)>,
}

impl UpstreamBody {
    pub(super) fn new(inner: Incoming, link: Box<Link>, pool: &Pool) -> Self {
        if inner.is_end_stream() {
            pool.keep(link);
            return Self::none();
        }
        Self { inner: Some(inner), link: Some((link, pool.clone())) }
    }

    /// A body without bytes.
    pub(super) fn none() -> Self {
        Self { inner: None, link: None }
    }

    fn finish(&mut self) {
        self.inner = None;
        if let Some((link, pool)) = self.link.take() {
            pool.keep(link);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let (Some(inner), Some((link, _))) = (&mut this.inner, &mut this.link) else { return Poll::Ready(None) };
        let error = match Pin::new(&mut *inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                link.silence.broken();
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
            Poll::Ready(Some(Err(error))) => translate(error, &link.progress),
            Poll::Pending if link.poll_silent(cx).is_pending() => return Poll::Pending,
            Poll::Pending => Error::Timeout(Phase::Backend),
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
