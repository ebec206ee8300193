//! The body of an answer over HTTP/2.
//!
//! In: hyper's frames. Out: data, or an [`Error`] that says whose fault it is. Never: trailers: no rule allows them yet.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, SizeHint};
use hyper::body::Incoming;

use super::link::{Stream, poll_silent};
use super::translate;
use crate::backend::{Error, Phase};

/// What comes over one place of a connection.
#[derive(Debug)]
pub(in crate::backend::http) struct StreamBody {
    inner: Incoming,
    stream: Stream,
}

impl StreamBody {
    pub(in crate::backend::http) fn new(inner: Incoming, stream: Stream) -> Self {
        Self { inner, stream }
    }

    /// The next piece; none: that was all.
    pub(in crate::backend::http) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let stream = &mut self.stream;
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                stream.silence.broken();
                Poll::Ready(frame.into_data().ok().map(Ok))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(translate(error, &stream.progress)))),
            Poll::Pending => poll_silent(&mut stream.silence, &stream.progress, cx).map(|()| {
                stream.retire();
                Some(Err(Error::Timeout(Phase::Backend)))
            }),
        }
    }

    pub(in crate::backend::http) fn is_over(&self) -> bool {
        self.inner.is_end_stream()
    }

    pub(in crate::backend::http) fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
