//! Many pure jobs -> their results in order, by as many threads as there are cores.
//!
//! In: things, and what to do with each. Out: the results. Never: a thread for a few; a thread that outlives the call; more of them than
//! `MOST`.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread::{Builder, ScopedJoinHandle, available_parallelism, scope};

/// Below this the calling thread does it alone: a thread costs as much as a few manifests.
const FEW: usize = 64;
/// Threads, whatever the machine has: the serving plane wants its cores back.
const MOST: usize = 8;

/// Does a job for each of these. The threads inherit the priority of the caller.
///
/// # Panics
/// If the job does.
pub fn map<T: Sync, R: Send>(things: &[T], job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get).min(MOST);
    if things.len() < FEW || cores == 1 {
        return things.iter().map(job).collect();
    }
    let portion = |things: &[T]| things.iter().map(&job).collect::<Vec<_>>();
    let mut portions = things.chunks(things.len().div_ceil(cores));
    // There is one: `things` is not empty.
    let own = portions.next().unwrap_or_default();
    scope(|scope| {
        let portion = &portion;
        let begin = |things| (things, Builder::new().name("batch".to_owned()).spawn_scoped(scope, move || portion(things)));
        let threads: Vec<_> = portions.map(begin).collect();
        let mut results = portion(own);
        for (things, thread) in threads {
            results.extend(match thread.map(ScopedJoinHandle::join) {
                Ok(Ok(done)) => done,
                Ok(Err(panic)) => resume_unwind(panic),
                // There was no thread for it.
                Err(_) => portion(things),
            });
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    #[test]
    fn results_come_in_order_and_a_few_stay_on_the_thread() {
        let numbers: Vec<_> = (0..10 * FEW).collect();
        assert_eq!(map(&numbers, |number| number * 2), numbers.iter().map(|number| number * 2).collect::<Vec<_>>());
        let caller = current().id();
        assert!(map(&numbers[..FEW - 1], |_| current().id()).iter().all(|id| *id == caller));
        assert!(map(&numbers[..0], |_| current().id()).is_empty());
    }
}
