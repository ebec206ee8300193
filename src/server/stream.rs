//! A client's stream: the bytes that the guard lets pass, noted in the connection's pulse, files that the kernel sends, and an end that does
//! not cut off the answer.
//!
//! In: an accepted socket. Out: what hyper reads and writes. Never: a byte of a request that is refused, or of a stand-in.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::intake::{Intake, Next};
use super::pulse::{Phase, Pulse};
use super::turn::Turn;
use crate::backend::files::{StandIns, is_stand_in};

/// How long a client that still sends is listened to after our end.
const LINGER: Duration = Duration::from_secs(2);
/// How long an answer may take after the client has ended its side: it may wait for it, or be gone, and then its backend is set free.
const HALF_CLOSED: Duration = Duration::from_secs(1);
/// Slices that are not longer in all are written as one: a head with a small body.
const TOGETHER: usize = 4096;

/// A client's stream.
#[derive(Debug)]
pub(super) struct ClientStream {
    inner: TcpStream,
    pulse: Arc<Pulse>,
    intake: Intake,
    /// What stands in for files in that which is written.
    stand_ins: StandIns,
    turn: Turn,
    /// Our side is ended.
    shut: bool,
    /// For one end or the other.
    timer: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(inner: TcpStream, pulse: Arc<Pulse>, intake: Intake, stand_ins: StandIns) -> Self {
        Self { inner, pulse, intake, stand_ins, turn: Turn::default(), shut: false, timer: None }
    }

    /// Waits for a byte, or for the end.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_read_ready(cx)
    }

    /// Reads until there is something that may be handed over.
    fn poll_take_in(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.intake.next(buf) {
                Next::Give => return Poll::Ready(Ok(())),
                Next::Read if !self.pulse.has_ended() => {}
                Next::Read => return self.poll_end(cx).map(Ok),
                // The service wakes the task; a refusal is the last thing that is read.
                Next::Wait => return Poll::Pending,
                Next::Break(refusal) => return Poll::Ready(Err(refusal.into())),
            }
            ready!(self.turn.poll_begin(cx));
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            self.turn.moved(buf.filled().len() - before);
            if buf.filled().len() == before {
                self.pulse.end();
                continue;
            }
            self.pulse.received();
            self.intake.take(buf, before);
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// hyper takes the client's end for its departure, so it is told late while a request is being answered.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pulse.phase() != Phase::Busy {
            return Poll::Ready(());
        }
        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(HALF_CLOSED))).as_mut().poll(cx)
    }

    /// Closing a socket with unread bytes resets it, and the reset takes an answer with it that the client has not read yet (RFC 9112
    /// section 9.6). So what comes is read and thrown away, for a while.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        for _ in 0..16 {
            if self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
                return Poll::Ready(());
            }
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                // Nothing was waiting: nothing to be reset for.
                Poll::Pending if self.timer.is_none() => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what comes before the first stand-in, or what that one stands for.
    fn poll_put(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match bufs.iter().position(|buf| is_stand_in(buf)) {
            None => self.poll_send(cx, bufs),
            Some(0) => self.poll_try(cx, || self.stand_ins.send(&self.inner, &bufs[0])),
            // Not held back for the file's first bytes (`MSG_MORE`): that costs the kernel more than the packet, a third at 100 KB.
            Some(at) => Pin::new(&mut self.inner).poll_write_vectored(cx, &bufs[..at]),
        }
    }

    /// Writes bytes. Few of them are put together: send(2) of one buffer, the copy included, costs 0.15 us less than writev(2) of two, of
    /// some 6.5 us for both ends over loopback, at 127 bytes as at 4,000.
    fn poll_send(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if bufs.len() == 1 || bufs.iter().map(|buf| buf.len()).sum::<usize>() > TOGETHER {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        }
        let mut space = [MaybeUninit::uninit(); TOGETHER];
        let mut joined = ReadBuf::uninit(&mut space);
        for buf in bufs {
            joined.put_slice(buf);
        }
        Pin::new(&mut self.inner).poll_write(cx, joined.filled())
    }

    /// Tries until it is done or the socket takes no more.
    fn poll_try(&self, cx: &mut Context<'_>, write: impl Fn() -> io::Result<usize>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.inner.poll_write_ready(cx))?;
            match self.inner.try_io(Interest::WRITABLE, &write) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn wrote(&mut self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.pulse.wrote(poll.is_pending());
        if let Poll::Ready(Ok(count)) = poll {
            self.turn.moved(count);
        }
        poll
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let poll = self.poll_take_in(cx, buf);
        self.pulse.looked(self.intake.has_part(), poll.is_pending() && self.intake.is_between());
        poll
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.turn.poll_begin(cx));
        let poll = if is_stand_in(buf) { self.poll_put(cx, &[IoSlice::new(buf)]) } else { Pin::new(&mut self.inner).poll_write(cx, buf) };
        self.wrote(poll)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.turn.poll_begin(cx));
        let poll = self.poll_put(cx, bufs);
        self.wrote(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has nothing left.
        if self.pulse.flushed() {
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            self.shut = true;
        }
        if self.pulse.has_ended() { Poll::Ready(Ok(())) } else { self.poll_linger(cx).map(Ok) }
    }
}
