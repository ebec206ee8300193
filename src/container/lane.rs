//! Calls that may never return -> threads of their own, a few for each root, and an answer by a deadline.
//!
//! In: a call that a file system of somebody else may hang. Out: what it says, or `TimedOut`. Never: a thread of a runtime that waits for
//! it; more than [`THREADS`] of them, however many ask; an end of the daemon that waits for one.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

/// Calls of one lane that are under way at one time. One that hangs keeps its place until the kernel gives it back.
pub const THREADS: usize = 8;

/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_millis(500);

/// These calls are shallow.
const STACK: usize = 256 << 10;

/// Threads for calls that may hang, shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct Lane {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seats: Arc<Semaphore>,
    work: Mutex<Work>,
    more: Condvar,
}

#[derive(Default)]
struct Work {
    /// Those that are waited for have a seat each, so there are few; the rest closes files, so there are no more than files.
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

type Job = Box<dyn FnOnce() + Send>;

impl Lane {
    /// What a call says, if it says it in time, the wait for a thread included. A call that was not begun by then is never made; one that
    /// was goes on, and nobody hears of it.
    ///
    /// # Errors
    /// What the call says; `TimedOut`; if there is no thread for it, why not.
    pub async fn run<T: Send + 'static>(&self, patience: Duration, call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        let answered = async {
            // It is never closed.
            let seat = self.shared.seats.clone().acquire_owned().await.map_err(io::Error::other)?;
            let (sender, answer) = oneshot::channel();
            let job = Box::new(move || {
                // Files that are closed may have come first, and taken longer than anybody waits.
                if !sender.is_closed() {
                    let said = call();
                    drop(seat);
                    drop(sender.send(said));
                }
            });
            self.push(job).map_err(|(error, _)| error)?;
            answer.await.unwrap_or_else(|_| Err(io::Error::other("a look into a container panicked")))
        };
        tokio::time::timeout(patience, answered).await.unwrap_or_else(|_| Err(late(patience)))
    }

    /// Does what nobody waits for, as soon as a thread is free: closing a file may hang like opening it.
    pub(super) fn spare(&self, job: impl FnOnce() + Send + 'static) {
        if let Err((_, job)) = self.push(Box::new(job)) {
            // Dropped, it would close here. The next thread that can be made does it.
            self.shared.lock().jobs.push_back(job);
        }
    }

    /// Gives the job back if there is no thread for it: dropped in here, it could ask for this very lock.
    fn push(&self, job: Job) -> Result<(), (io::Error, Job)> {
        let mut work = self.shared.lock();
        work.jobs.push_back(job);
        if work.idle >= work.jobs.len() || work.threads >= THREADS {
            self.shared.more.notify_one();
            return Ok(());
        }
        let shared = self.shared.clone();
        let made = thread::Builder::new().name("lane".to_owned()).stack_size(STACK).spawn(move || shared.serve());
        match made {
            Ok(_) => work.threads += 1,
            // Those that are there come to it.
            Err(_) if work.threads > 0 => {}
            Err(error) => {
                // The job that was put there, under the same lock.
                return work.jobs.pop_back().map_or(Ok(()), |job| Err((error, job)));
            }
        }
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a thread.
    fn serve(&self) {
        while let Some(job) = self.next() {
            // Who waits for it hears of the panic by a sender that is gone; the hook has logged it.
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut work = self.lock();
        work.idle += 1;
        let (mut work, _) = self.more.wait_timeout_while(work, IDLE, |work| work.jobs.is_empty()).unwrap_or_else(PoisonError::into_inner);
        work.idle -= 1;
        let job = work.jobs.pop_front();
        if job.is_none() {
            work.threads -= 1;
        }
        job
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self { seats: Arc::new(Semaphore::new(THREADS)), work: Mutex::default(), more: Condvar::new() }
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("jobs", &self.jobs.len()).field("threads", &self.threads).finish_non_exhaustive()
    }
}

fn late(patience: Duration) -> io::Error {
    let seconds = patience.as_secs();
    io::Error::new(ErrorKind::TimedOut, format!("its file system did not answer within {seconds} s (a mount that hangs?)"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn calls_that_hang_take_no_more_than_their_seats_and_give_them_back() {
        let lane = Lane::default();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..THREADS {
            let gate = gate.clone();
            let hung = lane.run(SOON, move || Ok(gate.lock().unwrap().recv().is_ok())).await;
            assert_eq!(hung.unwrap_err().kind(), ErrorKind::TimedOut);
        }
        let begun = Arc::new(());
        let witness = begun.clone();
        let refused = lane.run(SOON, move || Ok(witness)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!((Arc::strong_count(&begun), lane.shared.lock().threads), (1, THREADS), "it was never begun");
        drop(go);
        assert_eq!(lane.run(LONG, || Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn one_lane_that_hangs_holds_up_no_other_and_a_panic_takes_no_seat_away() {
        let (hung, other) = (Lane::default(), Lane::default());
        let (go, gate) = mpsc::channel::<()>();
        assert!(hung.run(SOON, move || Ok(gate.recv().is_ok())).await.is_err());
        for _ in 0..=THREADS {
            assert!(other.run::<()>(LONG, || panic!("as it should")).await.is_err());
        }
        assert_eq!(other.run(LONG, || Ok(7)).await.unwrap(), 7);
        drop(go);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_when_a_thread_is_free() {
        let lane = Lane::default();
        let (done, was_done) = mpsc::channel();
        lane.spare(move || done.send(()).unwrap());
        was_done.recv_timeout(LONG).unwrap();
    }
}
