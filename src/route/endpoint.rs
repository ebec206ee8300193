//! One of the addresses of a backend, and what all threads know of it.
//!
//! In: an address as it was resolved; what happens to requests and to health checks. Out: [`Endpoint`], [`Health`]. Never: a lock, a clock
//! of its own: times are milliseconds since a start that is the caller's.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

use super::{Backend, Checked, Ejection};
use crate::dial::Address;

/// The time that an endpoint is out grows up to so many times the base.
const LONGEST_EJECTION: u32 = 10;

/// One of the addresses of a backend.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// As the manifest names it: a path, `host:port`, or `port N`.
    pub name: Box<str>,
    /// Where it is; `None` while its container does not run.
    pub address: Option<Address>,
    /// What all threads know of it. It outlives changes of the App that leave the endpoint alone.
    pub health: Arc<Health>,
}

/// What all threads know of an endpoint.
#[derive(Debug, Default)]
pub struct Health {
    in_flight: AtomicU32,
    /// Failures in a row.
    errors: AtomicU32,
    /// How often it was taken out since it last answered.
    ejections: AtomicU32,
    /// When it is in again; 0: it is not out.
    ejected_until: AtomicU64,
    /// The verdict of its health checks.
    unhealthy: AtomicBool,
    /// Checks in a row that say the opposite of the verdict.
    streak: AtomicU32,
    /// The last check, as [`Checked`] writes it; 0: there was none.
    checked: AtomicU64,
}

/// Whether an endpoint gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    Ready,
    /// Too many of its requests have failed.
    Ejected,
    /// It fails its health checks.
    Unhealthy,
    /// It has no address: its container does not run.
    Unavailable,
}

/// A request that an endpoint has; over when dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Health>);

impl State {
    /// Whether it gets requests.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self == Self::Ready
    }
}

impl Backend {
    /// Whether an endpoint, by its index, gets requests. `now` is asked for only where it matters.
    pub fn state(&self, endpoint: usize, now: impl FnOnce() -> u64) -> State {
        let Endpoint { address, health, .. } = &self.endpoints[endpoint];
        if address.is_none() {
            State::Unavailable
        } else if self.check.is_some() && health.is_unhealthy() {
            State::Unhealthy
        } else if self.ejection.is_some() && health.ejected_until().is_some_and(|until| until > now()) {
            State::Ejected
        } else {
            State::Ready
        }
    }
}

