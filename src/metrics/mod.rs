//! What happens, counted -> Prometheus' text form.
//!
//! In: each thread counts in a [`Shard`] of its own, the control plane in [`Control`]. Out: families of samples, summed over the shards.
//! Never: a lock or an atomic read-modify-write while a request is answered, but when a thread meets a rule or backend for the first
//! time; a label that a client chooses.

mod cell;
mod control;
mod families;
mod fault;
mod held_up;
mod name_hash;
mod shard;
#[cfg(test)]
mod tests;
mod totals;
mod turned_away;
mod uptime;

use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;

pub use cell::{Counter, Gauge, Histogram};
pub use control::Control;
pub use families::{Families, Kind, Labels, Value};
pub use fault::Fault;
pub use held_up::HeldUp;
use shard::Shared;
pub use shard::{App, BackendCounts, Connected, RouteCounts, Shard, Tunnelled};
use totals::Totals;
pub use turned_away::TurnedAway;
pub use uptime::uptime;

/// All that is counted. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    shards: Mutex<Vec<Arc<Shared>>>,
    control: Control,
}

/// What is served now: counts of anything else are of no use any more.
pub trait Served: fmt::Debug + Send + Sync {
    /// Whether an App has a rule.
    fn has_rule(&self, app: &str, rule: &str) -> bool;

    /// Whether an App has a backend.
    fn has_backend(&self, app: &str, backend: &str) -> bool;
}

impl Metrics {
    /// A shard for the calling thread.
    #[must_use]
    pub fn shard(&self) -> Rc<Shard> {
        let shard = Shard::new();
        self.shards().push(shard.shared());
        Rc::new(shard)
    }

    /// What the control plane counts.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.0.control
    }

    /// The counts of all threads as a collector, which leaves out what is not served.
    pub fn collector(&self, served: Arc<dyn Served>) -> impl Collector + use<> {
        Totals { shards: self.shards().clone(), control: self.0.control.clone(), served }
    }

    /// Lines of the access log that were lost so far.
    #[must_use]
    pub fn lines_dropped(&self) -> u64 {
        self.shards().iter().map(|shard| shard.lines_dropped.get()).sum::<u64>() + self.0.control.lost()
    }

    fn shards(&self) -> MutexGuard<'_, Vec<Arc<Shared>>> {
        self.0.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
