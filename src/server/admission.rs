//! An accepted socket -> a connection that may ask.
//!
//! In: a socket, the address it came from, what holds for its listener. Out: who the client is, as the proxy in front says where there is
//! one; or why the connection ends without an answer. Never: a byte of the first request.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use http::HeaderValue;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::door::Door;
use super::proxy_protocol::{self, Header, LONGEST, Malformed, Progress};
use super::registry::{Place, Registry};
use super::{Connection, Scheme};
use crate::listen::{Options, Seat};
use crate::metrics::TurnedAway;
use crate::names::ClientKey;

/// An accepted socket.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) stream: TcpStream,
    /// Where it came from.
    pub(super) client: SocketAddr,
    pub(super) seat: Seat,
    pub(super) door: Rc<Door>,
    pub(super) registry: Rc<Registry>,
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
enum NoHeader {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the connection ended before its header")]
    Io(#[from] io::Error),
    #[error("the header did not come in time")]
    Late,
}

impl Arrival {
    /// The connection, once it is known whose it is.
    pub(super) async fn admit(mut self, options: Arc<Options>, place: &Place) -> Result<(TcpStream, Connection), TurnedAway> {
        let socket = self.door.socket();
        // The address of the listener stands in if the connection's own can't be told.
        let (mut client, mut server) = (canonical(self.client), canonical(self.stream.local_addr().unwrap_or(socket)));
        if options.proxy_protocol {
            if !options.trusted.is_empty() && !options.trusted.contains(client.ip()) {
                tracing::debug!(%client, "closed: not one of the trusted proxies");
                return Err(TurnedAway::UntrustedProxy);
            }
            // In a box: connections of other listeners need no room for it.
            match Box::pin(header(&mut self.stream, place)).await {
                Ok(Header::Own) => {}
                Ok(Header::Client { source, destination }) => (client, server) = (source, destination),
                Err(error) => {
                    tracing::debug!(%client, "closed: {error}");
                    return Err(TurnedAway::ProxyHeader);
                }
            }
        }
        // A proxy has the connections of many clients.
        let limit = options.limits.connections_per_client.filter(|_| !options.trusted.contains(client.ip()));
        if limit.is_some_and(|limit| !self.seat.belongs_to(ClientKey::of(client.ip()), limit)) {
            tracing::debug!(%client, "closed: the client has as many connections as one may have");
            return Err(TurnedAway::ClientLimit);
        }
        let Self { stream, seat, door, registry, .. } = self;
        let client_ip = HeaderValue::try_from(client.ip().to_string()).unwrap_or(HeaderValue::from_static(""));
        let seat = Rc::new(seat);
        Ok((stream, Connection { client, client_ip, server, socket, scheme: Scheme::Http, options, registry, door, seat }))
    }
}

/// Reads a header of the PROXY protocol, in the time that there is for the head of a request.
async fn header(stream: &mut TcpStream, place: &Place) -> Result<Header, NoHeader> {
    let mut reading = pin!(read(stream));
    poll_fn(|cx| if place.poll_expired(cx).is_ready() { Poll::Ready(Err(NoHeader::Late)) } else { reading.as_mut().poll(cx) }).await
}

/// What has come is looked at before it is taken, so that what follows the header stays where the first request is read from.
async fn read(stream: &mut TcpStream) -> Result<Header, NoHeader> {
    let (mut bytes, mut taken) = (vec![0; LONGEST], 0);
    loop {
        // A header that is longer is refused.
        let come = taken + stream.peek(&mut bytes[taken..]).await?;
        if come == taken {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let (end, header) = match proxy_protocol::parse(&bytes[..come])? {
            Progress::Incomplete => (come, None),
            Progress::Whole(header, length) => (length, Some(header)),
        };
        stream.read_exact(&mut bytes[taken..end]).await?;
        taken = end;
        if let Some(header) = header {
            return Ok(header);
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
