//! Numbers that one thread writes and any thread reads.
//!
//! In: what happens. Out: how often. Never: a read-modify-write: a load and a store are enough for one writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// A number that rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds, on the one thread that writes.
    pub fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    /// Sets it, on the one thread that writes.
    pub fn set(&self, now: usize) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// One more.
    pub fn rise(&self) {
        self.set(self.get() + 1);
    }

    /// One less; 0 stays 0.
    pub fn fall(&self) {
        self.set(self.get().saturating_sub(1));
    }

    /// How many now.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper ends of a histogram's buckets, included; a last one has none.
pub(super) const BOUNDS: [Duration; 16] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// How long things took.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS.len() + 1],
    nanos: Counter,
}

/// A histogram as it is read, or the sum of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Observed {
    /// How many fell into each bucket and into none before it.
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    /// All of them together.
    pub(super) took: Duration,
}

impl Histogram {
    /// Adds one, on the one thread that writes.
    pub fn observe(&self, took: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < took);
        self.buckets[bucket].add(1);
        self.nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds what it holds to a sum.
    pub(super) fn add_to(&self, sum: &mut Observed) {
        for (sum, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *sum = sum.wrapping_add(bucket.get());
        }
        sum.took = sum.took.saturating_add(Duration::from_nanos(self.nanos.get()));
    }
}
