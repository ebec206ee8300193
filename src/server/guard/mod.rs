//! A connection's bytes -> how many of them may be handed over. hyper reads more than a strict front may let pass: both lengths at once,
//! bare LF, a missing `Host`. This stands in front of it, and refuses whatever two readers could take for two different requests.
//!
//! In: bytes as they come, in pieces of any size. Out: how far they are in order, and what is wrong behind that. Never: a byte changed or
//! kept; a socket; a byte of a refused head let through; a head looked at twice.
//!
//! Who owns what: here is syntax and framing (RFC 9112, RFC 9110 section 5), `Host` and `Expect` included. What a path means, and which
//! host and route are meant, is for who answers.

mod chunks;
mod field;
mod framing;
mod head;
mod host;
mod line;
mod octets;
mod refusal;
#[cfg(test)]
mod tests;

use chunks::Chunks;
use framing::Framing;
use head::Head;
pub use refusal::Refusal;

/// How much a client may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of a head.
    pub(super) head: usize,
    /// Bytes of a request line; of all trailers of a message, too.
    pub(super) line: usize,
    /// Fields of a head; of trailers, too.
    pub(super) fields: usize,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Guard {
    limits: Limits,
    state: State,
    /// Heads that were let through.
    heads: u64,
    /// The message in hand asks for another protocol.
    upgrade: bool,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// So many bytes may be handed over. The others are to be shown again, with what follows them.
    pub(super) passed: usize,
    /// What comes then.
    pub(super) then: Then,
}

/// What comes after the bytes that may be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Whatever it is, there is not enough of it yet.
    More,
    /// Nothing, before it is known whether the connection becomes a tunnel.
    Decision,
    /// A message that is refused as a whole.
    Refused(Refusal),
    /// The message in hand can't go on.
    Broken(Refusal),
}

#[derive(Debug)]
enum State {
    Head(Head),
    /// So many bytes of a body are still to come.
    Sized(u64),
    Chunked(Chunks),
    Undecided,
    Tunnel,
}

impl Limits {
    /// All limits for heads of so many bytes.
    pub(super) fn of_head(head: usize) -> Self {
        Self { head, line: head / 2, fields: 100 }
    }
}

impl Guard {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head(Head::default()), heads: 0, upgrade: false }
    }

    /// Heads that were let through so far.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether everything may be handed over from now on.
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(self.state, State::Tunnel)
    }

    /// Whether no body is awaited: of a head, all that came was held back, or nothing has come.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// What was asked for is decided: a tunnel, or the next request.
    pub(super) fn decide(&mut self, tunnel: bool) {
        if matches!(self.state, State::Undecided) {
            self.state = if tunnel { State::Tunnel } else { State::Head(Head::default()) };
        }
    }

    /// Looks at what was not handed over yet. After [`Then::Refused`] and [`Then::Broken`] there is nothing more to look at.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Found {
        let mut passed = 0;
        let then = loop {
            let rest = &bytes[passed..];
            match &mut self.state {
                State::Head(_) if rest.is_empty() => break Then::More,
                State::Head(head) => match head.read(rest, &self.limits) {
                    Ok(None) => break Then::More,
                    Ok(Some(read)) => {
                        passed += read.length;
                        self.heads += 1;
                        self.upgrade = read.upgrade;
                        self.begin_body(read.framing);
                    }
                    Err(refusal) => break Then::Refused(refusal),
                },
                State::Sized(left) => {
                    let count = (rest.len() as u64).min(*left);
                    *left -= count;
                    // Not more than `rest` has.
                    passed += usize::try_from(count).unwrap_or(rest.len());
                    if *left > 0 {
                        break Then::More;
                    }
                    self.end_message();
                }
                State::Chunked(chunks) => {
                    let (count, end) = chunks.read(rest, &self.limits);
                    passed += count;
                    match end {
                        Ok(true) => self.end_message(),
                        Ok(false) => break Then::More,
                        Err(refusal) => break Then::Broken(refusal),
                    }
                }
                State::Undecided => break Then::Decision,
                State::Tunnel => {
                    passed = bytes.len();
                    break Then::More;
                }
            }
        };
        Found { passed, then }
    }

    fn begin_body(&mut self, framing: Framing) {
        match framing {
            Framing::Sized(0) => self.end_message(),
            Framing::Sized(length) => self.state = State::Sized(length),
            Framing::Chunked => self.state = State::Chunked(Chunks::default()),
        }
    }

    fn end_message(&mut self) {
        self.state = if self.upgrade { State::Undecided } else { State::Head(Head::default()) };
    }
}
