//! Who a request comes from, and where it arrived.

use std::net::SocketAddr;
use std::rc::Rc;

use http::HeaderValue;

/// One downstream connection.
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
    /// The client's address as a header value, made once per connection.
    pub client_ip: HeaderValue,
    /// Held by a tunnel for as long as it lives, so that a drain waits for it.
    pub in_flight: Option<Rc<dyn std::fmt::Debug>>,
}
