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
use super::admission::Arrival;
use super::door::Door;
use super::intake::{Intake, Word};
use super::pulse::{Phase, Pulse};
use super::registry::{Hold, Place, Registry};
use super::stream::ClientStream;
use crate::backend::files::StandIns;
use crate::listen::{Limits, Options, Seat};
use crate::names::Networks;

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
            Ok((stream, connection)) => run(stream, Rc::new(connection), service, pulse, place).await,
            Err(why) => service.turned_away(why),
        }
    }
}

async fn run<S: Service>(stream: TcpStream, connection: Rc<Connection>, service: Rc<S>, pulse: Arc<Pulse>, place: Place) {
    let _counted = service.connected();
    let (word, requests, stand_ins) = (Arc::new(Word::default()), Cell::new(0_u64), StandIns::default());
    let respond = service_fn(|request| {
        pulse.enter(Phase::Busy);
        let before = requests.get();
        requests.set(before + 1);
        let (service, connection, pulse, word) = (service.clone(), connection.clone(), pulse.clone(), word.clone());
        let stand_ins = stand_ins.clone();
        async move {
            let refused = word.refused(before);
            let mut response = match refused {
                Some(refused) => service.refuse(refused, &connection),
                None => service.call(request, &connection).await,
            };
            service.stand_in(response.body_mut(), &stand_ins);
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
    // Bodies are queued as they are, and not copied (`writev`): the stream has to see what stands in for a file.
    builder.writev(true).header_read_timeout(None).max_header_size(connection.limits().max_head).max_buf_size(BUFFER);
    let intake = Intake::new(connection.limits().max_head, word.clone());
    let stream = ClientStream::new(stream, pulse.clone(), intake, stand_ins.clone());
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