impl Health {
    /// Requests that it has, over all threads. They are counted of backends with several endpoints only.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Counts a request.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self.clone())
    }

    /// Failures in a row, since it was last taken out.
    #[must_use]
    pub fn errors(&self) -> u32 {
        self.errors.load(Relaxed)
    }

    /// When it is in again after failures, in milliseconds of the caller's clock; `None`: it is in, as far as anybody knows.
    #[must_use]
    pub fn ejected_until(&self) -> Option<u64> {
        Some(self.ejected_until.load(Relaxed)).filter(|until| *until > 0)
    }

    /// Notes a failed request. Returns for how long it is out from now on, if it is. `may_eject` is asked before.
    pub fn note_failure(&self, ejection: Ejection, now: u64, may_eject: impl FnOnce() -> bool) -> Option<Duration> {
        let errors = self.errors.fetch_add(1, Relaxed).saturating_add(1);
        let until = self.ejected_until.load(Relaxed);
        if ejection.errors == 0 || errors < ejection.errors || until > now || !may_eject() {
            return None;
        }
        let times = self.ejections.load(Relaxed).saturating_add(1).min(LONGEST_EJECTION);
        let time = ejection.base * times;
        let again = now.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).max(1);
        // Another thread may have come to the same end: one of them takes it out.
        self.ejected_until.compare_exchange(until, again, Relaxed, Relaxed).ok()?;
        self.ejections.store(times, Relaxed);
        self.errors.store(0, Relaxed);
        Some(time)
    }

    /// Notes an answer. Returns whether it was out. Of one that always answers nothing is written.
    pub fn note_success(&self) -> bool {
        if self.errors.load(Relaxed) != 0 {
            self.errors.store(0, Relaxed);
        }
        if self.ejections.load(Relaxed) != 0 {
            self.ejections.store(0, Relaxed);
        }
        self.ejected_until.load(Relaxed) != 0 && self.ejected_until.swap(0, Relaxed) != 0
    }

    /// The verdict of its health checks. Until there is one it counts as healthy.
    #[must_use]
    pub fn is_unhealthy(&self) -> bool {
        self.unhealthy.load(Relaxed)
    }

    /// The last health check.
    #[must_use]
    pub fn checked(&self) -> Option<Checked> {
        Checked::unpacked(self.checked.load(Relaxed))
    }

    /// Notes a health check; there is one at a time. `thresholds`: checks in a row that bring it back, and that take it out. Returns the
    /// verdict if it is another one now: whether it is healthy.
    pub fn note_check(&self, checked: Checked, (healthy, unhealthy): (u32, u32)) -> Option<bool> {
        self.checked.store(checked.packed(), Relaxed);
        let is_out = self.is_unhealthy();
        if checked.passed != is_out {
            self.streak.store(0, Relaxed);
            return None;
        }
        let streak = self.streak.fetch_add(1, Relaxed).saturating_add(1);
        if streak < if is_out { healthy } else { unhealthy } {
            return None;
        }
        self.streak.store(0, Relaxed);
        self.unhealthy.store(!is_out, Relaxed);
        Some(is_out)
    }

    /// Nobody checks it any more.
    pub fn forget_checks(&self) {
        self.unhealthy.store(false, Relaxed);
        self.streak.store(0, Relaxed);
        self.checked.store(0, Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::*;

    const EJECTION: Ejection = Ejection { errors: 3, base: Duration::from_secs(10) };

    /// Fails until it is out; returns for how many seconds.
    fn fail(health: &Health, now: u64) -> u64 {
        let mut notes = (0..3).map(|_| health.note_failure(EJECTION, now, || true));
        assert_eq!((notes.next(), notes.next()), (Some(None), Some(None)));
        notes.next().unwrap().unwrap().as_secs()
    }

    #[test]
    fn failures_in_a_row_take_it_out_longer_each_time_up_to_ten_times() {
        let health = Health::default();
        let mut now = 5;
        for times in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10] {
            let out = fail(&health, now);
            assert_eq!((out, health.ejected_until()), (10 * times, Some(now + 10_000 * times)));
            now += 10_000 * times;
        }
        assert!(health.note_success());
        assert_eq!((health.ejected_until(), fail(&health, now)), (None, 10), "an answer makes good for all of it");
    }

    #[test]
    fn an_answer_between_failures_and_a_limit_of_none_keep_it_in() {
        let health = Health::default();
        for _ in 0..9 {
            assert_eq!(health.note_failure(EJECTION, 0, || true), None);
            assert_eq!(health.note_failure(EJECTION, 0, || true), None);
            assert!(!health.note_success());
        }
        let never = Ejection { errors: 0, ..EJECTION };
        assert!((0..100).all(|_| health.note_failure(never, 0, || true).is_none()));
        assert_eq!(health.errors(), 100);
        assert_eq!(health.note_failure(EJECTION, 0, || false), None, "the last one stays");
        assert!(health.note_failure(EJECTION, 0, || true).is_some());
        assert_eq!(health.note_failure(EJECTION, 9_999, || true), None, "it is out already");
    }

    #[test]
    fn checks_in_a_row_take_it_out_and_bring_it_back() {
        let health = Health::default();
        let check = |passed| {
            let finding = if passed { Finding::Answered(200) } else { Finding::Unreachable };
            health.note_check(Checked { passed, finding, at: 7 }, (2, 3))
        };
        let told: Vec<_> = [false, false, true, false, false, false, false, true, false, true, true, true].map(check).into();
        let expected = [(5, false), (10, true)];
        let told: Vec<_> = told.into_iter().enumerate().filter_map(|(number, verdict)| Some((number, verdict?))).collect();
        assert_eq!(told, expected);
        assert_eq!(health.checked(), Some(Checked { passed: true, finding: Finding::Answered(200), at: 7 }));
        health.forget_checks();
        assert_eq!((health.checked(), health.is_unhealthy()), (None, false));
    }

    #[test]
    fn requests_are_counted_while_they_last() {
        let health = Arc::new(Health::default());
        let requests = [health.begin(), health.begin()];
        assert_eq!(health.in_flight(), 2);
        drop(requests);
        assert_eq!(health.in_flight(), 0);
    }
}
