//! A client's connection: what is known of it, and its life, from the accepted socket to its end.
//!
//! In: an accepted socket, the thread's service. Out: answers. Never: a request taken up after its door is closed, unless its connection
//! has not had one yet.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use super::admission::Arrival;
use super::door::Door;
use super::pulse::Pulse;
use super::registry::{Hold, Registry};
use super::{Service, http1};
use crate::listen::{Limits, Options, Seat};
use crate::names::Networks;

/// How a client reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In clear.
    Http,
}

/// What is known of a connection besides its requests.
#[derive(Debug)]
pub struct Connection {
    /// The client's address; an IPv4 client of an IPv6 listener has its IPv4 address.
    pub client: SocketAddr,
    /// Its IP address as a field's value, written once: 700 instructions.
    pub client_ip: HeaderValue,
    /// Our address that it reached.
    pub server: SocketAddr,
    /// The address that the listener was bound to.
    pub socket: SocketAddr,
    /// How it came.
    pub scheme: Scheme,
    /// What held for its address when it came.
    pub(super) options: Arc<Options>,
    pub(super) registry: Rc<Registry>,
    pub(super) door: Rc<Door>,
    pub(super) seat: Rc<Seat>,
}

impl Connection {
    /// What holds for it.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// Whom to believe of what its requests say of clients, if the one who sends them is believed at all.
    #[must_use]
    pub fn believed(&self) -> Option<&Networks> {
        Some(&self.options.trusted).filter(|trusted| trusted.contains(self.client.ip()))
    }

    /// Counts something as in flight that outlives its request, as a tunnel does: keep it as long.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.registry.hold(self.seat.clone())
    }

    /// Whether this connection is to end after the answer in hand.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.door.is_closed()
    }
}

impl Scheme {
    /// As it stands in a URI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Serves a connection to its end. It is registered before the future is polled: a drain that begins in between waits for it.
pub(super) fn serve<S: Service>(arrival: Arrival, service: Rc<S>) -> impl Future<Output = ()> {
    let (pulse, options) = (Arc::new(Pulse::default()), arrival.door.options());
    let place = arrival.registry.enter(pulse.clone(), arrival.door.clone(), options.clone());
    async move {
        match arrival.admit(options, &place).await {
            Ok((stream, connection)) => http1::run(stream, connection, service, pulse, place).await,
            Err(why) => service.turned_away(why),
        }
    }
}
