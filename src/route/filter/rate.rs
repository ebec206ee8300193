//! Requests of clients -> whether one comes too early (GCRA, ITU-T I.371), for all threads at once and in bounded memory.
//!
//! In: clients, and when they ask. Out: yes, or how long until yes. Never: a clock; a lock; more than [`Table`]'s memory, however many
//! clients there are: then the one that is nearest to a clean sheet is forgotten, which is to its advantage.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::names::ClientKey;

/// Clients that share a set; each may be in any slot of it.
const SET: usize = 8;
/// Sets of a page. A page has 4 KiB, and is there from its first client on.
const SETS: usize = 64;
/// Pages: 65,536 slots in all, and 512 KiB.
const PAGES: usize = 128;
/// Ticks between two requests at the even pace, which is kept as exactly as that.
const PACE: u64 = 256;
/// The bits of a slot that hold a time; those above tell the clients of a set apart. The time goes round, at ten thousand requests a second
/// in 79 days: who has rested for just that long is taken for one who has asked just now.
const TIME: u32 = 44;

/// So many requests of each client in a time.
#[derive(Debug)]
pub struct RateLimit {
    /// How many.
    pub requests: NonZeroU32,
    /// In how long.
    pub interval: Duration,
    /// How many may come at once.
    pub burst: NonZeroU32,
    /// What is known of clients, on all threads and in all generations with these settings.
    pub table: Arc<Table>,
}

/// When each client's requests would have been used up at the even pace, for the clients seen last.
pub struct Table {
    pages: Box<[OnceLock<Page>]>,
    hasher: RandomState,
}

type Page = Box<[AtomicU64; SETS * SET]>;

impl RateLimit {
    /// A limit that knows of no client.
    #[must_use]
    pub fn new(requests: NonZeroU32, interval: Duration, burst: NonZeroU32) -> Self {
        Self { requests, interval, burst, table: Arc::default() }
    }

