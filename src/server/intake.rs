//! Bytes from a client -> those that hyper may read: the guard at work.
//!
//! In: what the socket gave. Out: as much of it as is in order; in the place of a message that is refused, one of ours, which the service
//! answers with the refusal, in its turn behind the answers before it. Never: more kept than a head and a read.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::io::ReadBuf;

use super::guard::{Found, Guard, Limits, Refusal, Then};

/// What is kept while it is undecided whether it belongs to a tunnel.
const UNDECIDED: usize = 64 * 1024;
/// Bytes of a refused request line that are remembered.
const REMEMBERED: usize = 8 * 1024;
/// No count of requests: there is a tunnel.
const TUNNEL: u64 = u64::MAX;

/// A request that was refused before anybody read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// Its first line, as far as it came, up to some length: any bytes but CR and LF.
    pub line: Box<[u8]>,
    /// Requests of its connection before it.
    before: u64,
}

/// What the stream of a connection and its service tell each other. Atomic only because an upgraded stream has to be `Send`; no other
/// thread looks at it.
#[derive(Debug, Default)]
pub(super) struct Word {
    refused: OnceLock<Refused>,
    /// Requests that have their answer, or [`TUNNEL`].
    answered: AtomicU64,
    /// The stream waits for an answer.
    waits: AtomicBool,
}

/// The way of a connection's bytes past the guard.
#[derive(Debug)]
pub(super) struct Intake {
    guard: Guard,
    word: Arc<Word>,
    then: Then,
    /// What came and was not handed over. Mostly nothing: bytes that are in order are looked at where hyper wants them.
    held: Vec<u8>,
    /// Of these so many may be handed over.
    passed: usize,
    /// Of these so many are.
    given: usize,
    /// A request of ours stands for one that was refused: nothing follows.
    replaced: bool,
}

/// What the stream is to do.
#[derive(Debug)]
pub(super) enum Next {
    /// Let hyper read what is there.
    Give,
    /// Read more.
    Read,
    /// Wait until the service has answered.
    Wait,
    /// Fail.
    Break(Refusal),
}

impl Refused {
    /// The method, if so much is known.
    fn is_head(&self) -> bool {
        self.line.starts_with(b"HEAD ")
    }
}

impl Word {
    /// Why the request is refused that `before` others came before; `None`: it is not.
    pub(super) fn refused(&self, before: u64) -> Option<&Refused> {
        self.refused.get().filter(|refused| refused.before == before)
    }

    /// So many requests have their answer, and the last of them is the begin of a tunnel, or not. Whether the stream waits for that: its
    /// task has to be woken.
    pub(super) fn answer(&self, count: u64, tunnel: bool) -> bool {
        self.answered.store(if tunnel { TUNNEL } else { count }, Ordering::Relaxed);
        self.waits.swap(false, Ordering::Relaxed)
    }
}

impl Intake {
    pub(super) fn new(max_head: usize, word: Arc<Word>) -> Self {
        Self {
            guard: Guard::new(Limits::of_head(max_head)),
            word,
            then: Then::More,
            held: Vec::new(),
            passed: 0,
            given: 0,
            replaced: false,
        }
    }

    /// Whether something has come that is not handed over: mostly a part of a head.
    pub(super) fn has_part(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether all that has come is handed over, and the next byte is the first one of a message.
    pub(super) fn is_between(&self) -> bool {
        self.held.is_empty() && self.then == Then::More && self.guard.is_between()
    }

    /// What is to be done, with what is there already. What may be handed over is put into `buf`.
    pub(super) fn next(&mut self, buf: &mut ReadBuf<'_>) -> Next {
        if self.then == Then::Decision {
            self.decide();
        }
        if self.given < self.passed {
            self.give(buf);
            return Next::Give;
        }
        match self.then {
            Then::More => Next::Read,
            Then::Decision if self.held.len() < UNDECIDED => Next::Read,
            Then::Decision => Next::Wait,
            Then::Broken(refusal) => Next::Break(refusal),
            Then::Refused(_) if self.replaced => Next::Wait,
            Then::Refused(refusal) => {
                self.replace(refusal);
                self.give(buf);
                Next::Give
            }
        }
    }

    /// Takes in what was read into `buf` behind the first `before` bytes, and leaves there what may be handed over.
    pub(super) fn take(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        if self.guard.is_tunnel() && self.held.is_empty() {
            return;
        }
        let came = &buf.filled()[before..];
        if self.held.is_empty() {
            let Found { passed, then } = self.guard.look(came);
            self.held.extend_from_slice(&came[passed..]);
            self.then = then;
            buf.set_filled(before + passed);
        } else {
            self.held.extend_from_slice(came);
            buf.set_filled(before);
            self.look();
        }
    }

    fn look(&mut self) {
        let Found { passed, then } = self.guard.look(&self.held);
        (self.passed, self.then) = (passed, then);
    }

    fn decide(&mut self) {
        let answered = self.word.answered.load(Ordering::Relaxed);
        // Heads that were let through are answered in their order: the last one is the one that asked.
        if answered >= self.guard.heads() {
            self.guard.decide(answered == TUNNEL);
            self.look();
        } else {
            self.word.waits.store(true, Ordering::Relaxed);
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = (self.passed - self.given).min(buf.remaining());
        buf.put_slice(&self.held[self.given..self.given + count]);
        self.given += count;
        if self.given == self.passed {
            self.held.drain(..self.passed);
            (self.passed, self.given) = (0, 0);
            if self.held.is_empty() {
                self.held = Vec::new();
            }
        }
    }

    /// Keeps of a refused message only what is told of it.
    fn replace(&mut self, refusal: Refusal) {
        let begin = self.held.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(self.held.len());
        let line = self.held[begin..].split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let line = line[..line.len().min(REMEMBERED)].into();
        let refused = Refused { refusal, line, before: self.guard.heads() };
        let ours: &[u8] = if refused.is_head() {
            b"HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n"
        } else {
            b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"
        };
        self.held = ours.to_vec();
        (self.passed, self.given, self.replaced) = (ours.len(), 0, true);
        // There is only one: nothing is read after it.
        let _ = self.word.refused.set(refused);
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(io::ErrorKind::InvalidData, refusal)
    }
}
