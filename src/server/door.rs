//! What the connections of one socket have in common: where they came in, and whether that is still open.
//!
//! In: an address, and the word that it closes. Out: [`Door`]. Never: a word to connections that came in elsewhere.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use tokio::sync::Notify;

/// What the connections of one socket have in common.
#[derive(Debug)]
pub(super) struct Door {
    socket: SocketAddr,
    closed: Cell<bool>,
    bell: Notify,
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

    /// Closes it. The connections are woken by the registry.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.bell.notify_waiters();
    }
}
