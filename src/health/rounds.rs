//! One endpoint -> a verdict after each question, for as long as its App is as it is.
//!
//! In: an App, an endpoint of it. Out: what its health says. Never: all endpoints at once: each round is a little longer or shorter.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::{Desk, question};
use crate::route::{Backend, Checked, CompiledApp, Finding};

/// The first question comes within this time, so that a start does not ask all at once.
const FIRST: Duration = Duration::from_millis(500);

/// Asks an endpoint, by backend and number, until it is dropped.
pub(super) async fn run(desk: Rc<Desk>, app: Arc<CompiledApp>, (backend, endpoint): (usize, usize)) {
    let backend = &app.backends[backend];
    let endpoint = &backend.endpoints[endpoint];
    let (Some(check), Some(address)) = (&backend.check, &endpoint.address) else { return };
    let mut pause = share(check.interval.min(FIRST), random());
    loop {
        sleep(pause).await;
        let place = desk.places.acquire().await;
        let finding = question::ask(&desk.pool, address, check).await;
        drop(place);
        let checked = Checked { passed: is_good(backend, finding), finding, at: now() };
        if let Some(healthy) = endpoint.health.note_check(checked, (check.healthy, check.unhealthy)) {
            tell(&app, backend, &endpoint.name, healthy, finding);
        }
        // 90 % to 110 %.
        pause = check.interval * 9 / 10 + share(check.interval / 5, random());
    }
}

fn is_good(backend: &Backend, finding: Finding) -> bool {
    match finding {
        Finding::Connected => true,
        Finding::Unreachable | Finding::TimedOut | Finding::Broken => false,
        Finding::Answered(status) => {
            let question = backend.check.as_ref().and_then(|check| check.question.as_ref());
            question.is_some_and(|question| question.is_good(status))
        }
    }
}

fn tell(app: &CompiledApp, backend: &Backend, endpoint: &str, healthy: bool, finding: Finding) {
    let (app, backend) = (&app.name, &backend.name);
    if healthy {
        tracing::info!(%app, %backend, endpoint, "the endpoint is healthy again: {finding}");
    } else {
        tracing::warn!(%app, %backend, endpoint, "the endpoint is unhealthy: {finding}");
    }
}

/// A part of a time: that of `random` in all numbers of 16 bits.
fn share(time: Duration, random: u16) -> Duration {
    time * u32::from(random) / u32::from(u16::MAX)
}

/// From the process's hash keys, other for each call.
fn random() -> u16 {
    // The lowest 16 bits are a `u16`.
    u16::try_from(RandomState::new().build_hasher().finish() & 0xffff).unwrap_or_default()
}

/// Milliseconds since the epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_between_nothing_and_all() {
        let time = Duration::from_secs(1);
        assert_eq!((share(time, 0), share(time, u16::MAX)), (Duration::ZERO, time));
        assert!(share(time, 1 << 15) > time / 3 && share(time, 1 << 15) < time * 2 / 3);
    }
}
