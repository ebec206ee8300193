//! How long to wait before something is tried again: longer each time.

use std::time::Duration;

/// From 5 ms, doubling, to 30 s.
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(30);

/// The waits of one thing that is tried again and again.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The wait before the next attempt.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait
    }

    /// The same, for what costs more to try: no wait is shorter than this.
    pub(super) fn wait_at_least(&mut self, shortest: Duration) -> Duration {
        self.next = self.next.max(shortest);
        self.wait()
    }

    /// Something happened, or it worked: the next wait is short.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_half_a_minute_and_starts_anew_after_a_reset() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.wait().as_millis()).collect();
        assert_eq!((&waits[..4], waits[19]), (&[5, 10, 20, 40][..], 30_000));
        backoff.reset();
        assert_eq!(backoff.wait(), FIRST);
        let waits: Vec<_> = (0..7).map(|_| backoff.wait_at_least(Duration::from_secs(1)).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }
}
