//! How long nothing has moved.
//!
//! In: polls that are pending, moments at which bytes moved. Out: whether the limit has passed. Never: a timer where nothing waits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A limit on silence. The timer is armed once and moved only when it fires too early, so most waits touch no timer wheel.
#[derive(Debug, Default)]
pub(super) struct Silence {
    limit: Option<Duration>,
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    /// Starts over with another limit; `None`: none.
    pub(super) fn limit(&mut self, limit: Option<Duration>) {
        self.limit = limit;
        self.since = None;
    }

    /// Something moved just now.
    pub(super) fn broken(&mut self) {
        self.since = None;
    }

    /// Something moved at `moment`; `false` if that is no news.
    pub(super) fn broken_at(&mut self, moment: Instant) -> bool {
        let news = self.since.is_none_or(|since| moment > since);
        if news {
            self.since = Some(moment);
        }
        news
    }

    /// Ready once the limit has passed; the silence begins with the first poll.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let deadline = *self.since.get_or_insert_with(Instant::now) + limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            // It was armed for an earlier wait.
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn silence_is_counted_from_the_last_move() {
        let (limit, start) = (Duration::from_millis(40), Instant::now());
        let mut silence = Silence::default();
        silence.limit(Some(limit));
        poll_fn(|cx| silence.poll_over(cx)).await;
        assert!(start.elapsed() >= limit);
        silence.broken();
        let again = Instant::now();
        poll_fn(|cx| silence.poll_over(cx)).await;
        assert!(again.elapsed() >= limit, "the timer's first end is not taken for the second");
        assert!(!silence.broken_at(start));
        assert!(silence.broken_at(Instant::now()));
    }

    #[tokio::test]
    async fn without_a_limit_silence_is_never_over() {
        let mut silence = Silence::default();
        assert!(poll_fn(|cx| Poll::Ready(silence.poll_over(cx).is_pending())).await);
        assert!(silence.sleep.is_none());
    }
}
