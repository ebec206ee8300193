//! The body of a request, kept while it is sent, so that it can be sent again.
//!
//! In: a body that is small, or may be. Out: the same frames; after a failure the same from the start. Never: more than [`MOST`] bytes of
//! a request; a byte from the client before the backend asks for it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{Error, RequestBody};

/// Bytes of a body that are kept.
const MOST: usize = 64 * 1024;

/// What it takes to send a body again.
#[derive(Debug)]
pub struct Replay(Option<Rc<RefCell<Kept>>>);

#[derive(Debug)]
struct Kept {
    /// What is still to come from the client.
    source: RequestBody,
    /// What came, unless it was too much.
    bytes: Vec<u8>,
    /// All of it came.
    ended: bool,
    /// The client's part broke off, or more came than is kept.
    lost: bool,
    /// Which of the readers is the last: the one before may still be in the hands of a connection that is being closed.
    turn: u32,
}

/// One pass over the body.
#[derive(Debug)]
pub(super) struct Reading {
    kept: Rc<RefCell<Kept>>,
    turn: u32,
    /// Bytes that it has seen.
    at: usize,
    /// Its length in bytes, if the client announced one.
    length: Option<u64>,
}

impl Replay {
    /// The body as it is to be sent, and what it takes to send it again; `None`: it is too large for that.
    #[must_use]
    pub fn of(body: RequestBody) -> (RequestBody, Option<Self>) {
        match body.length() {
            Some(0) => (body, Some(Self(None))),
            Some(length) if length > MOST as u64 => (body, None),
            length => {
                let kept = Kept { source: body, bytes: Vec::new(), ended: false, lost: false, turn: 0 };
                let kept = Rc::new(RefCell::new(kept));
                let reading = Reading { kept: kept.clone(), turn: 0, at: 0, length };
                (RequestBody::again(reading), Some(Self(Some(kept))))
            }
        }
    }

    /// The body from its start. Whoever still reads it is told that it broke off. `None`: too much of it has gone by.
    #[must_use]
    pub fn again(&self) -> Option<RequestBody> {
        let Some(shared) = &self.0 else { return Some(RequestBody::empty()) };
        let reading = {
            let mut kept = shared.borrow_mut();
            kept.turn += 1;
            if kept.lost {
                return None;
            }
            let length = kept.source.length().map(|left| left + kept.bytes.len() as u64);
            Reading { kept: shared.clone(), turn: kept.turn, at: 0, length }
        };
        Some(RequestBody::again(reading))
    }
}

impl Kept {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(Pin::new(&mut self.source).poll_frame(cx)) else {
            self.ended = true;
            return Poll::Ready(None);
        };
        let piece = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => {
                self.lost = true;
                return Poll::Ready(Some(Err(error)));
            }
        };
        self.lost |= self.bytes.len() + piece.len() > MOST;
        if self.lost {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(&piece);
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Reading {
    /// Its length in bytes, if the client announced one.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The limit in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.kept.borrow().source.limit()
    }

    /// Nothing is to come.
    pub(super) fn is_over(&self) -> bool {
        let kept = self.kept.borrow();
        self.at >= kept.bytes.len() && (kept.ended || kept.source.is_end_stream())
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut kept = self.kept.borrow_mut();
        if kept.turn != self.turn {
            return Poll::Ready(Some(Err(Error::Closed(None))));
        }
        let known = kept.bytes.get(self.at..).unwrap_or_default();
        let piece = if known.is_empty() { ready!(kept.poll_more(cx)) } else { Some(Ok(Bytes::copy_from_slice(known))) };
        self.at = kept.bytes.len();
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }
}
