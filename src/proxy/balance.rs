//! The endpoints of a backend -> the one that a request goes to.
//!
//! In: a backend, the endpoints that have failed this request. Out: one of the others. Never: a wait.

use crate::route::Backend;

/// Endpoints by index, at most 64.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tried(u64);

impl Tried {
    /// Notes one.
    pub(super) fn note(&mut self, endpoint: usize) {
        self.0 |= 1 << endpoint;
    }

    /// Whether there is one that was not tried.
    pub(super) fn leaves(self, backend: &Backend) -> bool {
        (0..backend.endpoints.len()).any(|endpoint| !self.has(endpoint))
    }

    fn has(self, endpoint: usize) -> bool {
        self.0 & (1 << endpoint) != 0
    }
}

/// The endpoint that a request goes to: one that was not tried, if there is one.
pub(super) fn choose(backend: &Backend, tried: Tried) -> usize {
    (0..backend.endpoints.len()).find(|endpoint| !tried.has(*endpoint)).unwrap_or(0)
}
