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

/// The connections to one address.
#[derive(Debug, Default)]
pub struct Crowd {
    all: AtomicUsize,
    /// Connections by client, of those clients that have a limit, in parts that are locked for as long as it takes to count one.
    clients: [Mutex<HashMap<ClientKey, u32>>; PARTS],
    hasher: RandomState,
}

/// A connection's seat. Given up when dropped.
#[derive(Debug)]
pub struct Seat {
    crowd: Arc<Crowd>,
    client: Option<ClientKey>,
}

impl Crowd {
    /// A seat for one more, unless `limit` are there.
    #[must_use]
    pub fn enter(self: &Arc<Self>, limit: usize) -> Option<Seat> {
        let one_more = |all: usize| (all < limit).then_some(all + 1);
        self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Seat { crowd: self.clone(), client: None })
    }

    /// A seat for one more, whatever the limit.
    #[must_use]
    pub fn enter_anyway(self: &Arc<Self>) -> Seat {
        self.all.fetch_add(1, Ordering::Relaxed);
        Seat { crowd: self.clone(), client: None }
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
}

impl Drop for Seat {
    fn drop(&mut self) {
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