    /// Whether the limit is the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.requests, self.interval, self.burst) == (other.requests, other.interval, other.burst)
    }

    /// Counts a request, `now` after a moment that is the same for all threads.
    ///
    /// # Errors
    /// How long until the client may ask again: this request does not count.
    pub fn admit(&self, client: ClientKey, now: Duration) -> Result<(), Duration> {
        let hash = self.table.hasher.hash_one(client);
        let (now, burst) = (self.ticks(now), u64::from(self.burst.get()) * PACE);
        let set = self.table.set(hash);
        let tag = hash << TIME;
        // Each turn but the last is one that another thread has won.
        loop {
            let (slot, seen) = choose(set, tag, now, burst);
            // How far the even pace is behind with this client.
            let owed = if seen != 0 && seen >> TIME == tag >> TIME { ahead(seen, now, burst) } else { 0 };
            let next = owed + PACE;
            if let Some(early) = next.checked_sub(burst).filter(|early| *early > 0) {
                return Err(self.duration(early));
            }
            // 0 is an empty slot.
            let new = (tag | (now.wrapping_add(next) & mask())).max(1);
            if slot.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
    }

    fn ticks(&self, time: Duration) -> u64 {
        let ticks = time.as_nanos() * u128::from(self.requests.get()) * u128::from(PACE) / self.interval.as_nanos().max(1);
        // The time goes round in any case.
        u64::try_from(ticks & u128::from(mask())).unwrap_or_default()
    }

    fn duration(&self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * self.interval.as_nanos() / u128::from(PACE) / u128::from(self.requests.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Table {
    fn set(&self, hash: u64) -> &[AtomicU64] {
        let at = usize::try_from(hash >> (64 - TIME)).unwrap_or_default();
        let page = self.pages[at % PAGES].get_or_init(|| Box::new([const { AtomicU64::new(0) }; SETS * SET]));
        let set = at / PAGES % SETS;
        &page[set * SET..][..SET]
    }
}

impl Default for Table {
    fn default() -> Self {
        Self { pages: (0..PAGES).map(|_| OnceLock::new()).collect(), hasher: RandomState::new() }
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pages = self.pages.iter().filter(|page| page.get().is_some()).count();
        f.debug_struct("Table").field("pages", &pages).finish_non_exhaustive()
    }
}

/// The slot of a client, or the one that it may have: an empty one, or that of the client which owes least. With what is in it.
fn choose(set: &[AtomicU64], tag: u64, now: u64, burst: u64) -> (&AtomicU64, u64) {
    let (mut best, mut seen, mut least) = (&set[0], 0, u64::MAX);
    for slot in set {
        let found = slot.load(Ordering::Relaxed);
        if found != 0 && found >> TIME == tag >> TIME {
            return (slot, found);
        }
        let owes = if found == 0 { 0 } else { ahead(found, now, burst) };
        if owes < least {
            (best, seen, least) = (slot, found, owes);
        }
    }
    (best, seen)
}

/// How far a slot's time is ahead; 0 if it is past, which everything is that is too far ahead to be true.
fn ahead(slot: u64, now: u64, burst: u64) -> u64 {
    let ahead = slot.wrapping_sub(now) & mask();
    if ahead <= burst { ahead } else { 0 }
}

const fn mask() -> u64 {
    (1 << TIME) - 1
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn limit(requests: u32, interval: Duration, burst: u32) -> RateLimit {
        RateLimit::new(NonZeroU32::new(requests).unwrap(), interval, NonZeroU32::new(burst).unwrap())
    }

    fn client(number: u32) -> ClientKey {
        ClientKey::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    /// The pace is kept to within a hundredth, and nobody is told to come too early.
    fn assert_about(refused: Result<(), Duration>, expected: Duration) {
        let wait = refused.unwrap_err();
        assert!(wait + MS >= expected && wait <= expected + expected / 50, "{wait:?}, not {expected:?}");
    }

    #[test]
    fn a_burst_passes_and_then_the_even_pace() {
        let limit = limit(10, 1000 * MS, 3);
        let at = |ms: u32| limit.admit(client(1), 5 * Duration::from_secs(60) + ms * MS);
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_about(at(0), 100 * MS);
        // Who was refused owes nothing for it.
        assert_about(at(60), 40 * MS);
        assert_eq!((at(100), at(100).is_err()), (Ok(()), true));
        assert_eq!(limit.admit(client(2), Duration::ZERO), Ok(()), "another client");
        assert_eq!((0..9).filter(|_| at(10_000).is_ok()).count(), 3, "rest is not saved beyond the burst");
    }

    #[test]
    fn settings_at_their_ends_are_kept() {
        let rare = limit(1, Duration::from_secs(86_400), 1);
        assert_eq!(rare.admit(client(1), MS), Ok(()));
        assert_about(rare.admit(client(1), 2 * MS), Duration::from_secs(86_400));
        assert_eq!(rare.admit(client(1), Duration::from_secs(86_401)), Ok(()));
        let wild = limit(u32::MAX, MS, u32::MAX);
        assert!((0..1000).all(|_| wild.admit(client(1), Duration::from_secs(1 << 40)).is_ok()));
    }

    #[test]
    fn memory_is_bounded_however_many_clients_there_are_and_newcomers_are_let_in() {
        let limit = limit(1, Duration::from_secs(60), 1);
        let refused = (0..200_000).filter(|number| limit.admit(client(*number), MS).is_err()).count();
        assert!(refused < 20, "{refused} were taken for others");
        assert_eq!(limit.table.pages.len() * SETS * SET * size_of::<AtomicU64>(), 512 << 10);
    }

    #[test]
    fn few_clients_do_not_forget_each_other() {
        let limit = limit(1, Duration::from_secs(60), 1);
        let known = |number: &u32| limit.admit(client(*number), 2 * MS).is_err();
        (0..1000).for_each(|number| limit.admit(client(number), MS).unwrap());
        let known = (0..1000).filter(known).count();
        assert!(known >= 995, "{known} of 1000");
    }

    #[test]
    fn threads_count_together() {
        let (limit, passed) = (limit(1, Duration::from_secs(60), 100), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let own = (0..50).filter(|_| limit.admit(client(1), MS).is_ok()).count();
                    passed.fetch_add(own, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(passed.into_inner(), 100);
    }

    proptest! {
        #[test]
        fn in_no_window_are_more_than_burst_and_pace(
            requests in 1_u32..50,
            burst in 1_u32..20,
            start in 0_u64..1 << 40,
            steps in proptest::collection::vec(0_u64..400, 1..200),
        ) {
            let limit = limit(requests, 1000 * MS, burst);
            let (mut now, mut passed) = (start, Vec::new());
            for step in steps {
                now += step;
                match limit.admit(client(7), Duration::from_millis(now)) {
                    Ok(()) => passed.push(now),
                    Err(wait) => {
                        prop_assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1));
                        let later = Duration::from_millis(now) + wait + MS;
                        // Nobody is told to wait longer than needed, and then waits in vain.
                        let copy = RateLimit::new(limit.requests, limit.interval, limit.burst);
                        prop_assert!(passed.iter().all(|time| copy.admit(client(7), Duration::from_millis(*time)).is_ok()));
                        prop_assert!(copy.admit(client(7), later).is_ok());
                    }
                }
            }
            for (index, first) in passed.iter().enumerate() {
                for (more, last) in passed[index..].iter().enumerate() {
                    let most = u64::from(burst) + (last - first) * u64::from(requests) / 1000 + 1;
                    prop_assert!(u64::try_from(more).unwrap() < most, "{passed:?}");
                }
            }
        }
    }
}
