//! So many at once, the others in a queue: first come, first served, over all threads.
//!
//! In: who wants a slot. Out: [`Slot`], given back when it is dropped, or a place in the queue. Never: a lock while nobody waits; a slot that
//! is lost with the one who waited for it; a clock: who waits too long is told elsewhere.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// So many requests of an App at once.
#[derive(Debug)]
pub struct MaxConnections {
    /// How many are in flight.
    pub connections: u32,
    /// How many may wait.
    pub queue: u32,
    /// How long one may wait.
    pub timeout: Duration,
    /// Those of the App, on all threads and in all generations.
    pub slots: Arc<Slots>,
}

/// The slots of an App. Limits come with those who ask: they may change while others wait.
#[derive(Debug, Default)]
pub struct Slots {
    taken: AtomicU32,
    /// The length of the queue, so that nobody locks it who need not.
    waiting: AtomicU32,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// In the order in which they came.
    waiters: BTreeMap<u64, Arc<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    limit: u32,
    granted: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// One of so many at once. Given back when dropped.
#[derive(Debug)]
pub struct Slot(Arc<Slots>);

/// A place in the queue: ready when it has become a slot. Given up when dropped.
#[derive(Debug)]
pub struct Waiting {
    slots: Arc<Slots>,
    ticket: u64,
    waiter: Arc<Waiter>,
    /// It has become a slot.
    over: bool,
}

/// What there is for one who asks.
#[derive(Debug)]
pub enum Turn {
    /// A slot.
    Now(Slot),
    /// A place in the queue.
    Later(Waiting),
    /// Neither.
    Never,
}

impl MaxConnections {
    /// Asks for a slot.
    #[must_use]
    pub fn ask(&self) -> Turn {
        self.slots.ask(self.connections, self.queue)
    }
}

impl Slots {
    /// How many are in flight.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    fn ask(self: &Arc<Self>, limit: u32, most_waiting: u32) -> Turn {
        if self.waiting.load(Ordering::SeqCst) == 0 && self.take(limit) {
            return Turn::Now(Slot(self.clone()));
        }
        let mut queue = self.queue();
        let length = u32::try_from(queue.waiters.len()).unwrap_or(u32::MAX);
        if length == 0 && self.take(limit) {
            return Turn::Now(Slot(self.clone()));
        }
        if length >= most_waiting {
            return Turn::Never;
        }
        let (ticket, waiter) = (queue.next, Arc::new(Waiter { limit, granted: AtomicBool::new(false), waker: Mutex::default() }));
        queue.next += 1;
        queue.waiters.insert(ticket, waiter.clone());
        self.waiting.store(length + 1, Ordering::SeqCst);
        drop(queue);
        // Who gave a slot back before that was told of nobody.
        self.grant();
        Turn::Later(Waiting { slots: self.clone(), ticket, waiter, over: false })
    }

    fn take(&self, limit: u32) -> bool {
        let one_more = |taken: u32| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.grant();
        }
    }

    /// Gives slots to those who wait, in their order, as long as there are any.
    fn grant(&self) {
        while let Some(waiter) = self.first_to_go() {
            waiter.granted.store(true, Ordering::SeqCst);
            let waker = waiter.waker().take();
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// The first of the queue, if there is a slot for it, which it has then.
    fn first_to_go(&self) -> Option<Arc<Waiter>> {
        let mut queue = self.queue();
        let first = queue.waiters.first_entry()?;
        if !self.take(first.get().limit) {
            return None;
        }
        let waiter = first.remove();
        self.note_length(&queue);
        Some(waiter)
    }

    fn note_length(&self, queue: &Queue) {
        self.waiting.store(u32::try_from(queue.waiters.len()).unwrap_or(u32::MAX), Ordering::SeqCst);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Waiting {
    type Output = Slot;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Slot> {
        let is_granted = |waiting: &Self| waiting.waiter.granted.load(Ordering::SeqCst);
        if !is_granted(&self) {
            let mut waker = self.waiter.waker();
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            drop(waker);
            // It may have come before there was anybody to wake.
            if !is_granted(&self) {
                return Poll::Pending;
            }
        }
        self.over = true;
        Poll::Ready(Slot(self.slots.clone()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut queue = self.slots.queue();
        let waited = queue.waiters.remove(&self.ticket).is_some();
        self.slots.note_length(&queue);
        drop(queue);
        if waited {
            // The next may have a higher limit.
            self.slots.grant();
        } else {
            self.slots.give_back();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests;
