//! An allocator that counts, each thread for itself.
//!
//! In: every allocation of the process. Out: how many a thread has made. Never: an allocation of its own; memory but the system's.

#![allow(unsafe_code, reason = "an allocator is unsafe by its trait: this one hands everything on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use rustix::thread::gettid;

/// Threads that are told apart; those that come later are counted as one.
const THREADS: usize = 256;

static THREAD_IDS: [AtomicI32; THREADS] = [const { AtomicI32::new(0) }; THREADS];
static COUNTS: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The thread's place in the arrays. It needs no allocation and no destructor.
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The system's allocator, counted.
pub struct Counting;

/// Allocations that the thread of this name has made; one that grows or shrinks counts as another one.
#[must_use]
pub fn of_thread(name: &str) -> u64 {
    let is = |id: i32| fs::read_to_string(format!("/proc/self/task/{id}/comm")).is_ok_and(|found| found.trim_end() == name);
    let place = (0..THREADS).find(|place| is(THREAD_IDS[*place].load(Ordering::Relaxed)));
    COUNTS[place.expect("the thread runs")].load(Ordering::Relaxed)
}

fn count() {
    // A thread that is ending has no place any more, and nobody asks for it.
    let _ = PLACE.try_with(|place| {
        let at = place.get().unwrap_or_else(|| {
            let at = NEXT.fetch_add(1, Ordering::Relaxed).min(THREADS - 1);
            THREAD_IDS[at].store(gettid().as_raw_nonzero().get(), Ordering::Relaxed);
            place.set(Some(at));
            at
        });
        COUNTS[at].fetch_add(1, Ordering::Relaxed);
    });
}

// SAFETY: every call goes to the system's allocator as it came, and its answer goes back as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above; the block came from the system's allocator.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
