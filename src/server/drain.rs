//! The order to end: let go of what is idle, finish what is in flight; or stop at once.
//!
//! In: [`Trigger`], held by who hears the signals. Out: [`Shutdown`], held by every thread. Never: a way back.

use tokio::sync::watch;

/// What the server is to do. The order is that of urgency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Serve.
    #[default]
    Running,
    /// Accept nothing, finish what is in flight, then end.
    Drain,
    /// End now.
    Stop,
}

/// Gives the order. If it is dropped the server stops: nobody could tell it any more.
#[derive(Debug)]
pub struct Trigger(watch::Sender<State>);

/// Hears the order.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<State>);

/// The two ends.
#[must_use]
pub fn shutdown() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(State::Running);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Begins to drain; nothing changes if it has begun, or if all has stopped.
    pub fn drain(&self) {
        self.raise(State::Drain);
    }

    /// Stops at once.
    pub fn stop(&self) {
        self.raise(State::Stop);
    }

    fn raise(&self, state: State) {
        self.0.send_if_modified(|now| {
            let changes = *now < state;
            *now = state.max(*now);
            changes
        });
    }
}

impl Shutdown {
    /// What is ordered now.
    #[must_use]
    pub fn state(&self) -> State {
        if self.0.has_changed().is_err() { State::Stop } else { *self.0.borrow() }
    }

    /// Waits until `state` or something more urgent is ordered.
    pub async fn reached(&mut self, state: State) {
        // An error means that the trigger is gone: that is an order too.
        let _ = self.0.wait_for(|now| *now >= state).await;
    }
}
