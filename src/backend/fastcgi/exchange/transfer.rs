//! One request on one connection: sends and receives at the same time, within one task.
//!
//! In: a connection, an [`Upload`]. Out: the pieces of the answer, when they are asked for. Never: a read that nobody asked for, a
//! connection that outlives its request unless the request has ended as it should.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::super::record::{Decoder, Event, RecordError};
use super::super::timers::Lent;
use super::stderr::StderrLog;
use super::upload::{Upload, Waiting};
use crate::backend::wire::{SMALL, Wire};
use crate::backend::{Error, Phase};

/// What is read at once where more than a little is expected: a whole record.
const LARGE: usize = 64 * 1024;

/// `FCGI_OVERLOADED`: the request was not taken, for lack of some resource (specification section 5.5).
const OVERLOADED: u8 = 2;

/// What a backend has to say to the client.
#[derive(Debug)]
pub(super) enum Output {
    /// A piece of the answer; never empty.
    Data(Bytes),
    /// The answer is whole.
    End,
}

/// A request on a connection. Dropped before its end, it closes the connection, and the backend knows that nobody waits.
#[derive(Debug)]
pub(in crate::backend::fastcgi) struct Transfer {
    wire: Wire,
    decoder: Decoder,
    upload: Upload,
    stderr: StderrLog,
    /// How long the backend has neither taken nor given a byte. It is counted only while somebody waits: not the time in which the client
    /// does not take the answer.
    silence: Lent,
    /// The last read has filled what there was room for: more is to be expected.
    flows: bool,
    /// It has said something, in whatever record.
    received: bool,
    /// It has said something to the client.
    answered: bool,
}

impl Transfer {
    /// Starts a request; `silence`: how long the backend may neither take nor give a byte.
    pub(super) fn new(wire: Wire, upload: Upload, stderr: StderrLog, silence: Lent) -> Self {
        Self { wire, decoder: Decoder::default(), upload, stderr, silence, flows: false, received: false, answered: false }
    }

    /// The next piece of the answer; meanwhile the request is sent.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<Output, Error>> {
        loop {
            if let Some(output) = self.output_in_hand()? {
                return Poll::Ready(Ok(output));
            }
            let (waiting, moved) = self.upload.poll(cx, &mut self.wire)?;
            let received = self.poll_read(cx)?;
            if moved || received.is_ready() {
                self.silence.broken();
            }
            if received.is_ready() {
                continue;
            }
            if waiting == Waiting::Body {
                // It is the client that is slow, and the body has a limit for that.
                self.silence.broken();
                return Poll::Pending;
            }
            ready!(self.silence.poll_over(cx));
            return Poll::Ready(Err(Error::Timeout(Phase::Backend)));
        }
    }

    /// What has been received already; `None`: nothing more without waiting.
    pub(super) fn output_in_hand(&mut self) -> Result<Option<Output>, Error> {
        while let Some(event) = self.decoder.event().map_err(|RecordError(words)| Error::Protocol(words))? {
            match event {
                Event::Stdout(bytes) => {
                    self.answered = true;
                    return Ok(Some(Output::Data(bytes)));
                }
                Event::Stderr(bytes) => self.stderr.write(&bytes),
                Event::EndRequest { protocol_status: 0, .. } => return Ok(Some(Output::End)),
                // It has not begun.
                Event::EndRequest { protocol_status: OVERLOADED, .. } if !self.answered => return Err(Error::Refused),
                Event::EndRequest { protocol_status, .. } => return Err(Error::Protocol(refusal(protocol_status))),
            }
        }
        Ok(None)
    }

    /// The backend has not said a byte.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.received
    }

    /// The request again, if it can be sent again.
    pub(super) fn into_upload(self) -> Option<Upload> {
        self.upload.rewound()
    }

    /// The connection, if request and answer are whole and nothing is left over.
    pub(in crate::backend::fastcgi) fn into_reusable(self) -> Option<Wire> {
        (self.upload.is_complete() && self.decoder.is_spent()).then_some(self.wire)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Error> {
        let read = if self.flows { self.wire.poll_read_large(cx, LARGE) } else { self.wire.poll_read_small(cx) };
        match read {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(bytes)) if bytes.is_empty() => Err(Error::Closed(None)),
            Poll::Ready(Ok(bytes)) => {
                self.received = true;
                self.flows = bytes.len() >= SMALL;
                self.decoder.add(bytes);
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(error)) => Err(Error::Closed(Some(error))),
        }
    }
}

/// Specification section 5.5.
fn refusal(protocol_status: u8) -> &'static str {
    match protocol_status {
        1 => "it can't take a second request on one connection",
        OVERLOADED => "it is overloaded",
        3 => "it is no responder",
        _ => "the request ended with an unknown status",
    }
}
