//! Who is connected to an address, over all threads: how many, and how many of each client.
//!
//! In: connections as they come. Out: a [`Seat`] for each, given up when it is dropped. Never: a wait; a client that is remembered when
//! it is gone; anything that is touched while a request is answered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::names::ClientKey;

/// Threads meet in one part seldom.
const PARTS: usize = 16;

/// A thread that has more than another by this part of the other's serves no newcomer.
const SLACK: usize = 8;

/// The connections to one address.
#[derive(Debug, Default)]
pub struct Crowd {
    all: AtomicUsize,
    /// Connections by the thread that serves them.
    threads: Box<[AtomicUsize]>,
    /// Connections by client, of those clients that have a limit, in parts that are locked for as long as it takes to count one.
    clients: [Mutex<HashMap<ClientKey, u32>>; PARTS],
    hasher: RandomState,
}

/// A connection's seat. Given up when dropped.
#[derive(Debug)]
pub struct Seat {
    crowd: Arc<Crowd>,
    client: Option<ClientKey>,
    thread: Option<usize>,
}

impl Crowd {
    /// Nobody yet, over so many threads.
    #[must_use]
    pub fn of_threads(count: usize) -> Self {
        Self { threads: (0..count).map(|_| AtomicUsize::default()).collect(), ..Self::default() }
    }

    /// A seat for one more, unless `limit` are there.
    #[must_use]
    pub fn enter(self: &Arc<Self>, limit: usize) -> Option<Seat> {
        let one_more = |all: usize| (all < limit).then_some(all + 1);
        self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Seat { crowd: self.clone(), client: None, thread: None })
    }

    /// A seat for one more, whatever the limit.
    #[must_use]
    pub fn enter_anyway(self: &Arc<Self>) -> Seat {
        self.all.fetch_add(1, Ordering::Relaxed);
        Seat { crowd: self.clone(), client: None, thread: None }
    }

    /// How many are there.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    fn part(&self, client: ClientKey) -> MutexGuard<'_, HashMap<ClientKey, u32>> {
        // The remainder fits.
        let part = usize::try_from(self.hasher.hash_one(client) % PARTS as u64).unwrap_or_default();
        self.clients[part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts it as this client's. Returns whether that has no more than `limit` then; if it has, it is not counted.
    #[must_use]
    pub fn belongs_to(&mut self, client: ClientKey, limit: u32) -> bool {
        let mut part = self.crowd.part(client);
        let count = part.get(&client).copied().unwrap_or_default();
        if count >= limit {
            return false;
        }
        part.insert(client, count + 1);
        drop(part);
        self.client = Some(client);
        true
    }

    /// Chooses the thread that serves it, and counts it there: `own`, unless another has clearly fewer. Two that choose at once may miss
    /// each other by one.
    pub fn choose(&mut self, own: usize) -> usize {
        let counts = || self.crowd.threads.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        let least = counts().min_by_key(|(_, count)| *count);
        let held = counts().nth(own).map(|(_, count)| count);
        let thread = match (least, held) {
            (Some((other, least)), Some(held)) if held > least + least / SLACK => other,
            _ => own,
        };
        self.sit_at(thread);
        thread
    }

    /// From now on it counts there.
    pub fn sit_at(&mut self, thread: usize) {
        self.rise();
        if let Some(count) = self.crowd.threads.get(thread) {
            count.fetch_add(1, Ordering::Relaxed);
            self.thread = Some(thread);
        }
    }

    fn rise(&mut self) {
        if let Some(count) = self.thread.take().and_then(|thread| self.crowd.threads.get(thread)) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.rise();
        self.crowd.all.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client else { return };
        if let Entry::Occupied(mut count) = self.crowd.part(client).entry(client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> ClientKey {
        ClientKey::of([192, 0, 2, last].into())
    }

    #[test]
    fn there_are_as_many_seats_as_the_limit_and_one_that_is_left_is_free() {
        let crowd = Arc::new(Crowd::default());
        let seats: Vec<_> = (0..3).map_while(|_| crowd.enter(2)).collect();
        assert_eq!((seats.len(), crowd.count()), (2, 2));
        drop(seats);
        assert!(crowd.enter(1).is_some());
        assert_eq!(crowd.count(), 0);
    }

    #[test]
    fn a_client_has_its_own_limit_and_leaves_nothing_behind() {
        let crowd = Arc::new(Crowd::default());
        let enter = |last| {
            let mut seat = crowd.enter(usize::MAX).unwrap();
            seat.belongs_to(client(last), 2).then_some(seat)
        };
        let seats = [enter(1), enter(1), enter(2)];
        assert!(seats.iter().all(Option::is_some));
        assert!(enter(1).is_none(), "and it does not count");
        assert!(enter(2).is_some());
        drop(seats);
        assert!(crowd.clients.iter().all(|part| part.lock().unwrap().is_empty()));
        assert!(enter(1).is_some());
    }

    #[test]
    fn newcomers_sit_where_clearly_fewer_are_and_leave_a_free_seat_there() {
        let crowd = Arc::new(Crowd::of_threads(2));
        let enter = |own| {
            let mut seat = crowd.enter_anyway();
            (seat.choose(own), seat)
        };
        let seats: Vec<_> = (0..8).map(|_| enter(0)).collect();
        assert_eq!(seats.iter().filter(|(thread, _)| *thread == 0).count(), 4, "the kernel's choice is not asked");
        let more: Vec<_> = (0..200).map(|at| enter(usize::from(at % 4 == 0))).collect();
        let counts: Vec<_> = crowd.threads.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert!(counts[0].abs_diff(counts[1]) <= 1 + counts[0].min(counts[1]) / SLACK, "{counts:?}");
        let kept = more.iter().filter(|(thread, _)| *thread == 0).count();
        assert!(kept > 100, "who has a few more keeps what it has accepted: {kept}");
        drop(seats);
        let (thread, mut moved) = enter(0);
        moved.sit_at(1 - thread);
        drop((more, moved));
        assert!(crowd.threads.iter().all(|count| count.load(Ordering::Relaxed) == 0));
        assert_eq!(Arc::new(Crowd::default()).enter_anyway().choose(3), 3, "without threads there is no choice");
    }

    #[test]
    fn threads_that_come_at_once_share_the_seats() {
        let crowd = Arc::new(Crowd::default());
        let enter = || (0..100).filter_map(|_| crowd.enter(150)).collect::<Vec<_>>();
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
            let seats: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            seats.iter().map(Vec::len).sum()
        });
        assert_eq!((taken, crowd.count()), (150, 0));
    }
}
