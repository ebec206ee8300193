//! Which endpoint of several a request goes to, and how those that are not fit for it are noticed, as data.
//!
//! In: values that `compile` made. Out: plain fields, and the packed form of a check's result. Never: a choice.

use std::fmt;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

use crate::api::v1::HttpProtocol;

/// How one of several endpoints is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastRequest,
    /// The same one for the same key.
    ConsistentHash {
        /// What the key is.
        key: HashKey,
        /// A number for each endpoint's name, in their order: the same in every process.
        names: Box<[u64]>,
    },
}

/// What the key of a consistent hash is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    SourceIp,
    /// A field of the head.
    Header(HeaderName),
    /// A cookie, by name.
    Cookie(Box<str>),
}

/// When requests that fail take an endpoint out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// After so many in a row; 0: never.
    pub errors: u32,
    /// For so long; longer each time.
    pub base: Duration,
}

/// How endpoints are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What they are asked; `None`: a connection is enough.
    pub question: Option<Question>,
    /// Between two checks.
    pub interval: Duration,
    /// Until the answer is there.
    pub timeout: Duration,
    /// Good answers in a row that bring an endpoint back.
    pub healthy: u32,
    /// Bad answers in a row that take it out.
    pub unhealthy: u32,
}

/// A question by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked for.
    pub path: PathAndQuery,
    /// The `Host` of it.
    pub host: HeaderValue,
    /// What is spoken.
    pub protocol: HttpProtocol,
    /// Answers that are good; empty: 200 to 399.
    pub expected: Box<[u16]>,
}

/// A health check that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Whether what was found is good.
    pub passed: bool,
    /// What was found.
    pub finding: Finding,
    /// When, in milliseconds since the epoch.
    pub at: u64,
}

/// What a health check finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It takes a connection.
    Connected,
    /// It takes none.
    Unreachable,
    /// Nothing in time.
    TimedOut,
    /// It broke off, or does not speak HTTP.
    Broken,
    /// A status.
    Answered(u16),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Unreachable => f.write_str("no connection"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Broken => f.write_str("no answer in HTTP"),
            Self::Answered(status) => write!(f, "status {status}"),
        }
    }
}

impl Question {
    /// Whether an answer is good.
    #[must_use]
    pub fn is_good(&self, status: u16) -> bool {
        if self.expected.is_empty() { (200..400).contains(&status) } else { self.expected.contains(&status) }
    }
}

impl Checked {
    /// All of it in one number that is not 0, so that no thread sees half of it: time, 1 bit, 15 bits.
    pub(super) fn packed(self) -> u64 {
        let finding = match self.finding {
            Finding::Connected => 1,
            Finding::Unreachable => 2,
            Finding::TimedOut => 3,
            Finding::Broken => 4,
            Finding::Answered(status) => u64::from(status & 0x7fff),
        };
        self.at << 16 | u64::from(self.passed) << 15 | finding
    }

    /// The opposite; `None` for 0.
    pub(super) fn unpacked(packed: u64) -> Option<Self> {
        let finding = match packed & 0x7fff {
            0 => return None,
            1 => Finding::Connected,
            2 => Finding::Unreachable,
            3 => Finding::TimedOut,
            4 => Finding::Broken,
            // 15 bits fit.
            status => Finding::Answered(u16::try_from(status).unwrap_or_default()),
        };
        Some(Self { passed: packed >> 15 & 1 == 1, finding, at: packed >> 16 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_fits_into_a_number() {
        let findings = [Finding::Connected, Finding::Unreachable, Finding::TimedOut, Finding::Broken, Finding::Answered(599)];
        for (finding, passed) in findings.into_iter().flat_map(|finding| [(finding, true), (finding, false)]) {
            let checked = Checked { passed, finding, at: 1_900_000_000_000 };
            assert_eq!(Checked::unpacked(checked.packed()), Some(checked));
        }
        assert_eq!(Checked::unpacked(0), None);
    }
}
