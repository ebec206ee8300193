//! The body of an answer, which gives its connection back.
//!
//! In: what comes over a connection. Out: data frames, or an [`Error`] that says whose fault it is. Never: trailers, a connection kept after
//! half an answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::h2::{Stream, StreamBody};
use super::link::Link;
use super::pool::Pool;
use super::upgrade::Switched;
use crate::backend::Error;

/// The body of an HTTP backend's answer. Read to its end it gives the connection back; dropped before, it closes it.
#[derive(Default)]
pub struct UpstreamBody(Source);

/// What it comes over.
#[derive(Default)]
enum Source {
    /// It has no bytes, or they are read.
    #[default]
    None,
    /// A connection of its own, and where that is kept.
    Own(Box<Link>, Pool),
    /// A place on one that speaks HTTP/2.
    Shared(Box<StreamBody>),
    /// The connection itself, after a 101.
    Switched(Box<Switched>),
}

impl UpstreamBody {
    pub(super) fn own(link: Box<Link>, pool: &Pool) -> Self {
        Self(Source::Own(link, pool.clone()))
    }

    /// One that comes over a connection that others use as well.
    pub(super) fn shared(inner: Incoming, stream: Stream) -> Self {
        Self(if inner.is_end_stream() { Source::None } else { Source::Shared(Box::new(StreamBody::new(inner, stream))) })
    }

    pub(super) fn switched(switched: Switched) -> Self {
        Self(Source::Switched(Box::new(switched)))
    }

    /// The connection, if this stands for one.
    pub(in crate::backend) fn take_switched(&mut self) -> Option<Switched> {
        match std::mem::take(&mut self.0) {
            Source::Switched(switched) => Some(*switched),
            other => {
                self.0 = other;
                None
            }
        }
    }

    fn finish(&mut self) {
        if let Source::Own(link, pool) = std::mem::take(&mut self.0) {
            pool.keep(link);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let (mut piece, over) = match &mut this.0 {
            Source::None | Source::Switched(_) => return Poll::Ready(None),
            Source::Own(link, _) => {
                let piece = std::task::ready!(link.poll_data(cx));
                (piece, link.is_over())
            }
            Source::Shared(body) => {
                let piece = std::task::ready!(body.poll_data(cx));
                (piece, Ok(body.is_over()))
            }
        };
        let over = over.unwrap_or_else(|error| {
            piece = Some(Err(error));
            true
        });
        match &piece {
            Some(Err(_)) => this.0 = Source::None,
            Some(Ok(_)) if !over => {}
            _ => this.finish(),
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Source::None | Source::Switched(_))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::None | Source::Switched(_) => SizeHint::with_exact(0),
            Source::Own(link, _) => link.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Source::Shared(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").field("length", &self.size_hint().exact()).finish_non_exhaustive()
    }
}
