//! How much a connection moves before others have their turn.
//!
//! In: bytes read and written. Out: a pause, in which the thread serves who else is ready. Never: a pause of one that waits for its client
//! anyway; a timer.
//!
//! A client that takes all it is given never makes its stream wait. The runtime's own measure counts calls, 128 of them a turn: 32 MB of
//! a file that the kernel sends, some 8 ms in which nobody else is answered. So a turn is measured in bytes: 1 MB is some 0.3 ms.

use std::pin::pin;
use std::task::{Context, Poll};

/// Bytes of a turn.
const LONGEST: usize = 1 << 20;

/// What a connection has moved in this turn.
#[derive(Debug, Default)]
pub(super) struct Turn(usize);

impl Turn {
    /// So much has moved.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes);
    }

    /// Pending, once, at the end of a turn: the task goes on when the others that are ready have been polled, and the sockets looked at.
    pub(super) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 < LONGEST {
            return Poll::Ready(());
        }
        self.0 = 0;
        // Not `wake_by_ref`: what is woken so is polled up to 61 times before the runtime looks at its sockets.
        pin!(tokio::task::yield_now()).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn others_are_polled_once_a_turn() {
        let (polled, mut turn) = (Cell::new(0), Turn::default());
        let other = async {
            loop {
                polled.set(polled.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let one = async {
            for _ in 0..16 * 10 {
                poll_fn(|cx| turn.poll_begin(cx)).await;
                turn.moved(LONGEST / 16);
            }
        };
        tokio::select! {
            biased;
            () = other => {}
            () = one => {}
        }
        assert_eq!(polled.get(), 10, "after 9 full turns, and at the begin");
    }
}
