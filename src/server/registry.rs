//! Who is connected to this thread.
//!
//! In: connections and tunnels, as they come and go. Out: their number, a word to all of them, an end to those that overstay.
//! Never: another thread's connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Settings;
use super::door::Door;
use super::pulse::Pulse;
use crate::listen::{Limits, Options, Seat};

/// Connections that a sweep sends to rest: some 2 ms of the thread's time, which those that do not rest wait for.
const AT_ONCE: usize = 1000;

/// While more are awake, some 25 KB each, it is looked more often who is quiet: those that come and go silent within a second would take
/// memory that the allocator gives back late. Who asks again and again is not sent to rest by that: to wake costs some 8,000 instructions.
const AWAKE: usize = 256;
/// That often.
const HURRY: Duration = Duration::from_millis(100);

/// The connections of one thread.
#[derive(Debug)]
pub(super) struct Registry {
    settings: Settings,
    slots: RefCell<HashMap<u64, Rc<Slot>>>,
    next: Cell<u64>,
    holds: Cell<usize>,
    /// Connections that do not rest.
    awake: Cell<usize>,
    /// Rung when they become too many.
    crowded: Notify,
    /// The shortest limit in time of those who come in now.
    shortest: Cell<Duration>,
    changed: Notify,
}

/// A connection's place in the registry, given up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    registry: Rc<Registry>,
    id: u64,
    slot: Rc<Slot>,
}

#[derive(Debug)]
struct Slot {
    pulse: Arc<Pulse>,
    door: Rc<Door>,
    /// What holds for it.
    options: Arc<Options>,
    /// The pulse as the last sweep saw it, and for how long it has been so.
    seen: Cell<(u32, Duration)>,
    expired: Cell<bool>,
    /// The last sweep has found it quiet, as the one before.
    rested: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A connection that does not rest.
#[derive(Debug)]
pub(super) struct Awake<'r>(&'r Cell<usize>);

/// Something in flight beside its connection, as a tunnel is: a drain waits until it is dropped.
#[derive(Debug)]
pub struct Hold {
    registry: Rc<Registry>,
    _seat: Rc<Seat>,
}

impl Registry {
    pub(super) fn new(settings: Settings) -> Rc<Self> {
        Rc::new(Self {
            settings,
            slots: RefCell::default(),
            next: Cell::new(0),
            holds: Cell::new(0),
            awake: Cell::new(0),
            crowded: Notify::new(),
            shortest: Cell::new(Duration::MAX),
            changed: Notify::new(),
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn enter(self: &Rc<Self>, pulse: Arc<Pulse>, door: Rc<Door>, options: Arc<Options>) -> Place {
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        // No sweep has seen it yet: the first one begins to count.
        let seen = Cell::new((!pulse.events(), Duration::ZERO));
        let (expired, rested) = (Cell::new(false), Cell::new(false));
        let slot = Rc::new(Slot { pulse, door, options, seen, expired, rested, waker: RefCell::default() });
        self.slots.borrow_mut().insert(id, slot.clone());
        Place { registry: self.clone(), id, slot }
    }

    pub(super) fn hold(self: &Rc<Self>, seat: Rc<Seat>) -> Hold {
        self.holds.set(self.holds.get() + 1);
        Hold { registry: self.clone(), _seat: seat }
    }

    /// Connections and tunnels.
    pub(super) fn count(&self) -> usize {
        self.slots.borrow().len() + self.holds.get()
    }

    /// Waits until there are that many, or something else has changed that is asked about.
    pub(super) async fn until(&self, enough: impl Fn(usize) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if enough(self.count()) {
                return;
            }
            changed.await;
        }
    }

    /// Who comes in now has these limits: those who wait for a change look again.
    pub(super) fn reconsider(&self, limits: impl Iterator<Item = Limits>) {
        self.shortest.set(limits.map(|limits| shortest(&limits)).min().unwrap_or(Duration::MAX));
        self.changed.notify_waiters();
    }

    /// Closes a door. From now on the connections that came in by it end as soon as they are not needed.
    pub(super) fn close(&self, door: &Rc<Door>) {
        door.close();
        self.slots.borrow().values().filter(|slot| Rc::ptr_eq(&slot.door, door)).for_each(|slot| slot.wake());
    }

    /// Ends what overstays, for as long as it is polled, sends to rest what is quiet, and tells of each look before it begins. Limits are kept
    /// to within two ticks, which are as long as the shortest limit asks for: those of one that has just become shorter, to within a second.
    pub(super) async fn sweep(&self, look: impl Fn()) {
        let mut least = Duration::MAX;
        loop {
            look();
            let tick = (least.min(self.shortest.get()) / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
            let (began, crowded) = (Instant::now(), self.awake.get() > AWAKE);
            tokio::select! {
                () = tokio::time::sleep(if crowded { tick.min(HURRY) } else { tick }) => {}
                () = self.crowded.notified(), if !crowded => {}
            }
            let tick = began.elapsed();
            least = Duration::MAX;
            let mut to_rest = AT_ONCE;
            for slot in self.slots.borrow().values() {
                let limits = &slot.options.limits;
                least = least.min(shortest(limits));
                let (now, (seen, since)) = (slot.pulse.events(), slot.seen.get());
                let since = if now == seen { since.saturating_add(tick) } else { Duration::ZERO };
                slot.seen.set((now, since));
                if slot.pulse.limit(limits, slot.door.is_closed()).is_some_and(|limit| since >= limit) {
                    slot.expired.set(true);
                    slot.wake();
                } else if now == seen && to_rest > 0 && slot.pulse.is_quiet() {
                    to_rest -= 1;
                    slot.rested.set(true);
                    slot.wake();
                }
            }
        }
    }
}

impl Place {
    /// Ready once the connection has to end; else its task is woken when that changes, and when its door is closed.
    pub(super) fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        if self.slot.expired.get() {
            return Poll::Ready(());
        }
        let mut waker = self.slot.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether a sweep has sent it to rest, since this was asked last.
    pub(super) fn may_rest(&self) -> bool {
        self.slot.rested.take()
    }

    /// Counts it among those that do not rest, for as long as what it gives is held.
    pub(super) fn awake(&self) -> Awake<'_> {
        let count = &self.registry.awake;
        count.set(count.get() + 1);
        if count.get() == AWAKE + 1 {
            self.registry.crowded.notify_one();
        }
        Awake(count)
    }
}

impl Slot {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.slots.borrow_mut().remove(&self.id);
        self.registry.changed.notify_waiters();
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.registry.holds.set(self.registry.holds.get() - 1);
        self.registry.changed.notify_waiters();
    }
}

fn shortest(limits: &Limits) -> Duration {
    limits.header_timeout.min(limits.idle_timeout).min(limits.write_timeout)
}
