//! Text that an application has logged -> whether the log takes it, for all threads at once (GCRA, ITU-T I.371; pure).
//!
//! In: lengths, and when. Out: yes or no, and when somebody should be told of what is lost. Never: a clock; a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes a second, in the long run.
const RATE: u64 = 64 * 1024;
/// Bytes that may come at once.
const BURST: u64 = 256 * 1024;
/// What a line costs beside its text: its time, its App, its request.
const LINE: u64 = 128;
/// Between two words on what was lost.
const PAUSE: Duration = Duration::from_secs(1);

const SECOND: u64 = 1_000_000_000;

/// What the log takes of one backend's text: 64 KiB a second, and 256 KiB at once. Times count from a moment that is the same for all
/// threads.
#[derive(Debug, Default)]
pub struct LogQuota {
    /// When all that was taken has been paid for at the even pace, in nanoseconds.
    paid: AtomicU64,
    /// Bytes that nobody was told of.
    lost: AtomicU64,
    /// When somebody may be told, in nanoseconds.
    next_word: AtomicU64,
}

impl LogQuota {
    /// Whether a line of so many bytes is taken now.
    pub fn admit(&self, length: usize, now: Duration) -> bool {
        let cost = (length as u64).saturating_add(LINE).saturating_mul(SECOND / RATE);
        let now = nanos(now);
        let pay = |paid: u64| {
            let paid = paid.max(now).saturating_add(cost);
            (paid - now <= BURST * (SECOND / RATE)).then_some(paid)
        };
        self.paid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
    }

    /// So many bytes are lost. `Some`: it is time for a word, on so many bytes since the last one.
    pub fn lose(&self, bytes: usize, now: Duration) -> Option<u64> {
        self.lost.fetch_add(bytes as u64, Ordering::Relaxed);
        let now = nanos(now);
        let wait = |next: u64| (next <= now).then(|| now.saturating_add(nanos(PAUSE)));
        self.next_word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, wait).ok()?;
        Some(self.lost.swap(0, Ordering::Relaxed))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 1024 - 128;

    fn taken(quota: &LogQuota, now: Duration) -> usize {
        (0..1000).take_while(|_| quota.admit(LENGTH, now)).count()
    }

    #[test]
    fn a_burst_is_taken_and_then_so_much_a_second() {
        let quota = LogQuota::default();
        let at = Duration::from_secs(100);
        assert_eq!(taken(&quota, at), 256);
        assert_eq!(taken(&quota, at), 0);
        assert_eq!(taken(&quota, at + Duration::from_secs(1)), 64);
        assert_eq!(taken(&quota, at + Duration::from_secs(3600)), 256, "no more than a burst, however long it was silent");
        assert!(quota.admit(LENGTH, at) || taken(&quota, at) == 0, "a thread whose clock is behind breaks nothing");
    }

    #[test]
    fn short_lines_are_not_free() {
        let quota = LogQuota::default();
        let lines = (0..100_000).take_while(|_| quota.admit(1, Duration::ZERO)).count();
        assert!((1_000..3_000).contains(&lines), "{lines}");
    }

    #[test]
    fn what_is_lost_is_told_once_a_second_and_added_up() {
        let quota = LogQuota::default();
        let at = Duration::from_secs(5);
        assert_eq!(quota.lose(10, at), Some(10));
        assert_eq!(quota.lose(20, at), None);
        assert_eq!(quota.lose(30, at + PAUSE / 2), None);
        assert_eq!(quota.lose(1, at + PAUSE), Some(51));
    }

    #[test]
    fn threads_share_what_is_taken() {
        let quota = LogQuota::default();
        let counts: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| taken(&quota, Duration::ZERO))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(counts.iter().sum::<usize>(), 256, "{counts:?}");
    }
}
