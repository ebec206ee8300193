//! Who a request comes from, and where it arrived.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::HeaderValue;

use super::trust::Via;

/// A client's connection, which may be joined with a backend's.
pub trait Downstream: fmt::Debug {
    /// Counts a tunnel as in flight for as long as what it gives is held, so that a drain waits for it.
    fn hold(&self) -> Box<dyn fmt::Debug>;
}

/// One downstream connection, as one of its requests sees it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The client's address.
    pub client: SocketAddr,
    /// The address that it connected to.
    pub server: SocketAddr,
    /// The address that the listener was bound to.
    pub socket: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The port that the client knows us by.
    pub port: u16,
    /// The client's address as a header value.
    pub client_ip: HeaderValue,
    /// What trusted proxies have said of the way here; none: there was none.
    pub via: Option<Box<Via>>,
    /// How long the client may be silent inside a body.
    pub body_timeout: Duration,
    /// What a tunnel holds; none: there can't be one.
    pub connection: Option<Rc<dyn Downstream>>,
}
