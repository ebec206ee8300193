//! A socket that is connected -> one that a runtime watches.
//!
//! In: [`Connection`]. Out: its descriptor, for who has it watched as it likes; or [`Stream`]. Never: a system call on the way to the former.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection that no runtime watches yet. It never blocks.
#[derive(Debug)]
pub enum Connection {
    /// Over a unix socket.
    Unix(std::os::unix::net::UnixStream),
    /// Over TCP.
    Tcp(std::net::TcpStream),
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// Over a unix socket.
    Unix(UnixStream),
    /// Over TCP.
    Tcp(TcpStream),
}

impl From<Connection> for OwnedFd {
    fn from(connection: Connection) -> Self {
        match connection {
            Connection::Unix(stream) => stream.into(),
            Connection::Tcp(stream) => stream.into(),
        }
    }
}

impl TryFrom<Connection> for Stream {
    type Error = io::Error;

    /// Has it watched by the runtime of this thread, in both directions.
    fn try_from(connection: Connection) -> io::Result<Self> {
        Ok(match connection {
            Connection::Unix(stream) => Self::Unix(UnixStream::from_std(stream)?),
            Connection::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream)?),
        })
    }
}

/// Forwards a poll to whichever stream it is.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Unix($stream) => $call,
            Self::Tcp($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
