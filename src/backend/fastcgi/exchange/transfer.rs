//! One request on one connection: sends and receives at the same time, within one task.
//!
//! In: a connection, an [`Upload`]. Out: the pieces of the answer, when they are asked for. Never: a read that nobody asked for, a
//! connection that outlives its request unless the request has ended as it should.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, Sleep};

use super::super::record::{Decoder, Event, RecordError};
use super::stderr::StderrLog;
use super::upload::{Upload, Waiting};
use crate::backend::{Error, Phase};
use crate::dial::Stream;

/// Room for a read, at first: most answers fit.
const FIRST_READ: usize = 8 * 1024;
/// Room for a read, once one has filled the first: a whole record.
const LARGE_READ: usize = 64 * 1024;

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
    stream: Stream,
    decoder: Decoder,
    upload: Upload,
    stderr: StderrLog,
    idle: Idle,
    read_size: usize,
    /// It has said something, in whatever record.
    received: bool,
    /// It has said something to the client.
    answered: bool,
}

impl Transfer {
    /// Starts a request; `idle`: how long the backend may neither take nor give a byte.
    pub(super) fn new(stream: Stream, upload: Upload, stderr: StderrLog, idle: Option<Duration>) -> Self {
        let idle = Idle { limit: idle, timer: None, armed: false };
        Self { stream, decoder: Decoder::default(), upload, stderr, idle, read_size: FIRST_READ, received: false, answered: false }
    }

    /// The next piece of the answer; meanwhile the request is sent.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<Output, Error>> {
        loop {
            if let Some(output) = self.output_in_hand()? {
                return Poll::Ready(Ok(output));
            }
            let (waiting, moved) = self.upload.poll(cx, &mut self.stream)?;
            let received = self.poll_read(cx)?;
            if moved || received.is_ready() {
                self.idle.disarm();
            }
            if received.is_ready() {
                continue;
            }
            if waiting == Waiting::Body {
                // It is the client that is slow, and the body has a limit for that.
                self.idle.disarm();
                return Poll::Pending;
            }
            ready!(self.idle.poll(cx));
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
    pub(in crate::backend::fastcgi) fn into_reusable(self) -> Option<Stream> {
        (self.upload.is_complete() && self.decoder.is_spent()).then_some(self.stream)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Error> {
        let buffer = self.decoder.buffer();
        if buffer.capacity() - buffer.len() < self.read_size / 4 {
            buffer.reserve(self.read_size);
        }
        let room = buffer.capacity() - buffer.len();
        let read = pin!(self.stream.read_buf(buffer)).poll(cx);
        match read {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0)) => Err(Error::Closed(None)),
            Poll::Ready(Ok(count)) => {
                self.received = true;
                if count == room {
                    self.read_size = LARGE_READ;
                }
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

/// A limit on silence. It runs only while somebody waits: time in which the client does not take the answer does not count.
#[derive(Debug)]
struct Idle {
    limit: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Idle {
    fn disarm(&mut self) {
        self.armed = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.armed {
            if let Some(deadline) = Instant::now().checked_add(limit) {
                timer.as_mut().reset(deadline);
            }
            self.armed = true;
        }
        timer.as_mut().poll(cx)
    }
}
