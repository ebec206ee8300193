//! What the connections of one socket have in common: where they came in, and whether that is still open.
//!
//! In: an address, how it is listened on, and the word that it closes. Out: [`Door`]. Never: a word to connections that came in elsewhere.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::listen::{Crowd, Open, Options};

/// What the connections of one socket have in common.
#[derive(Debug)]
pub(super) struct Door {
    socket: SocketAddr,
    /// What a connection takes along that comes in now.
    options: RefCell<Arc<Options>>,
    /// Who is connected there, over all threads.
    crowd: Arc<Crowd>,
    closed: Cell<bool>,
    bell: Notify,
}

impl Door {
    pub(super) fn new(open: &Open) -> Rc<Self> {
        Rc::new(Self {
            socket: open.bound.local_addr(),
            options: RefCell::new(open.options.clone()),
            crowd: open.bound.crowd().clone(),
            closed: Cell::new(false),
            bell: Notify::new(),
        })
    }

    /// The address that was bound.
    pub(super) fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// How it is listened on.
    pub(super) fn options(&self) -> Arc<Options> {
        self.options.borrow().clone()
    }

    /// From now on it is listened on so; the connections that are there stay as they are.
    pub(super) fn change(&self, options: &Arc<Options>) {
        self.options.borrow_mut().clone_from(options);
    }

    /// Who is connected there, over all threads.
    pub(super) fn crowd(&self) -> &Arc<Crowd> {
        &self.crowd
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
