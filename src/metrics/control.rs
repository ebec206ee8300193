//! What the control plane counts. It runs on one thread: that of the daemon.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::cell::{Counter, Gauge, Histogram};

/// What the control plane counts. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    listings: Histogram,
    looks: Histogram,
    changes: Histogram,
    retired: Gauge,
    /// Milliseconds since the epoch; 0: never.
    reloaded: Gauge,
    lines_lost: Counter,
}

impl Control {
    /// A listing was read, and given to the Apps.
    pub fn listed(&self, began: Instant) {
        self.0.listings.observe(began.elapsed());
    }

    /// Waits for a look, and notes how long it took.
    pub async fn looking<T>(&self, look: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let seen = look.await;
        self.0.looks.observe(began.elapsed());
        seen
    }

    /// A change that was noticed at this moment is served now.
    pub fn served(&self, noticed: Instant) {
        self.0.changes.observe(noticed.elapsed());
    }

    /// So many old snapshots are still held by some thread.
    pub fn retired(&self, count: usize) {
        self.0.retired.set(count);
    }

    /// What is configured has changed, and all of it is valid.
    pub fn reloaded(&self, when: SystemTime) {
        let since_epoch = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.0.reloaded.set(usize::try_from(since_epoch.as_millis()).unwrap_or(usize::MAX));
    }

    /// So many lines of the access log could not be written. Only the log's writer calls this.
    pub fn lines_lost(&self, count: u64) {
        self.0.lines_lost.add(count);
    }

    pub(super) fn listings(&self) -> &Histogram {
        &self.0.listings
    }

    pub(super) fn looks(&self) -> &Histogram {
        &self.0.looks
    }

    pub(super) fn changes(&self) -> &Histogram {
        &self.0.changes
    }

    pub(super) fn retired_now(&self) -> usize {
        self.0.retired.get()
    }

    /// Since the epoch; 0: never.
    pub(super) fn last_reload(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.reloaded.get()).unwrap_or(u64::MAX))
    }

    pub(super) fn lost(&self) -> u64 {
        self.0.lines_lost.get()
    }
}
