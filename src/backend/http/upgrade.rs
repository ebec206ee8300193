//! A connection after its 101: bytes, both ways.
//!
//! In: the client's upgrade, the backend's connection. Out: the bytes moved, counted as they come, once both sides have ended. Never: a byte before
//! the 101 is on its way to the client.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use crate::backend::{Error, Phase};
use crate::dial::Stream;

/// How long the client's side may take until its last HTTP byte is out.
const HANDOVER: Duration = Duration::from_secs(10);

/// Where a tunnel's bytes are counted.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'c> {
    /// Bytes that came from the client.
    pub to_backend: &'c Cell<u64>,
    /// Bytes that came from the backend.
    pub to_client: &'c Cell<u64>,
}

/// A backend's connection after its 101, and what came behind that.
#[derive(Debug)]
pub struct Switched {
    early: Bytes,
    stream: Stream,
}

impl Switched {
    pub(super) fn new(early: Bytes, stream: Stream) -> Self {
        Self { early, stream }
    }
}

/// Joins client and backend until both have ended their direction, one breaks off, or nothing has moved for `idle` (up to twice that).
/// `client`: its side, once it is handed over. It runs beside the answer, in a task of its own: that comes once the 101 has been returned.
///
/// # Errors
/// What `client` says if it is not handed over; [`Error::Timeout`]; [`Error::Closed`] if one breaks off.
pub async fn tunnel<C, B>(
    client: impl Future<Output = Result<C, Error>>,
    backend: B,
    idle: Option<Duration>,
    carried: Carried<'_>,
) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let client = tokio::time::timeout(HANDOVER, client).await.map_err(|_| Error::Timeout(Phase::Client))??;
    let moved = Rc::new(Cell::new(false));
    let mut client = Watched { inner: client, moved: moved.clone(), read: carried.to_backend };
    let mut backend = Watched { inner: backend, moved: moved.clone(), read: carried.to_client };
    tokio::select! {
        result = copy_bidirectional(&mut client, &mut backend) => result.map(drop).map_err(|error| Error::Closed(Some(error))),
        () = silence(&moved, idle) => Err(Error::Timeout(Phase::Backend)),
    }
}

/// Ends after a whole period without a byte.
async fn silence(moved: &Cell<bool>, idle: Option<Duration>) {
    let Some(idle) = idle else { return std::future::pending().await };
    loop {
        tokio::time::sleep(idle).await;
        if !moved.replace(false) {
            return;
        }
    }
}

/// A stream that notes that bytes moved.
struct Watched<'c, T> {
    inner: T,
    moved: Rc<Cell<bool>>,
    /// Bytes that came from it.
    read: &'c Cell<u64>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<'_, T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        if poll.is_ready() {
            self.moved.set(true);
            self.read.set(self.read.get() + (buf.filled().len() - before) as u64);
        }
        poll
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<'_, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, buf);
        if poll.is_ready() {
            self.moved.set(true);
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl AsyncRead for Switched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early[..count]);
        self.early.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Switched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
