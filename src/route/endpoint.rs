//! One of the addresses of a backend, and what all threads know of it.
//!
//! In: an address as it was resolved; what happens to requests. Out: [`Endpoint`], [`Health`]. Never: a lock, a clock of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::dial::Address;

/// One of the addresses of a backend.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// As the manifest names it: a path, `host:port`, or `port N`.
    pub name: Box<str>,
    /// Where it is; `None` while its container does not run.
    pub address: Option<Address>,
    /// What all threads know of it. It outlives changes of the App that leave the endpoint alone.
    pub health: Arc<Health>,
}

/// What all threads know of an endpoint.
#[derive(Debug, Default)]
pub struct Health {
    in_flight: AtomicU32,
}

/// A request that an endpoint has; over when dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Health>);

impl Health {
    /// Requests that it has, over all threads.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
