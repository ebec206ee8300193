//! Whether and when a failed request is sent again, as data: what `compile` made of `retry`.

use std::time::Duration;

/// What `retry` says (Gateway API `HTTPRouteRetry`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Answers that are tried again, by status.
    pub codes: Box<[u16]>,
    /// How often a request is sent again, at most.
    pub attempts: u32,
    /// The shortest wait before that; `None`: the manifest leaves it to us.
    pub backoff: Option<Duration>,
}
