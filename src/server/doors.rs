//! Where connections come in on one thread: its socket of each bound address, open until it is told to close.
//!
//! In: what is listened on, as it changes. Out: accepted connections, each with its [`Door`]. Never: two doors for one socket.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::door::Door;
use super::listener;
use super::neighbours::{Neighbours, Passed};
use super::registry::Registry;
use crate::listen::{Bound, Open, Seat, Sockets};

/// The doors of one thread.
pub(super) struct Doors<F> {
    neighbours: Neighbours,
    registry: Rc<Registry>,
    /// The same address may be bound anew: it is another door then.
    open: Vec<(Arc<Bound>, Rc<Door>)>,
    /// One task for each socket that is not closed yet.
    accepting: JoinSet<()>,
    hand_on: F,
}

impl<F: Fn(TcpStream, SocketAddr, Seat, &Rc<Door>) + Clone + 'static> Doors<F> {
    pub(super) fn new(neighbours: Neighbours, registry: Rc<Registry>, hand_on: F) -> Self {
        Self { neighbours, registry, open: Vec::new(), accepting: JoinSet::new(), hand_on }
    }

    /// Closes what is gone, opens what is new. What stays notices nothing, but that who comes from now on may find other limits.
    pub(super) fn follow(&mut self, sockets: &Sockets) {
        let stays = |bound: &Arc<Bound>| sockets.get(&bound.local_addr()).filter(|now| Arc::ptr_eq(&now.bound, bound));
        for (_, door) in self.open.extract_if(.., |(bound, _)| stays(bound).is_none()) {
            self.registry.close(&door);
        }
        for (bound, door) in &self.open {
            if let Some(now) = stays(bound) {
                door.change(&now.options);
            }
        }
        while self.accepting.try_join_next().is_some() {}
        for open in sockets.values() {
            let bound = &open.bound;
            if self.open.iter().any(|(open, _)| Arc::ptr_eq(open, bound)) {
                continue;
            }
            if let Some(socket) = bound.take(self.neighbours.own()) {
                let door = Door::new(open);
                self.open.push((bound.clone(), door.clone()));
                let (bound, registry, hand_on) = (bound.clone(), self.registry.clone(), self.hand_on.clone());
                let neighbours = self.neighbours.clone();
                self.accepting.spawn_local(async move {
                    listener::accept(socket, &registry, &door, |stream, client, seat| {
                        let open = Open { bound: bound.clone(), options: door.options() };
                        if let Some((stream, seat)) = neighbours.share(stream, client, seat, open) {
                            hand_on(stream, client, seat, &door);
                        }
                    })
                    .await;
                    // The socket is closed: what held the address is let go of after it.
                    drop(bound);
                });
            }
        }
        self.registry.reconsider(self.open.iter().map(|(_, door)| door.options().limits));
    }

    /// Takes in what another thread has accepted. Its address may have gone since: then it is as if it had waited in the kernel.
    pub(super) fn take_in(&self, passed: Passed) {
        let open = passed.open();
        let found = self.open.iter().find(|(bound, _)| Arc::ptr_eq(bound, &open.bound)).map(|(_, door)| door.clone());
        let door = found.unwrap_or_else(|| {
            let gone = Door::new(open);
            gone.close();
            gone
        });
        match passed.take_over() {
            Ok((stream, client, seat)) => (self.hand_on)(stream, client, seat, &door),
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "a connection can't be taken over"),
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
