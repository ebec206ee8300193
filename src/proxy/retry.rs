//! What happened to an attempt -> whether there is another one, and when (pure).
//!
//! In: errors and statuses of one request, what its rule and its backend say. Out: [`Next`]. Never: a second attempt of what a backend may
//! have seen, unless it is safe to send twice; more attempts than are allowed.

use std::time::Duration;

use http::StatusCode;

use super::balance::Tried;
use crate::backend::{Error, Phase};
use crate::route::{Backend, Retry, Rule};

/// The wait before a second attempt, where the manifest names none (Envoy's default).
const BACKOFF: Duration = Duration::from_millis(25);
/// A wait grows up to so many times the first.
const GROWTH: u32 = 10;
/// How often a request is held because its connection broke, while its container is not being stopped: the request itself may be what kills
/// the application.
const BREAKS: u32 = 4;
/// The same, while its container is being stopped.
const KILLS: u32 = 16;
/// The wait before a request is held because its connection broke; it doubles. What has just been killed may still be listening.
const SETTLE: Duration = Duration::from_millis(10);

/// What comes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: this is the answer, or the error.
    Over,
    /// Another attempt, after at least so long.
    Again(Duration),
    /// Another attempt once the backend is back, looked for after so long.
    Hold(Duration),
}

/// The attempts of one request.
#[derive(Debug)]
pub(super) struct Attempts<'r> {
    retry: Option<&'r Retry>,
    held: bool,
    /// Endpoints that have failed it.
    tried: Tried,
    retries: u32,
    breaks: u32,
    holds: u32,
}

/// What is left of a request whose attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// All of it: nothing was sent.
    Unsent,
    /// All of it, and it may be sent twice.
    Kept,
    /// Nothing that could be sent.
    Nothing,
}

impl<'r> Attempts<'r> {
    pub(super) fn new(rule: &'r Rule, backend: &Backend) -> Self {
        let (retry, held) = (rule.retry.as_ref(), backend.hold.is_some());
        Self { retry, held, tried: Tried::default(), retries: 0, breaks: 0, holds: 0 }
    }

    /// Whether there may be a second attempt of what a backend may have seen.
    pub(super) fn repeats(&self) -> bool {
        self.held || self.retry.is_some_and(|retry| retry.attempts > 0)
    }

    /// Endpoints that should not be asked again.
    pub(super) fn tried(&self) -> Tried {
        self.tried
    }

    /// An endpoint has answered. `again`: whether the request can be sent once more.
    pub(super) fn answered(&mut self, status: StatusCode, endpoint: usize, backend: &Backend, again: impl FnOnce() -> bool) -> Next {
        match self.retry {
            // An answer that stands is not to lose what is still on its way to who gave it.
            Some(retry) if self.retries < retry.attempts && retry.codes.contains(&status.as_u16()) && again() => {
                self.retry(endpoint, backend)
            }
            _ => Next::Over,
        }
    }

    /// An attempt has failed. `ends`: whether the backend's container is about to end.
    pub(super) fn failed(&mut self, error: &Error, left: Left, endpoint: usize, backend: &Backend, ends: impl FnOnce() -> bool) -> Next {
        match error {
            _ if left == Left::Nothing => Next::Over,
            Error::Unavailable | Error::Connect(_) | Error::Timeout(Phase::Connect) => {
                self.tried.note(endpoint);
                if self.tried.leaves(backend) {
                    // It was not sent: this is no retry, but the choice of an endpoint.
                    Next::Again(Duration::ZERO)
                } else if self.held && !matches!(error, Error::Timeout(_)) {
                    self.hold(Duration::ZERO)
                } else {
                    self.retry(endpoint, backend)
                }
            }
            Error::Closed(_) if self.held && (self.breaks < BREAKS || self.breaks < KILLS && ends()) => {
                self.breaks += 1;
                self.hold(SETTLE)
            }
            Error::Closed(_) | Error::Refused | Error::Timeout(Phase::Backend) => self.retry(endpoint, backend),
            _ => Next::Over,
        }
    }

    /// Another attempt, if there is one left. An endpoint that was not tried yet need not be given time, unless the manifest says so.
    fn retry(&mut self, endpoint: usize, backend: &Backend) -> Next {
        let Some(retry) = self.retry.filter(|retry| self.retries < retry.attempts) else { return Next::Over };
        self.tried.note(endpoint);
        let untried = self.tried.leaves(backend);
        if !untried {
            self.tried = Tried::default();
            self.tried.note(endpoint);
        }
        let growth = 1_u32.checked_shl(self.retries).map_or(GROWTH, |factor| factor.min(GROWTH));
        self.retries += 1;
        match retry.backoff {
            None if untried => Next::Again(Duration::ZERO),
            backoff => Next::Again(backoff.unwrap_or(BACKOFF) * growth),
        }
    }

