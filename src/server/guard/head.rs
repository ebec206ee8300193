//! The head of a request -> its length, and where its body ends.
//!
//! In: the bytes from its beginning, more of them each time. Out: [`Read`] when it is whole, or why it is refused, as early as that is
//! known. Never: a line looked at more than twice, however small the pieces are.

use super::field::{self, Field, trim};
use super::framing::{self, Coding, Framing};
use super::line::{self, Line};
use super::refusal::Refusal;
use super::{Limits, host};

/// A head that is being read.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that is to be read next.
    at: usize,
    /// Up to here there is no line feed behind `at`.
    searched: usize,
    /// Where the request line begins: behind empty lines.
    begin: usize,
    line: Option<Line>,
    fields: usize,
    /// There is a `Host`.
    host: bool,
    length: Option<u64>,
    coding: Option<Coding>,
    upgrade: bool,
    /// Something else than `100-continue` is expected.
    unmet: bool,
}

/// A head that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    /// Its bytes.
    pub(super) length: usize,
    pub(super) framing: Framing,
    /// It asks for another protocol.
    pub(super) upgrade: bool,
}

impl Head {
    /// Reads on; `None`: it is in order so far.
    pub(super) fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Read>, Refusal> {
        while self.may_be_whole(bytes) {
            let rest = &bytes[self.at..];
            let Some(line) = &self.line else {
                if let [b'\r', b'\n', ..] = rest {
                    // RFC 9112 section 2.2: before the request line.
                    self.at += 2;
                    self.begin = self.at;
                    self.limit(self.at, limits)?;
                    continue;
                }
                let part = if rest == b"\r" { None } else { line::read(rest)? };
                let Some((line, length)) = part else { break };
                if length > limits.line {
                    return Err(Refusal::LineTooLong);
                }
                self.line = Some(line);
                self.at += length;
                continue;
            };
            match field::read(rest)? {
                field::Read::Part => break,
                field::Read::Field(field, length) => {
                    self.limit(self.at + length, limits)?;
                    if self.fields == limits.fields {
                        return Err(Refusal::TooManyFields);
                    }
                    self.fields += 1;
                    self.at += length;
                    self.field(&field, bytes)?;
                }
                field::Read::End => {
                    let length = self.at + 2;
                    self.limit(length, limits)?;
                    let framing = self.framing(line.is_11)?;
                    return Ok(Some(Read { length, framing, upgrade: self.upgrade }));
                }
            }
        }
        self.searched = bytes.len();
        if self.line.is_none() && bytes.len() - self.begin > limits.line {
            return Err(Refusal::LineTooLong);
        }
        self.limit(bytes.len(), limits)?;
        Ok(None)
    }

    /// Whether there may be a line that was not looked at yet: one look is free, then it has to have come to its end.
    fn may_be_whole(&self, bytes: &[u8]) -> bool {
        self.searched <= self.at || bytes[self.searched..].contains(&b'\n')
    }

    /// What a field means for the message as a whole.
    fn field(&mut self, field: &Field<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        let (name, value) = (field.name, field.value);
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        match name.len() {
            4 if is("host") => {
                let value = trim(value);
                if self.host || !host::is_valid(value) {
                    return Err(Refusal::Host);
                }
                if let Some(at) = self.line.as_ref().and_then(|line| line.authority.clone())
                    && !bytes[self.begin..][at].eq_ignore_ascii_case(value)
                {
                    return Err(Refusal::Hosts);
                }
                self.host = true;
            }
            // An empty list expects nothing (RFC 9110 section 10.1.1).
            6 if is("expect") => self.unmet |= !(trim(value).is_empty() || trim(value).eq_ignore_ascii_case(b"100-continue")),
            7 if is("upgrade") => self.upgrade = true,
            14 if is("content-length") => {
                let length = framing::length(value)?;
                if self.length.replace(length).is_some() {
                    return Err(Refusal::Length);
                }
            }
            17 if is("transfer-encoding") => {
                let coding = framing::coding(value)?;
                if self.coding.replace(coding).is_some() {
                    return Err(Refusal::TransferEncoding);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What can only be said at the end.
    fn framing(&self, is_11: bool) -> Result<Framing, Refusal> {
        if is_11 && !self.host {
            return Err(Refusal::Host);
        }
        let framing = match (self.length, self.coding) {
            (Some(_), Some(_)) => return Err(Refusal::TwoLengths),
            (None, Some(_)) if !is_11 => return Err(Refusal::TransferEncoding),
            (None, Some(Coding::Unknown)) => return Err(Refusal::Coding),
            (None, Some(Coding::Chunked)) => Framing::Chunked,
            (length, None) => Framing::Sized(length.unwrap_or(0)),
        };
        if is_11 && self.unmet { Err(Refusal::Expectation) } else { Ok(framing) }
    }

    fn limit(&self, length: usize, limits: &Limits) -> Result<(), Refusal> {
        if length <= limits.head {
            return Ok(());
        }
        Err(if self.line.is_none() { Refusal::LineTooLong } else { Refusal::HeadTooLarge })
    }
}
