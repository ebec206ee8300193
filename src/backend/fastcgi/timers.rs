//! Limits on silence, lent to one request after the other.
//!
//! In: a limit. Out: [`Lent`], which comes back by itself. Never: more than [`SPARE`] at rest.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

use crate::backend::silence::Silence;

/// How many wait for their next request, per thread.
const SPARE: usize = 64;

/// Those of one thread that nobody uses. A timer stays armed while it waits here, and is moved when it fires too early: a request over a
/// connection of its own costs an allocation less, and neither an entry into the runtime's wheel nor a removal from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers(Rc<RefCell<Vec<Silence>>>);

/// One that is in use.
#[derive(Debug)]
pub(super) struct Lent {
    silence: Silence,
    timers: Timers,
}

impl Timers {
    /// One with this limit; `None`: none.
    pub(super) fn lend(&self, limit: Option<Duration>) -> Lent {
        let mut silence = self.0.borrow_mut().pop().unwrap_or_default();
        silence.limit(limit);
        Lent { silence, timers: self.clone() }
    }
}

impl Deref for Lent {
    type Target = Silence;

    fn deref(&self) -> &Silence {
        &self.silence
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Silence {
        &mut self.silence
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spare = self.timers.0.borrow_mut();
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.silence));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn one_that_comes_back_has_forgotten_its_last_limit_and_what_it_waited_for() {
        let timers = Timers::default();
        let hour = Duration::from_secs(3600);
        for limit in [hour, Duration::from_millis(40), hour] {
            let mut lent = timers.lend(Some(limit));
            let began = Instant::now();
            if limit == hour {
                assert!(poll_fn(|cx| std::task::Poll::Ready(lent.poll_over(cx).is_pending())).await);
            } else {
                poll_fn(|cx| lent.poll_over(cx)).await;
                assert!(began.elapsed() >= limit);
            }
            drop(lent);
            assert_eq!(timers.0.borrow().len(), 1, "the same one is lent again and again");
        }
    }

    #[test]
    fn no_more_than_some_wait_for_their_next_request() {
        let timers = Timers::default();
        let lent: Vec<_> = (0..SPARE + 9).map(|_| timers.lend(None)).collect();
        drop(lent);
        assert_eq!(timers.0.borrow().len(), SPARE);
    }
}
