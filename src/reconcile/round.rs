//! Everybody, again and again -> who is looked at next, although nothing has happened to it.
//!
//! In: the names that there are, the time. Out: a few of them at a time. Never: all at once, unless they are few; more of them in a second
//! than [`AT_ONCE`], however many there are.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use tokio::time::Instant;

use super::RELIST;
use crate::names::AppName;

/// Looked at together.
const AT_ONCE: usize = 100;
/// The shortest time between two such lots. Up to 3,000 Apps everyone has a turn within [`RELIST`]; 100,000 take 17 minutes.
const SHORTEST: Duration = Duration::from_secs(1);

/// Where the round is.
#[derive(Debug)]
pub(super) struct Round {
    last: Option<AppName>,
    due: Instant,
}

impl Round {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: None, due: now + RELIST }
    }

    /// When the next ones have their turn.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whose turn it is; nobody's before it is due. Who comes after all others is followed by the first.
    pub(super) fn turn<T>(&mut self, all: &BTreeMap<AppName, T>, now: Instant) -> Vec<AppName> {
        if now < self.due {
            return Vec::new();
        }
        let lots = u32::try_from(all.len().div_ceil(AT_ONCE)).unwrap_or(u32::MAX).max(1);
        self.due = now + (RELIST / lots).max(SHORTEST);
        let after = self.last.as_ref().map_or(Unbounded, Excluded);
        let rest: Vec<_> = all.range::<AppName, _>((after, Unbounded)).map(|(name, _)| name.clone()).take(AT_ONCE).collect();
        let missing = AT_ONCE.min(all.len()) - rest.len();
        let turn: Vec<_> = rest.into_iter().chain(all.keys().take(missing).cloned()).collect();
        self.last = turn.last().cloned();
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn apps(count: usize) -> BTreeMap<AppName, usize> {
        (0..count).map(|number| (format!("app-{number:06}").parse().unwrap(), number)).collect()
    }

    /// How long a round takes, and how many are looked at together at most.
    fn round(count: usize) -> (Duration, usize) {
        let (began, all) = (Instant::now(), apps(count));
        let (mut now, mut most) = (began, 0);
        let (mut round, mut seen) = (Round::new(began), BTreeSet::new());
        while seen.len() < all.len() {
            assert!(round.turn(&all, now).is_empty(), "before it is due");
            now = round.due();
            let turn = round.turn(&all, now);
            most = most.max(turn.len());
            seen.extend(turn);
        }
        (now - began, most)
    }

    #[test]
    fn a_few_have_their_turn_together_and_many_one_after_the_other() {
        assert_eq!(round(7), (Duration::from_secs(30), 7));
        assert_eq!(round(1000), (Duration::from_secs(57), 100));
        assert_eq!(round(100_000), (Duration::from_secs(30 + 999), 100));
    }

    #[test]
    fn nobody_is_left_out_while_others_come_and_go() {
        let (mut all, mut round) = (apps(250), Round::new(Instant::now()));
        let mut turn = |all: &BTreeMap<AppName, usize>| round.turn(all, round.due());
        assert_eq!(turn(&all).len(), 100);
        all.remove(&"app-000099".parse::<AppName>().unwrap());
        assert_eq!(turn(&all)[0].as_str(), "app-000100");
        let third = turn(&all);
        assert_eq!((third[49].as_str(), third[50].as_str()), ("app-000249", "app-000000"));
        assert_eq!(turn(&BTreeMap::new()), []);
        assert_eq!(turn(&all)[0].as_str(), "app-000000");
    }
}
