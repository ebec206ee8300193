//! Backends by weight -> one of them.

use std::cell::Cell;
use std::time::Duration;

use super::id::{mix, seed};
use crate::route::Share;

/// Random numbers of one thread.
#[derive(Debug)]
pub(super) struct Dice(Cell<u64>);

impl Dice {
    pub(super) fn new() -> Self {
        Self(Cell::new(seed()))
    }

    /// True so often: `numerator` times of `denominator`.
    pub(super) fn hits(&self, numerator: u32, denominator: u32) -> bool {
        numerator >= denominator || self.roll(u64::from(denominator)) < u64::from(numerator)
    }

    /// A length of time, or up to half as much more, so that those who wait alike do not come back at the same moment.
    pub(super) fn longer(&self, time: Duration) -> Duration {
        let half = u64::try_from(time.as_nanos() / 2).unwrap_or(u64::MAX - 1);
        time + Duration::from_nanos(self.roll(half + 1))
    }

    /// A number below `sides`, which is not 0.
    pub(super) fn roll(&self, sides: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        mix(self.0.get()) % sides
    }
}

/// One of the shares, as often as its weight says. `None` if there are none.
pub(super) fn share<'a>(shares: &'a [Share], dice: &Dice) -> Option<&'a Share> {
    if let [only] = shares {
        return Some(only);
    }
    let total: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let mut left = if total == 0 { 0 } else { dice.roll(total) };
    shares.iter().find(|share| {
        let weight = u64::from(share.weight);
        let hit = left < weight;
        left = left.saturating_sub(weight);
        hit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_get_requests_by_weight() {
        let share = |backend, weight| Share { backend, weight, filters: Box::default() };
        let shares = [share(0, 1), share(1, 9)];
        let dice = Dice::new();
        let hits = (0..10_000).filter(|_| super::share(&shares, &dice).unwrap().backend == 1).count();
        assert!((8_700..9_300).contains(&hits), "{hits} of 10000");
        assert!(super::share(&[], &dice).is_none());
    }

    #[test]
    fn a_fraction_is_hit_as_often_as_it_says() {
        let dice = Dice::new();
        for (numerator, denominator, expected) in [(0, 1, 0..1), (1, 1, 10_000..10_001), (20, 100, 1_700..2_300), (25, 50, 4_600..5_400)] {
            let hits = (0..10_000).filter(|_| dice.hits(numerator, denominator)).count();
            assert!(expected.contains(&hits), "{numerator}/{denominator}: {hits} of 10000");
        }
    }
}
