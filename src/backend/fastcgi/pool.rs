//! Connections that wait for their next request.
//!
//! In: connections whose request has ended as it should. Out: one that is still open. Never: more than a backend's `keepConnections` for
//! each thread, one that waits longer than [`EXPIRY`], one of an App that has changed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak as Local};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::Transfer;
use super::timers::Timers;
use crate::backend::wire::Wire;
use crate::metrics::{Gauge, Metrics, Shard};
use crate::route::CompiledApp;

/// How long a connection waits: a kept one pins a worker of the application.
const EXPIRY: Duration = Duration::from_secs(10);

/// FastCGI towards the backends of one thread. Clones share their connections. It belongs into a `LocalSet`: where connections are kept,
/// a task of it closes those that wait too long.
#[derive(Debug, Clone)]
pub struct Pool {
    kept: Rc<RefCell<Shared>>,
    shard: Rc<Shard>,
    timers: Timers,
}

#[derive(Debug)]
struct Shared {
    /// By address of the App and indexes of backend and endpoint.
    slots: HashMap<(usize, (usize, usize)), Slot>,
    /// A task looks for those that wait too long.
    swept: bool,
    expiry: Duration,
    idle: Gauge,
}

#[derive(Debug)]
struct Slot {
    /// Keeps the App's address from being given to another App.
    app: Weak<CompiledApp>,
    /// The one that has waited longest comes first.
    waiting: Vec<(Wire, Instant)>,
}

/// Where a connection goes when its request has ended.
#[derive(Debug)]
pub(super) struct Home {
    shared: Local<RefCell<Shared>>,
    app: Weak<CompiledApp>,
    /// Indexes of backend and endpoint.
    place: (usize, usize),
    keep: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self::counted(Metrics::default().shard())
    }
}

impl Pool {
    /// A pool that counts in the shard of its thread: connections that wait, and what applications write to their stderr.
    #[must_use]
    pub fn counted(shard: Rc<Shard>) -> Self {
        Self::new(EXPIRY, shard)
    }

    /// The same; they wait so long at most.
    pub(super) fn new(expiry: Duration, shard: Rc<Shard>) -> Self {
        let kept = Shared { slots: HashMap::new(), swept: false, expiry, idle: shard.idle_fastcgi() };
        Self { kept: Rc::new(RefCell::new(kept)), shard, timers: Timers::default() }
    }

    /// Where this thread counts.
    pub(super) fn shard(&self) -> &Rc<Shard> {
        &self.shard
    }

    /// The timers of this thread.
    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }
}

impl Home {
    /// `None`: the backend's connections are not kept.
    pub(super) fn new(pool: &Pool, app: &Arc<CompiledApp>, place: (usize, usize), keep: usize) -> Option<Self> {
        (keep > 0).then(|| Self { shared: Rc::downgrade(&pool.kept), app: Arc::downgrade(app), place, keep })
    }

    /// A connection that waits here and that the backend has not closed; the youngest.
    pub(super) fn kept(&self) -> Option<Wire> {
        let shared = self.shared.upgrade()?;
        let mut shared = shared.borrow_mut();
        let Shared { slots, expiry, idle, .. } = &mut *shared;
        let (slot, expiry) = (slots.get_mut(&self.key())?, *expiry);
        while let Some((wire, since)) = slot.waiting.pop() {
            idle.fall();
            if since.elapsed() < expiry && wire.is_quiet() {
                return Some(wire);
            }
        }
        None
    }

    /// Keeps the connection of a request that has ended, if there is room and nothing is left over in it.
    pub(super) fn take_back(self, transfer: Transfer) {
        let (Some(shared), Some(mut wire)) = (self.shared.upgrade(), transfer.into_reusable()) else { return };
        if self.app.strong_count() == 0 {
            return;
        }
        let mut borrowed = shared.borrow_mut();
        let key = self.key();
        let slot = borrowed.slots.entry(key).or_insert_with(|| Slot { app: self.app, waiting: Vec::new() });
        if slot.waiting.len() < self.keep {
            wire.rest();
            slot.waiting.push((wire, Instant::now()));
            borrowed.idle.rise();
        }
        if !std::mem::replace(&mut borrowed.swept, true) {
            tokio::task::spawn_local(sweep(self.shared, borrowed.expiry / 4));
        }
    }

    fn key(&self) -> (usize, (usize, usize)) {
        (self.app.as_ptr().addr(), self.place)
    }
}

/// Closes what waits too long, until nothing waits.
async fn sweep(shared: Local<RefCell<Shared>>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut shared = shared.borrow_mut();
        let expiry = shared.expiry;
        shared.slots.retain(|_, slot| {
            slot.waiting.retain(|(wire, since)| since.elapsed() < expiry && wire.is_quiet());
            slot.app.strong_count() > 0 && !slot.waiting.is_empty()
        });
        shared.idle.set(shared.slots.values().map(|slot| slot.waiting.len()).sum());
        if shared.slots.is_empty() {
            shared.swept = false;
            return;
        }
    }
}
