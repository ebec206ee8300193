//! The one clock of what all threads know of endpoints: it goes on evenly, whatever becomes of the time of day.

use std::sync::LazyLock;
use std::time::Instant;

/// Milliseconds since it was first asked for; at least 1, so that 0 can mean never.
#[must_use]
pub fn uptime() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).map_or(u64::MAX, |millis| millis.saturating_add(1))
}
