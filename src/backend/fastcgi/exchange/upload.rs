//! The way of a request to the backend: its head, then its body as `STDIN` records.
//!
//! In: a head, a body of known length. Out: as much as the connection takes. Never: more than one piece of the body in hand.

use std::task::{Context, Poll};

use bytes::{Buf, Bytes};

use super::super::record::{self, MAX_CONTENT, Outgoing};
use super::content::Content;
use crate::backend::Error;
use crate::backend::wire::Wire;

/// Ends the `STDIN` stream.
const END: [u8; record::HEADER] = record::header(Outgoing::Stdin, 0);

/// Why an upload does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It is all sent, or the backend takes no more.
    Nothing,
    /// The body's next piece is not there.
    Body,
    /// The connection is full.
    Backend,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Upload {
    /// The request's head, with the stream's end if there is no body; later the header of each record. `sent` bytes of it are gone.
    head: Vec<u8>,
    sent: usize,
    /// The content of the record in hand.
    chunk: Bytes,
    /// What of the body's last piece did not fit into this record.
    rest: Bytes,
    /// What is left of the stream's end, once it may be sent.
    end: &'static [u8],
    content: Content,
    /// Bytes that `CONTENT_LENGTH` announced and that are still to come.
    left: u64,
    /// Some of the body is sent: there is no way back.
    body_sent: bool,
    /// The backend takes no more.
    refused: bool,
}

impl Upload {
    /// A request with a measured body.
    pub(super) fn new(mut head: Vec<u8>, content: Content) -> Self {
        let length = content.length();
        if length == 0 {
            // In one piece: a vector costs the kernel more.
            head.extend_from_slice(&END);
        }
        let (chunk, rest) = (Bytes::new(), Bytes::new());
        Self { head, sent: 0, chunk, rest, end: &[], content, left: length, body_sent: false, refused: false }
    }

    /// Sends what can be sent, and says whether that was anything.
    ///
    /// # Errors
    /// The body's. A backend that takes no more is no error: it may have answered already.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wire: &mut Wire) -> Result<(Waiting, bool), Error> {
        let mut moved = false;
        if self.refused {
            return Ok((Waiting::Nothing, moved));
        }
        loop {
            let starved = self.fill(cx)?;
            if self.is_drained() {
                return Ok((if starved { Waiting::Body } else { Waiting::Nothing }, moved));
            }
            match wire.poll_write(cx, [&self.head[self.sent..], &self.chunk, self.end]) {
                Poll::Pending => return Ok((Waiting::Backend, moved)),
                Poll::Ready(Ok(count)) if count > 0 => self.advance(count),
                Poll::Ready(_) => {
                    self.refused = true;
                    return Ok((Waiting::Nothing, moved));
                }
            }
            moved = true;
        }
    }

    /// Everything is sent.
    pub(super) fn is_complete(&self) -> bool {
        self.left == 0 && self.is_drained() && !self.refused
    }

    /// The body, if none of it was taken.
    pub(super) fn into_content(self) -> Option<Content> {
        (self.left == self.content.length()).then_some(self.content)
    }

    /// The same request from its start, for another connection; `None`: some of the body is gone.
    pub(super) fn rewound(self) -> Option<Self> {
        // Without a body the head has it.
        let end: &[u8] = if self.left == 0 && self.content.length() > 0 { &END } else { &[] };
        (!self.body_sent).then_some(Self { sent: 0, end, refused: false, ..self })
    }

    /// Takes the body's next piece, if the last one is gone. True: it is not there yet.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<bool, Error> {
        if !self.chunk.is_empty() || self.left == 0 {
            return Ok(false);
        }
        while self.rest.is_empty() {
            match self.content.poll_piece(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(piece)) => self.rest = piece?,
                // hyper reports a body that ends early as an error of its own; this is for a source that does not.
                Poll::Ready(None) => return Err(Error::Local(std::io::ErrorKind::UnexpectedEof.into())),
            }
        }
        self.chunk = self.rest.split_to(self.rest.len().min(MAX_CONTENT));
        self.left = self.left.checked_sub(self.chunk.len() as u64).ok_or(Error::Local(std::io::ErrorKind::InvalidData.into()))?;
        // As long as nothing of the body is gone, the head stays: another connection may need it.
        if self.body_sent && self.sent == self.head.len() {
            self.head.clear();
            self.sent = 0;
        }
        // `chunk` was cut to what fits.
        let length = u16::try_from(self.chunk.len()).unwrap_or(u16::MAX);
        self.head.extend_from_slice(&record::header(Outgoing::Stdin, length));
        if self.left == 0 {
            self.end = &END;
        }
        Ok(false)
    }

    fn is_drained(&self) -> bool {
        self.sent == self.head.len() && self.chunk.is_empty() && self.end.is_empty()
    }

    fn advance(&mut self, count: usize) {
        let of_head = count.min(self.head.len() - self.sent);
        self.sent += of_head;
        let of_chunk = (count - of_head).min(self.chunk.len());
        self.chunk.advance(of_chunk);
        self.body_sent |= of_chunk > 0;
        self.end = &self.end[count - of_head - of_chunk..];
    }
}
