//! How an address is listened on: what its Gateway says of who connects there.
//!
//! In: what `compile` made of a Gateway. Out: plain fields, which each new connection takes along. Never: a change to a connection that is
//! open.

use std::time::Duration;

use crate::names::Networks;

/// How an address is listened on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Every connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Proxies that are believed: what they say of the client, and, with `proxy_protocol` and unless it is empty, only they may connect.
    pub trusted: Networks,
    /// How much is accepted.
    pub limits: Limits,
}

/// How much is accepted. `Duration::MAX`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest head of a request, in bytes.
    pub max_head: usize,
    /// Connections and tunnels over all threads, at this address; none: what a thread has by default, at all addresses.
    pub connections: Option<usize>,
    /// Connections and tunnels of one client; none: no limit.
    pub connections_per_client: Option<u32>,
    /// Until a request's head is whole: from the accepted connection, or from the first byte of a later request.
    pub header_timeout: Duration,
    /// How long a client may be silent inside a body.
    pub body_timeout: Duration,
    /// How long a client may take none of the bytes that wait for it.
    pub write_timeout: Duration,
    /// How long a connection may rest between two requests.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head: 32 * 1024,
            connections: None,
            connections_per_client: None,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
        }
    }
}

impl Options {
    /// What holds where two Gateways share an address: each limit at its lowest, and proxies that both believe.
    #[must_use]
    pub fn strictest(&self, other: &Self) -> Self {
        Self {
            proxy_protocol: self.proxy_protocol || other.proxy_protocol,
            trusted: self.trusted.common(&other.trusted),
            limits: self.limits.strictest(&other.limits),
        }
    }
}

impl Limits {
    fn strictest(&self, other: &Self) -> Self {
        Self {
            max_head: self.max_head.min(other.max_head),
            connections: lowest(self.connections, other.connections),
            connections_per_client: lowest(self.connections_per_client, other.connections_per_client),
            header_timeout: self.header_timeout.min(other.header_timeout),
            body_timeout: self.body_timeout.min(other.body_timeout),
            write_timeout: self.write_timeout.min(other.write_timeout),
            idle_timeout: self.idle_timeout.min(other.idle_timeout),
        }
    }
}

fn lowest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_gateways_the_stricter_limit_holds_and_both_have_to_believe() {
        let one = Options {
            trusted: Networks::parse(&["10.0.0.0/8", "192.0.2.0/24"]).unwrap(),
            limits: Limits { connections: Some(10), header_timeout: Duration::MAX, ..Limits::default() },
            ..Options::default()
        };
        let other = Options {
            trusted: Networks::parse(&["10.1.0.0/16"]).unwrap(),
            limits: Limits { connections_per_client: Some(2), max_head: 1024, ..Limits::default() },
            ..Options::default()
        };
        let both = one.strictest(&other);
        assert_eq!(both, other.strictest(&one));
        assert_eq!(both.trusted, other.trusted);
        let expected = Limits { connections: Some(10), connections_per_client: Some(2), max_head: 1024, ..Limits::default() };
        assert_eq!(both.limits, expected);
    }
}