    /// Waits for the backend. One that seems to be back each time, and is not, is looked for less and less often.
    fn hold(&mut self, first: Duration) -> Next {
        self.tried = Tried::default();
        let pause = if self.holds == 0 { first } else { SETTLE * (1 << self.holds.min(4)) };
        self.holds += 1;
        Next::Hold(pause)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::v1::HttpProtocol;
    use crate::dial;
    use crate::route::{Balance, Endpoint, HttpSettings, Protocol};

    /// The first that was not tried.
    fn first(backend: &Backend, tried: Tried) -> usize {
        (0..backend.endpoints.len()).find(|endpoint| !tried.has(*endpoint)).unwrap_or(0)
    }

    fn backend(endpoints: usize, hold: bool) -> Backend {
        let endpoint = Endpoint { name: "port 80".into(), address: None, health: Arc::default() };
        Backend {
            name: "web".parse().unwrap(),
            endpoints: vec![endpoint; endpoints].into(),
            protocol: Protocol::Http(HttpSettings { host: None, protocol: HttpProtocol::Http1 }),
            keep: 0,
            internal_files: Box::default(),
            balance: Balance::RoundRobin,
            ejection: None,
            check: None,
            hold: hold.then_some(Duration::from_secs(10)),
        }
    }

    fn attempts(retry: Option<&Retry>, held: bool) -> Attempts<'_> {
        Attempts { retry, held, tried: Tried::default(), retries: 0, breaks: 0, holds: 0 }
    }

    fn retry(codes: &[u16], attempts: u32, backoff: Option<u64>) -> Retry {
        Retry { codes: codes.into(), attempts, backoff: backoff.map(Duration::from_millis) }
    }

    fn refused() -> Error {
        Error::Connect(dial::Error::Refused("port 80".into()))
    }

    fn again(millis: u64) -> Next {
        Next::Again(Duration::from_millis(millis))
    }

    fn fail(attempts: &mut Attempts<'_>, error: &Error, left: Left, backend: &Backend) -> Next {
        let endpoint = first(backend, attempts.tried());
        attempts.failed(error, left, endpoint, backend, || false)
    }

    #[test]
    fn the_wait_doubles_up_to_ten_times_the_first() {
        let (policy, backend) = (retry(&[], 7, Some(100)), backend(1, false));
        let mut attempts = attempts(Some(&policy), false);
        let waits: Vec<_> = (0..8).map(|_| fail(&mut attempts, &refused(), Left::Unsent, &backend)).collect();
        assert_eq!(waits, [again(100), again(200), again(400), again(800), again(1000), again(1000), again(1000), Next::Over]);
    }

    #[test]
    fn what_was_not_sent_goes_to_each_endpoint_once_without_any_retry() {
        let backend = backend(3, false);
        let mut attempts = attempts(None, false);
        let waits: Vec<_> = (0..3).map(|_| fail(&mut attempts, &refused(), Left::Unsent, &backend)).collect();
        assert_eq!(waits, [again(0), again(0), Next::Over]);
    }

    #[test]
    fn what_may_have_been_seen_is_sent_again_only_with_retry_and_only_if_it_is_safe() {
        let (policy, backend) = (retry(&[503], 1, None), backend(1, false));
        for error in [Error::Closed(None), Error::Timeout(Phase::Backend)] {
            assert_eq!(fail(&mut attempts(None, false), &error, Left::Kept, &backend), Next::Over);
            assert_eq!(fail(&mut attempts(Some(&policy), false), &error, Left::Nothing, &backend), Next::Over);
            assert_eq!(fail(&mut attempts(Some(&policy), false), &error, Left::Kept, &backend), again(25));
        }
        for error in [Error::Timeout(Phase::Client), Error::Timeout(Phase::Request), Error::BodyTooLarge(1), Error::Protocol("x")] {
            assert_eq!(fail(&mut attempts(Some(&policy), true), &error, Left::Kept, &backend), Next::Over, "{error:?}");
        }
    }

    #[test]
    fn an_answer_is_tried_again_for_its_status_at_another_endpoint_first() {
        let (policy, backend) = (retry(&[502, 503], 3, None), backend(2, false));
        let mut attempts = attempts(Some(&policy), false);
        assert_eq!(attempts.answered(StatusCode::INTERNAL_SERVER_ERROR, 0, &backend, || true), Next::Over);
        assert_eq!(attempts.answered(StatusCode::SERVICE_UNAVAILABLE, 0, &backend, || false), Next::Over);
        let mut asked = Vec::new();
        for _ in 0..3 {
            let endpoint = first(&backend, attempts.tried());
            asked.push((endpoint, attempts.answered(StatusCode::BAD_GATEWAY, endpoint, &backend, || true)));
        }
        assert_eq!(asked, [(0, again(0)), (1, again(50)), (0, again(100))]);
        let last = attempts.answered(StatusCode::BAD_GATEWAY, 1, &backend, || panic!("the last answer takes nothing back"));
        assert_eq!(last, Next::Over);
    }

    #[test]
    fn a_request_that_breaks_again_and_again_is_given_up() {
        let backend = backend(1, true);
        let mut attempts = attempts(None, true);
        for _ in 0..BREAKS {
            assert!(matches!(fail(&mut attempts, &Error::Closed(None), Left::Kept, &backend), Next::Hold(pause) if pause >= SETTLE));
        }
        assert_eq!(fail(&mut attempts, &Error::Closed(None), Left::Kept, &backend), Next::Over);
        let held = attempts.failed(&Error::Closed(None), Left::Kept, 0, &backend, || true);
        assert!(matches!(held, Next::Hold(_)), "its container is being stopped");
        assert!(matches!(fail(&mut attempts, &refused(), Left::Unsent, &backend), Next::Hold(_)), "that is what it waits for");
    }
}
