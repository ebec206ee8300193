//! A body -> the same in a content coding, as it comes.
//!
//! In: a body, a coding. Out: frames; whenever the body pauses, the client has all of it so far. Never: a turn that holds the thread for
//! long, a body that is gathered, more memory per stream than [`coder`] allows.

mod coder;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{Error, ResponseBody};
use crate::route::Coding;
use coder::{Coder, Step};

/// What a stream encodes in one turn: a tenth (zstd) to a half (gzip, br) of a millisecond.
const TURN: usize = 32 * 1024;

/// What a part counts for, however short it is.
const SHORTEST: usize = 256;

/// A body in a content coding.
pub struct EncodedBody<B = ResponseBody> {
    inner: B,
    /// What is left of the frame in hand.
    rest: Bytes,
    /// `None`: it is over.
    coder: Option<Coder>,
    /// What was encoded in this turn.
    spent: usize,
    state: State,
}

/// What the coder still holds of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing.
    Flushed,
    /// Something; the body goes on.
    Gathering,
    /// Something; the body has nothing more at the moment, but its peer had no turn yet.
    Pausing,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> EncodedBody<B> {
    /// Encodes a body. `length`: how long it is in bytes, if that is known.
    ///
    /// # Errors
    /// The body as it was, if there is no memory for it.
    pub fn new(inner: B, coding: Coding, length: Option<u64>) -> Result<Self, B> {
        match Coder::new(coding, length) {
            Ok(coder) => Ok(Self { inner, rest: Bytes::new(), coder: Some(coder), spent: 0, state: State::Flushed }),
            Err(error) => {
                tracing::warn!("an answer is not compressed: {error}");
                Err(inner)
            }
        }
    }

    /// Encodes the next part of what is in hand; `None`: the coder keeps it for now.
    fn encode(&mut self) -> Result<Option<Bytes>, Error> {
        let part = self.rest.split_to(self.rest.len().min(TURN.saturating_sub(self.spent)));
        self.spent += part.len().max(SHORTEST);
        self.state = State::Gathering;
        self.step(&part, Step::Go)
    }

    fn step(&mut self, part: &[u8], step: Step) -> Result<Option<Bytes>, Error> {
        let Some(coder) = &mut self.coder else { return Ok(None) };
        let encoded = coder.step(part, step).map_err(Error::Local)?;
        Ok((!encoded.is_empty()).then_some(encoded))
    }

    /// The body has nothing at the moment. What it gets from another task of this thread may be a turn away: only then is it flushed.
    fn pause(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        self.spent = 0;
        match self.state {
            State::Flushed => Poll::Pending,
            State::Gathering => {
                self.state = State::Pausing;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            State::Pausing => {
                self.state = State::Flushed;
                Poll::Ready(self.step(&[], Step::Flush))
            }
        }
    }

    /// Takes what the body has next, and encodes its end.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(frame)) => Poll::Ready(frame.map(|frame| {
                // Trailers speak of the body as it was.
                self.rest = frame.into_data().unwrap_or_default();
                None
            })),
            Poll::Ready(None) => {
                let end = self.step(&[], Step::End);
                self.coder = None;
                Poll::Ready(end)
            }
            Poll::Pending => self.pause(cx),
        }
    }

    /// The next bytes; `None` at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        while self.coder.is_some() {
            let encoded = if self.rest.is_empty() {
                ready!(self.poll_inner(cx))
            } else if self.spent < TURN {
                self.encode()
            } else {
                self.spent = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            };
            match encoded {
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Ok(None) => {}
                Err(error) => {
                    self.coder = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for EncodedBody<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.get_mut().poll_bytes(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.coder.is_none()
    }
}

impl<B: fmt::Debug> fmt::Debug for EncodedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedBody").field("inner", &self.inner).field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
