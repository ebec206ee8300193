//! A connection that has just been accepted -> the thread that serves it: this one, or one that has clearly fewer.
//!
//! In: sockets that nobody has read from. Out: those that stay; the others in the inbox of a neighbour. Never: a connection that has begun;
//! a wait; a connection lost because its new thread ends.
//!
//! The kernel chooses among the sockets of an address by a hash: of 8 connections one of two threads gets 6 or more in 29 cases of 100, and
//! a core rests while the other has a queue. What is passed on costs two calls of the system and a wake-up, once in its life.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::listen::{Open, Seat};

/// Connections that may wait for a thread to take them.
const WAITING: usize = 64;

/// A connection on its way to another thread.
#[derive(Debug)]
pub(super) struct Passed {
    stream: net::TcpStream,
    client: SocketAddr,
    /// Taken at the thread that it goes to.
    seat: Seat,
    /// Where it came in.
    open: Open,
}

/// What a thread gets from the others.
pub(super) type Inbox = mpsc::Receiver<Passed>;

/// The serving threads, as one of them sees them.
#[derive(Debug, Clone)]
pub(super) struct Neighbours {
    own: usize,
    all: Arc<[mpsc::Sender<Passed>]>,
}

impl Neighbours {
    /// So many threads: what each of them sees, and its inbox.
    pub(super) fn of(threads: usize) -> impl Iterator<Item = (Self, Inbox)> {
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..threads).map(|_| mpsc::channel(WAITING)).unzip();
        let all: Arc<[_]> = senders.into();
        inboxes.into_iter().enumerate().map(move |(own, inbox)| (Self { own, all: all.clone() }, inbox))
    }

    /// Which of the threads this is.
    pub(super) fn own(&self) -> usize {
        self.own
    }

    /// Seats a connection, and passes it on if that is elsewhere; else it is given back. `None`, too, if it breaks on the way.
    pub(super) fn share(&self, stream: TcpStream, client: SocketAddr, mut seat: Seat, open: Open) -> Option<(TcpStream, Seat)> {
        let to = seat.choose(self.own);
        if to == self.own {
            return Some((stream, seat));
        }
        // A thread that ends, or hangs, takes nothing.
        let Some(Ok(permit)) = self.all.get(to).map(mpsc::Sender::try_reserve) else {
            seat.sit_at(self.own);
            return Some((stream, seat));
        };
        match stream.into_std() {
            Ok(stream) => permit.send(Passed { stream, client, seat, open }),
            Err(error) => {
                tracing::debug!(%client, error = &error as &dyn std::error::Error, "a connection was lost on its way to its thread");
            }
        }
        None
    }
}

impl Passed {
    /// Where it came in.
    pub(super) fn open(&self) -> &Open {
        &self.open
    }

    /// Takes it over into the runtime of this thread.
    pub(super) fn take_over(self) -> io::Result<(TcpStream, SocketAddr, Seat)> {
        Ok((TcpStream::from_std(self.stream)?, self.client, self.seat))
    }
}
