//! Where connections come in on one thread: its socket of a bound address, open until it is told to close.
//!
//! In: what is listened on, as it changes. Out: accepted connections, each with its [`Door`]. Never: a word to connections that came in
//! elsewhere.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::listener;
use super::registry::Registry;
use crate::listen::{Bound, Sockets};

/// What the connections of one socket have in common.
#[derive(Debug)]
pub(super) struct Door {
    socket: SocketAddr,
    closed: Cell<bool>,
    bell: Notify,
}

/// The doors of one thread.
pub(super) struct Doors<F> {
    thread: usize,
    registry: Rc<Registry>,
    /// The same address may be bound anew: it is another door then.
    open: Vec<(Arc<Bound>, Rc<Door>)>,
    /// One task for each socket that is not closed yet.
    accepting: JoinSet<()>,
    hand_on: F,
}

impl Door {
    pub(super) fn new(socket: SocketAddr) -> Rc<Self> {
        Rc::new(Self { socket, closed: Cell::new(false), bell: Notify::new() })
    }

    /// The address that was bound.
    pub(super) fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// Whether its connections are to end as soon as they are not needed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Waits until it is closed.
    pub(super) async fn closed(&self) {
        let mut bell = pin!(self.bell.notified());
        bell.as_mut().enable();
        if !self.is_closed() {
            bell.await;
        }
    }

    /// Closes it. The connections are woken by the [`Registry`].
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.bell.notify_waiters();
    }
}

impl<F: Fn(TcpStream, SocketAddr, &Rc<Door>) + Clone + 'static> Doors<F> {
    pub(super) fn new(thread: usize, registry: Rc<Registry>, hand_on: F) -> Self {
        Self { thread, registry, open: Vec::new(), accepting: JoinSet::new(), hand_on }
    }

    /// Closes what is gone, opens what is new. What stays notices nothing.
    pub(super) fn follow(&mut self, sockets: &Sockets) {
        let stays = |bound: &Arc<Bound>| sockets.get(&bound.local_addr()).is_some_and(|now| Arc::ptr_eq(now, bound));
        for (_, door) in self.open.extract_if(.., |(bound, _)| !stays(bound)) {
            self.registry.close(&door);
        }
        while self.accepting.try_join_next().is_some() {}
        for bound in sockets.values() {
            if self.open.iter().any(|(open, _)| Arc::ptr_eq(open, bound)) {
                continue;
            }
            if let Some(socket) = bound.take(self.thread) {
                let door = Door::new(bound.local_addr());
                self.open.push((bound.clone(), door.clone()));
                let (bound, registry, hand_on) = (bound.clone(), self.registry.clone(), self.hand_on.clone());
                self.accepting.spawn_local(async move {
                    listener::accept(socket, &registry, &door, |stream, client| hand_on(stream, client, &door)).await;
                    // The socket is closed: what held the address is let go of after it.
                    drop(bound);
                });
            }
        }
    }

    /// Closes every door, and waits until the last connection that the kernel had for them is accepted.
    pub(super) async fn close(mut self) {
        // Before the last connections are accepted, so that they are told as well.
        for (_, door) in self.open.drain(..) {
            self.registry.close(&door);
        }
        while self.accepting.join_next().await.is_some() {}
    }
}
