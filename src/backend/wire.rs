//! The bytes of a backend's connection.
//!
//! In: a connection. Out: reads and writes that are polled. Never: a system call where the kernel has said nothing new; memory for what has
//! not come yet.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::dial::{Connection, Stream};

/// What is read at once where little is expected: a head, a small answer, an event.
pub(super) const SMALL: usize = 16 * 1024;
/// The same of a long body.
pub(super) const LARGE: usize = 128 * 1024;

thread_local! {
    /// Where little is read to: what came is copied out, as long as it is. So no idle connection holds a buffer, and no answer holds more
    /// memory than it has bytes.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection, registered for reading alone: with both directions the kernel also tells us whenever a unix socket's other end has taken
/// something, and at first that it can be written. With 32 clients: 1.7 `epoll_wait` for a request over HTTP in place of 2.3; one alone, with a
/// new connection for each FastCGI request: 2 in place of 3.
#[derive(Debug)]
pub(super) struct Wire {
    io: AsyncFd<OwnedFd>,
    /// The same, registered for writing, once a write has had to wait.
    blocked: Option<Box<AsyncFd<OwnedFd>>>,
    is_unix: bool,
}

impl Wire {
    pub(super) fn new(connection: Connection) -> io::Result<Self> {
        let is_unix = matches!(connection, Connection::Unix(_));
        Ok(Self { io: registered(connection.into(), Interest::READABLE)?, blocked: None, is_unix })
    }

    /// What has come, up to [`SMALL`]; nothing: the end.
    pub(super) fn poll_read_small(&self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        ROOM.with_borrow_mut(|room| {
            room.clear();
            room.reserve_exact(SMALL);
            self.poll_read(cx, room, SMALL).map_ok(|()| Bytes::copy_from_slice(room))
        })
    }

    /// The same, up to `most`, and not copied unless it is little.
    pub(super) fn poll_read_large(&self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        let mut room = Vec::new();
        ready!(self.poll_read(cx, &mut room, most))?;
        // A frame may wait for a slow client: it must not hold four times its size.
        Poll::Ready(Ok(if room.len() < room.capacity() / 4 { Bytes::copy_from_slice(&room) } else { room.into() }))
    }

    fn poll_read(&self, cx: &mut Context<'_>, room: &mut Vec<u8>, most: usize) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.io.poll_read_ready(cx))?;
            room.reserve_exact(most);
            let free = room.capacity();
            match rustix::net::recv(&self.io, spare_capacity(room), RecvFlags::empty()) {
                Ok((_, count)) => {
                    // The socket is empty now: the next bytes are an event of their own (epoll(7)), and no read has to find that out.
                    if count > 0 && count < free {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Writes some of these parts, one after the other.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, parts: [&[u8]; 3]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(blocked) = &self.blocked {
                let mut ready = ready!(blocked.poll_write_ready(cx))?;
                match write(&self.io, parts) {
                    Err(Errno::AGAIN) => ready.clear_ready(),
                    Err(Errno::INTR) => {}
                    written => return Poll::Ready(written.map_err(Into::into)),
                }
            } else {
                match write(&self.io, parts) {
                    Err(Errno::AGAIN) => {
                        let again = self.io.get_ref().try_clone()?;
                        self.blocked = Some(Box::new(registered(again, Interest::WRITABLE)?));
                    }
                    Err(Errno::INTR) => {}
                    written => return Poll::Ready(written.map_err(Into::into)),
                }
            }
        }
    }

    /// Whether nothing has come, and the other end has not closed, as far as the kernel has said.
    pub(super) fn is_quiet(&self) -> bool {
        let peek = |fd: &OwnedFd| Ok(rustix::net::recv(fd, &mut [0; 1], RecvFlags::PEEK)?);
        self.io.try_io(Interest::READABLE, peek).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Nobody waits to write any more.
    pub(super) fn rest(&mut self) {
        self.blocked = None;
    }

    /// The connection for who does more with it than an exchange.
    pub(super) fn into_stream(self) -> io::Result<Stream> {
        let fd = self.io.into_inner();
        (if self.is_unix { Connection::Unix(fd.into()) } else { Connection::Tcp(fd.into()) }).try_into()
    }
}

#[expect(deprecated, reason = "its successor is `unsafe`, for descriptors that others may close: this one is owned, and stays what it is")]
fn registered(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

/// One part is sent by `send`: a vector costs the kernel more.
fn write(fd: &AsyncFd<OwnedFd>, parts: [&[u8]; 3]) -> rustix::io::Result<usize> {
    match parts {
        [one, [], []] | [[], one, []] | [[], [], one] => rustix::net::send(fd, one, SendFlags::NOSIGNAL),
        parts => rustix::io::writev(fd, &parts.map(IoSlice::new)),
    }
}
