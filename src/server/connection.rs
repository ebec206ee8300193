//! A client's connection: its requests, one after the other, until it ends.
//!
//! In: an accepted socket, the thread's service. Out: answers. Never: a request taken up after its door is closed, unless its connection
//! has not had one yet.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Service;
use super::door::Door;
use super::intake::{Intake, Word};
use super::pulse::{Phase, Pulse};
use super::registry::{Hold, Place, Registry};
use super::stream::ClientStream;

/// What hyper may hold of a connection's bytes, each way.
const BUFFER: usize = 128 * 1024;

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
    /// Our address that it reached.
    pub server: SocketAddr,
    /// The address that the listener was bound to.
    pub socket: SocketAddr,
    /// How it came.
    pub scheme: Scheme,
    registry: Rc<Registry>,
    door: Rc<Door>,
}

impl Connection {
    pub(super) fn new(stream: &TcpStream, client: SocketAddr, door: Rc<Door>, registry: Rc<Registry>) -> Self {
        let socket = door.socket();
        // The address of the listener stands in if the connection's own can't be told.
        let server = stream.local_addr().unwrap_or(socket);
        Self { client: canonical(client), server: canonical(server), socket, scheme: Scheme::Http, registry, door }
    }

    /// Counts something as in flight that outlives its request, as a tunnel does: keep it as long.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.registry.hold()
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
pub(super) fn serve<S: Service>(stream: TcpStream, connection: Connection, service: Rc<S>) -> impl Future<Output = ()> {
    let pulse = Arc::new(Pulse::default());
    let place = connection.registry.enter(pulse.clone(), connection.door.clone());
    run(stream, Rc::new(connection), service, pulse, place)
}

async fn run<S: Service>(stream: TcpStream, connection: Rc<Connection>, service: Rc<S>, pulse: Arc<Pulse>, place: Place) {
    let registry = &connection.registry;
    let _counted = service.connected();
    let (word, requests) = (Arc::new(Word::default()), Cell::new(0_u64));
    let respond = service_fn(|request| {
        pulse.enter(Phase::Busy);
        let before = requests.get();
        requests.set(before + 1);
        let (service, connection, pulse, word) = (service.clone(), connection.clone(), pulse.clone(), word.clone());
        async move {
            let refused = word.refused(before);
            let response = match refused {
                Some(refused) => service.refuse(refused, &connection),
                None => service.call(request, &connection).await,
            };
            let mut response = response.map(|body| Answering { body, pulse });
            let tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            if refused.is_some() || (connection.is_draining() && !tunnel) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if word.answer(before + 1, tunnel) {
                // The stream reads on when the connection is polled again.
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    Poll::Ready(())
                })
                .await;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    // The registry keeps the time: hyper's timer would cost an allocation and two turns of the timer wheel per request. `half_close` is
    // off, so that a client's departure sets its backend free. `pipeline_flush` is off: it buffers whole bodies, without limit.
    builder.header_read_timeout(None).max_header_size(registry.settings().max_head).max_buf_size(BUFFER);
    let intake = Intake::new(registry.settings().max_head, word.clone());
    let stream = ClientStream::new(stream, pulse.clone(), intake);
    let mut http = pin!(builder.serve_connection(TokioIo::new(stream), respond).with_upgrades());
    let told = Cell::new(false);
    let end = poll_fn(|cx| {
        if place.poll_expired(cx).is_ready() {
            return Poll::Ready(None);
        }
        // What has arrived is read before the connection counts as idle.
        let mut poll = http.as_mut().poll(cx);
        if poll.is_pending() && pulse.has_ended() && pulse.phase() == Phase::Idle {
            // The answer is out and nothing will come that could wake it.
            poll = http.as_mut().poll(cx);
        }
        if poll.is_pending() && connection.is_draining() && pulse.phase() != Phase::Head && !told.replace(true) {
            http.as_mut().graceful_shutdown();
            return http.as_mut().poll(cx).map(Some);
        }
        poll.map(Some)
    })
    .await;
    match end {
        None => tracing::debug!(client = %connection.client, "connection overstayed"),
        Some(Err(error)) => tracing::debug!(client = %connection.client, error = &error as &dyn std::error::Error, "connection broke off"),
        Some(Ok(())) => {}
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// An answer's body. hyper drops it when the last byte is written or buffered: the request is over.
struct Answering<B> {
    body: B,
    pulse: Arc<Pulse>,
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Answering<B> {
    fn drop(&mut self) {
        self.pulse.enter(Phase::Idle);
    }
}
