//! Requests that come, wait, leave and end, in any order and on several threads.

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(waiting: &mut Waiting, bell: &Arc<Bell>) -> Option<Slot> {
    match Pin::new(waiting).poll(&mut Context::from_waker(&bell.clone().into())) {
        Poll::Ready(slot) => Some(slot),
        Poll::Pending => None,
    }
}

fn now(turn: Turn) -> Slot {
    match turn {
        Turn::Now(slot) => slot,
        other => panic!("{other:?}"),
    }
}

fn later(turn: Turn) -> Waiting {
    match turn {
        Turn::Later(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_waits_is_served_in_order_and_nobody_overtakes() {
    let (slots, bell) = (Arc::<Slots>::default(), Arc::<Bell>::default());
    let first = now(slots.ask(1, 2));
    let (mut second, mut third) = (later(slots.ask(1, 2)), later(slots.ask(1, 2)));
    assert!(matches!(slots.ask(1, 2), Turn::Never));
    assert_eq!((slots.taken(), slots.waiting()), (1, 2));
    assert!(poll(&mut third, &bell).is_none() && poll(&mut second, &bell).is_none());
    drop(first);
    assert_eq!(bell.0.load(Ordering::SeqCst), 1, "only one is woken");
    assert!(poll(&mut third, &bell).is_none());
    let mut fourth = later(slots.ask(1, 2));
    let second = poll(&mut second, &bell).unwrap();
    drop(second);
    assert!(poll(&mut fourth, &bell).is_none());
    drop(poll(&mut third, &bell).unwrap());
    drop(poll(&mut fourth, &bell).unwrap());
    assert_eq!((slots.taken(), slots.waiting()), (0, 0));
}

#[test]
fn who_leaves_the_queue_takes_no_slot_along() {
    let (slots, bell) = (Arc::<Slots>::default(), Arc::<Bell>::default());
    let first = now(slots.ask(1, 9));
    let (leaves, granted, mut stays) = (later(slots.ask(1, 9)), later(slots.ask(1, 9)), later(slots.ask(1, 9)));
    drop(leaves);
    assert_eq!(slots.waiting(), 2);
    drop(first);
    assert!(poll(&mut stays, &bell).is_none());
    // It has the slot, and has not looked yet.
    drop(granted);
    assert!(poll(&mut stays, &bell).is_some());
    assert_eq!((slots.taken(), slots.waiting()), (0, 0));
}

#[test]
fn a_limit_that_has_changed_holds_for_those_who_ask_then() {
    let slots = Arc::<Slots>::default();
    let taken: Vec<_> = (0..4).map(|_| now(slots.ask(4, 0))).collect();
    let bell = Arc::<Bell>::default();
    let mut low = later(slots.ask(2, 9));
    let mut high = later(slots.ask(5, 9));
    for slot in taken.into_iter().take(2) {
        drop(slot);
    }
    assert!(poll(&mut low, &bell).is_some());
    assert!(poll(&mut high, &bell).is_some());
}

#[test]
fn threads_never_have_more_than_the_limit_and_none_is_forgotten() {
    const LIMIT: u32 = 3;
    let (slots, inside, served) = (Arc::<Slots>::default(), AtomicU32::new(0), AtomicUsize::new(0));
    let request = |slots: &Arc<Slots>| {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let slot = match slots.ask(LIMIT, 100) {
            Turn::Now(slot) => slot,
            Turn::Never => unreachable!("the queue is long enough"),
            Turn::Later(mut waiting) => {
                let waker = Arc::new(Unpark(std::thread::current())).into();
                loop {
                    match Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)) {
                        Poll::Ready(slot) => break slot,
                        Poll::Pending => std::thread::park_timeout(Duration::from_secs(10)),
                    }
                }
            }
        };
        assert!(inside.fetch_add(1, Ordering::SeqCst) < LIMIT);
        std::thread::yield_now();
        inside.fetch_sub(1, Ordering::SeqCst);
        served.fetch_add(1, Ordering::SeqCst);
        drop(slot);
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..500).for_each(|_| request(&slots)));
        }
    });
    assert_eq!((served.load(Ordering::SeqCst), slots.taken(), slots.waiting()), (4000, 0, 0));
}

proptest! {
    /// 0, 1: one asks; 2: the oldest slot ends; 3: the youngest who waits leaves; 4: the oldest does; 5: all who wait look.
    #[test]
    fn whatever_happens_the_slots_are_full_while_somebody_waits(limit in 1_u32..4, queue in 0_u32..4, acts in proptest::collection::vec(0..6, 0..60)) {
        let (slots, bell) = (Arc::<Slots>::default(), Arc::<Bell>::default());
        let (mut held, mut waiting) = (std::collections::VecDeque::new(), std::collections::VecDeque::new());
        for act in acts {
            match act {
                0 | 1 => match slots.ask(limit, queue) {
                    Turn::Now(slot) => held.push_back(slot),
                    Turn::Later(place) => waiting.push_back(place),
                    Turn::Never => prop_assert_eq!((slots.taken(), slots.waiting()), (limit, queue)),
                },
                2 => drop(held.pop_front()),
                3 => drop(waiting.pop_back()),
                4 => drop(waiting.pop_front()),
                _ => {
                    while let Some(slot) = waiting.front_mut().and_then(|first| poll(first, &bell)) {
                        held.push_back(slot);
                        waiting.pop_front();
                    }
                }
            }
            prop_assert!(slots.taken() <= limit && slots.waiting() <= queue);
            prop_assert!(slots.waiting() == 0 || slots.taken() == limit);
        }
        drop((held, waiting));
        prop_assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    }
}
