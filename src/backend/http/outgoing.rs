//! A request on its way to the backend's socket.
//!
//! In: a head, a body. Out: bytes written, as far as the backend takes them. Never: a piece of the body before the last one has gone; an error
//! because the backend no longer listens: it may have answered already (413, say).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use tokio::time::Instant;

use super::head::{Framed, Head};
use crate::backend::digits::digits;
use crate::backend::wire::Wire;
use crate::backend::{Error, RequestBody};

/// Pieces up to this size are copied behind the head, or behind each other, so that one write does.
const GATHERED: usize = 16 * 1024;
/// What a connection that rests may hold.
const RESTING: usize = 4 * 1024;

/// What is to be written, in this order: lead, data, tail; then more of the body.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The head, sizes of chunks, small pieces.
    lead: Vec<u8>,
    data: Bytes,
    tail: &'static [u8],
    /// Bytes of the three that are written.
    written: usize,
    /// What is still to come; none: that was all.
    body: Option<RequestBody>,
    /// Bytes that are still to come; none: chunks.
    left: Option<u64>,
    state: State,
    /// When the backend last took a part of a body.
    pub(super) moved: Option<Instant>,
    /// The next part has to come from the client: the backend's silence is no fault.
    pub(super) awaits_client: bool,
}

/// How far it is.
#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// The backend has taken a byte.
    begun: bool,
    /// The body has given a piece.
    opened: bool,
    /// It was waited for the body once, so that head and body go in one write.
    waited: bool,
}

/// Why it can't go on.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The connection was closed before it took a byte.
    Unsent(io::Error),
    /// The body broke off.
    Body(Error),
}

impl Outgoing {
    /// Starts with another request.
    pub(super) fn begin(&mut self, head: &Head<'_>, body: RequestBody) {
        self.clear();
        let framed = head.framed(body.length());
        head.write(framed, &mut self.lead);
        self.left = match framed {
            Framed::None => Some(0),
            Framed::Sized(length) => Some(length),
            Framed::Chunked => None,
        };
        self.body = Some(body).filter(|_| self.left != Some(0));
        (self.state, self.moved, self.awaits_client) = (State::default(), None, false);
    }

    /// All of it is written.
    pub(super) fn is_over(&self) -> bool {
        self.body.is_none() && self.lead.is_empty()
    }

    /// The body, if none of it was taken.
    pub(super) fn take_back(&mut self) -> Option<RequestBody> {
        if self.state.opened { None } else { Some(self.body.take().unwrap_or_else(RequestBody::empty)) }
    }

    /// For a connection that rests.
    pub(super) fn rest(&mut self) {
        self.lead.shrink_to(RESTING);
    }

    /// Writes as much as it can; ready once that was all. `old`: the connection has been in use before.
    pub(super) fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>, old: bool) -> Poll<Result<(), Stopped>> {
        loop {
            self.awaits_client = false;
            let more = self.poll_gather(cx).map_err(Stopped::Body)?;
            if self.lead.is_empty() && self.data.is_empty() {
                // Nothing is left to write, and nothing more has come.
                self.awaits_client = more.is_pending();
                return more.map(Ok);
            }
            if more.is_pending() && self.waits(cx) {
                return Poll::Pending;
            }
            match ready!(wire.poll_write(cx, self.parts())) {
                Ok(count) => self.wrote(count),
                Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                    if old && !self.state.begun {
                        return Poll::Ready(Err(Stopped::Unsent(error)));
                    }
                    // What can't be written any more goes nowhere; the read side tells what happened: an answer, the end, or a reset.
                    self.clear();
                    self.body = None;
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(Stopped::Body(Error::Closed(Some(error))))),
            }
        }
    }

    /// Takes pieces of the body until there is enough to write; ready: no more of them is needed now.
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.written == 0 && self.data.is_empty() && self.lead.len() < GATHERED {
            let Some(body) = &mut self.body else { break };
            let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
            let is_last = body.is_end_stream();
            self.state.opened = true;
            let piece = frame.transpose()?.and_then(|frame| frame.into_data().ok());
            let is_last = is_last || piece.is_none();
            self.add(piece.unwrap_or_default(), is_last)?;
        }
        Poll::Ready(Ok(()))
    }

    fn add(&mut self, mut piece: Bytes, is_last: bool) -> Result<(), Error> {
        let mut tail: &'static [u8] = b"";
        if let Some(left) = &mut self.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
            match *left {
                0 => self.body = None,
                // Less than was said: the backend would wait for ever.
                _ if is_last => return Err(Error::Closed(None)),
                _ => {}
            }
        } else {
            // A chunk without bytes would be the last.
            if !piece.is_empty() {
                digits(&mut self.lead, piece.len() as u64, 16);
                self.lead.extend_from_slice(b"\r\n");
                tail = b"\r\n";
            }
            if is_last {
                self.body = None;
                tail = if piece.is_empty() { b"0\r\n\r\n" } else { b"\r\n0\r\n\r\n" };
            }
        }
        if self.lead.len() + piece.len() <= GATHERED {
            self.lead.extend_from_slice(&piece);
            self.lead.extend_from_slice(tail);
        } else {
            (self.data, self.tail) = (piece, tail);
        }
        Ok(())
    }

    /// Whether the head waits for a small body, which may be there already: the client's connection hands it over when it is asked a second
    /// time. Once, and no longer: one write less, and one event less for the backend.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        let is_small = self.left.is_some_and(|left| left <= GATHERED as u64);
        let waits = is_small && !self.state.opened && !self.state.waited;
        if waits {
            self.state.waited = true;
            cx.waker().wake_by_ref();
        }
        waits
    }

    fn parts(&self) -> [&[u8]; 3] {
        let mut skip = self.written;
        [&self.lead[..], &self.data[..], self.tail].map(|part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            &part[skipped..]
        })
    }

    fn wrote(&mut self, count: usize) {
        self.state.begun |= count > 0;
        if self.state.opened {
            self.moved = Some(Instant::now());
        }
        self.written += count;
        if self.written >= self.lead.len() + self.data.len() + self.tail.len() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.lead.clear();
        self.data = Bytes::new();
        (self.tail, self.written) = (b"", 0);
    }
}
