//! What a connection is doing, and since when: one word, written on the way, read by a sweep.
//!
//! In: bytes read, heads that come in pieces, requests begun and ended, writes that block. Out: the limit that holds now. Never: a clock or a timer per request.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::listen::Limits;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The head of a request is awaited or incomplete.
    Head,
    /// A request is being answered.
    Busy,
    /// Between two requests.
    Idle,
}

/// The word: the phase in two bits, one each for a blocked write, for the end of the client's side, for a part of a head that waits, for hyper
/// waiting for the next head with nothing in hand, and for a fault that waits until all before it is written, and above them a count that
/// changes with every event. Atomic only because an upgraded stream has to be `Send`; no other thread looks at it.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU32);

const PHASE: u32 = 0b011;
const IDLE: u32 = 2;
const BLOCKED: u32 = 0b100;
const ENDED: u32 = 0b1000;
const PART: u32 = 0b1_0000;
const WAITS: u32 = 0b10_0000;
const BROKEN: u32 = 0b100_0000;
const EVENT: u32 = 0b1000_0000;

/// While draining, a client that has not said anything yet gets this long.
const LAST_CALL: Duration = Duration::from_secs(1);

impl Pulse {
    pub(super) fn phase(&self) -> Phase {
        match self.read() & PHASE {
            0 => Phase::Head,
            1 => Phase::Busy,
            _ => Phase::Idle,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        let now = self.read();
        let bits = match phase {
            Phase::Head => 0,
            Phase::Busy => 1,
            // The next request has begun already.
            Phase::Idle if now & PART != 0 => 0,
            Phase::Idle => IDLE,
        };
        self.write(now & !PHASE | bits);
    }

    /// Bytes came: after a rest they are the next request's.
    pub(super) fn received(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// The stream was looked at: whether a part of the next request's head has come, and whether hyper has all that came before, and waits.
    pub(super) fn looked(&self, part: bool, waits: bool) {
        let now = self.read();
        let bits = now & !(PART | WAITS) | if part { PART } else { 0 } | if waits { WAITS } else { 0 };
        if bits != now {
            self.0.store(bits, Ordering::Relaxed);
        }
    }

    /// Whether nothing is in hand: the last answer is out, and no byte has come since.
    pub(super) fn is_quiet(&self) -> bool {
        self.read() & (PHASE | BLOCKED | ENDED | PART | WAITS) == IDLE | WAITS
    }

    /// Whether nothing has come at all.
    pub(super) fn is_fresh(&self) -> bool {
        self.read() & (PHASE | BLOCKED | ENDED | PART | WAITS) == WAITS
    }

    /// Nobody waits for a head any more, but for a byte.
    pub(super) fn rest(&self) {
        self.0.store(self.read() & !WAITS, Ordering::Relaxed);
    }

    /// The client has ended its side.
    pub(super) fn end(&self) {
        self.write(self.read() | ENDED);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.read() & ENDED != 0
    }

    /// A write was tried.
    pub(super) fn wrote(&self, blocked: bool) {
        let now = self.read();
        if blocked != (now & BLOCKED != 0) {
            self.write(now ^ BLOCKED);
        }
    }

    /// The answer has broken off. hyper would throw away what it has of it: it is told when that is written.
    pub(super) fn break_off(&self) {
        self.write(self.read() | BROKEN);
    }

    /// Whether a fault waits.
    pub(super) fn is_broken(&self) -> bool {
        self.read() & BROKEN != 0
    }

    /// All that hyper had is written. Whether a fault has waited for it.
    pub(super) fn flushed(&self) -> bool {
        let broken = self.is_broken();
        if broken {
            self.write(self.read() & !BROKEN);
        }
        broken
    }

    /// Changes with every event.
    pub(super) fn events(&self) -> u32 {
        self.read() & !WAITS
    }

    /// How long it may stay as it is; `None`: others see to that.
    pub(super) fn limit(&self, limits: &Limits, draining: bool) -> Option<Duration> {
        match self.phase() {
            _ if self.read() & BLOCKED != 0 => Some(limits.write_timeout),
            Phase::Head if draining => Some(limits.header_timeout.min(LAST_CALL)),
            Phase::Head => Some(limits.header_timeout),
            Phase::Busy => None,
            Phase::Idle => Some(limits.idle_timeout),
        }
    }

    fn read(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn write(&self, bits: u32) {
        self.0.store(bits.wrapping_add(EVENT), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_its_limit_and_a_blocked_write_comes_first() {
        let limits = Limits::default();
        let pulse = Pulse::default();
        assert_eq!(pulse.limit(&limits, false), Some(limits.header_timeout));
        assert_eq!(pulse.limit(&limits, true), Some(LAST_CALL));
        pulse.enter(Phase::Busy);
        assert_eq!(pulse.limit(&limits, false), None);
        pulse.wrote(true);
        pulse.enter(Phase::Idle);
        assert_eq!(pulse.limit(&limits, false), Some(limits.write_timeout));
        pulse.wrote(false);
        assert_eq!(pulse.limit(&limits, false), Some(limits.idle_timeout));
    }

    #[test]
    fn bytes_count_as_an_event_only_after_a_rest() {
        let pulse = Pulse::default();
        let before = pulse.events();
        pulse.received();
        assert_eq!(pulse.events(), before, "a head that comes byte by byte gains no time");
        pulse.enter(Phase::Idle);
        pulse.received();
        assert_eq!(pulse.phase(), Phase::Head);
        assert_ne!(pulse.events(), before);
        pulse.enter(Phase::Busy);
        pulse.looked(true, false);
        pulse.enter(Phase::Idle);
        assert_eq!(pulse.phase(), Phase::Head, "what came before the rest is the next request's");
    }

    #[test]
    fn who_waits_for_a_head_with_nothing_in_hand_is_quiet_and_may_rest_without_an_event() {
        let pulse = Pulse::default();
        pulse.looked(false, true);
        assert!(pulse.is_fresh() && !pulse.is_quiet(), "it has not asked yet");
        pulse.enter(Phase::Busy);
        assert!(!pulse.is_fresh() && !pulse.is_quiet());
        pulse.enter(Phase::Idle);
        pulse.wrote(true);
        assert!(!pulse.is_quiet(), "the answer is not out");
        pulse.wrote(false);
        assert!(pulse.is_quiet());
        let before = pulse.events();
        pulse.rest();
        assert!(!pulse.is_quiet() && pulse.events() == before);
        pulse.looked(false, true);
        assert!(pulse.is_quiet() && pulse.events() == before);
        pulse.looked(true, false);
        assert!(!pulse.is_quiet(), "a part of a head has come");
        pulse.looked(false, true);
        pulse.end();
        assert!(!pulse.is_quiet(), "the client has ended its side");
    }
}
