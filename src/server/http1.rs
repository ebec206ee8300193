//! A client's stream -> its requests, each answered by the service, until it ends: hyper's connection while there is something to do, the
//! bare stream while there is nothing.
//!
//! In: the stream of a connection that may ask. Out: answers. Never: hyper's buffers and a request's room kept by a connection that rests; a
//! connection taken apart that has bytes or a part of a message in hand.
//!
//! hyper's connection is some 25 KB: two buffers of 8 KB, and a request's future. So it is built when the first byte comes, and taken apart
//! again when the registry has found the connection at rest: 10,000 connections that rest are some 35 MB, and not 290.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, UpgradeableConnection};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::intake::{Intake, Word};
use super::pulse::{Phase, Pulse};
use super::registry::Place;
use super::stream::ClientStream;
use super::{Connection, Service};
use crate::backend::files::StandIns;

/// What hyper may hold of a connection's bytes, each way.
const BUFFER: usize = 128 * 1024;

/// What the requests of a connection have in common: one count to raise for each of them.
struct Session<S: Service> {
    service: Rc<S>,
    connection: Rc<Connection>,
    place: Place,
    pulse: Arc<Pulse>,
    word: Arc<Word>,
    stand_ins: StandIns,
    /// Requests that have begun.
    requests: Cell<u64>,
}

/// What a connection comes to.
enum End {
    /// Nothing is in hand, and has not been for a while.
    Rest,
    /// It has overstayed.
    Late,
    /// It has ended, by itself or by a fault.
    Over(hyper::Result<()>),
}

/// Serves a stream to its end.
pub(super) async fn run<S: Service>(stream: TcpStream, connection: Connection, service: Rc<S>, pulse: Arc<Pulse>, place: Place) {
    let _counted = service.connected();
    let (word, stand_ins, requests) = (Arc::default(), StandIns::default(), Cell::default());
    let session = Rc::new(Session { service, connection: Rc::new(connection), place, pulse, word, stand_ins, requests });
    let mut stream = session.stream(stream);
    let end = loop {
        if session.is_late_at_rest(&stream).await {
            break End::Late;
        }
        let respond = service_fn(|request| {
            let before = session.begin();
            session.clone().answer(request, before)
        });
        let _awake = session.place.awake();
        let mut http = session.builder().serve_connection(TokioIo::new(stream), respond).with_upgrades();
        match session.converse(&mut http).await {
            End::Rest => match http.into_parts() {
                // It has waited for a head with all that was read before in other hands.
                Some(parts) if parts.read_buf.is_empty() => stream = parts.io.into_inner(),
                _ => break End::Over(Ok(())),
            },
            end => break end,
        }
        session.pulse.rest();
    };
    let client = session.connection.client;
    match end {
        End::Late => tracing::debug!(%client, "connection overstayed"),
        End::Over(Err(error)) => tracing::debug!(%client, error = &error as &dyn StdError, "connection broke off"),
        End::Over(Ok(())) | End::Rest => {}
    }
}

impl<S: Service> Session<S> {
    fn stream(&self, stream: TcpStream) -> ClientStream {
        let intake = Intake::new(self.connection.limits().max_head, self.word.clone());
        ClientStream::new(stream, self.pulse.clone(), intake, self.stand_ins.clone())
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        // The registry keeps the time: hyper's timer would cost an allocation and two turns of the timer wheel per request. `half_close` is
        // off, so that a client's departure sets its backend free. `pipeline_flush` is off: it buffers whole bodies, without limit.
        // Bodies are queued as they are, and not copied (`writev`): the stream has to see what stands in for a file.
        builder.writev(true).header_read_timeout(None).max_header_size(self.connection.limits().max_head).max_buf_size(BUFFER);
        builder
    }

    /// Waits until there is something to do: a byte or the end of the stream to read, a last word to say. Whether the time is over.
    async fn is_late_at_rest(&self, stream: &ClientStream) -> bool {
        poll_fn(|cx| {
            if self.place.poll_expired(cx).is_ready() {
                return Poll::Ready(true);
            }
            // Who has not asked yet is waited for.
            if self.connection.is_draining() && self.pulse.phase() != Phase::Head {
                return Poll::Ready(false);
            }
            // An error is found by who reads.
            stream.poll_readable(cx).map(|_| false)
        })
        .await
    }

    /// Polls hyper's connection until it has ended, or rests.
    async fn converse<R>(&self, http: &mut UpgradeableConnection<TokioIo<ClientStream>, R>) -> End
    where
        R: hyper::service::Service<Request<Incoming>, Response = Response<Answering<S>>, Error = Infallible>,
    {
        let mut told = false;
        poll_fn(|cx| {
            if self.place.poll_expired(cx).is_ready() {
                return Poll::Ready(End::Late);
            }
            // What has arrived is read before the connection counts as idle.
            let mut poll = Pin::new(&mut *http).poll(cx);
            if poll.is_pending() && self.pulse.has_ended() && self.pulse.phase() == Phase::Idle {
                // The answer is out and nothing will come that could wake it.
                poll = Pin::new(&mut *http).poll(cx);
            }
            if poll.is_pending() && self.connection.is_draining() && self.pulse.phase() != Phase::Head && !told {
                told = true;
                Pin::new(&mut *http).graceful_shutdown();
                poll = Pin::new(&mut *http).poll(cx);
            } else if poll.is_pending() && (self.pulse.is_fresh() || self.place.may_rest() && self.pulse.is_quiet()) {
                // Who has just come is believed to have spoken, until the first look.
                return Poll::Ready(End::Rest);
            }
            poll.map(End::Over)
        })
        .await
    }

    /// A request begins. How many there were before.
    fn begin(&self) -> u64 {
        self.pulse.enter(Phase::Busy);
        self.requests.replace(self.requests.get() + 1)
    }

    async fn answer(self: Rc<Self>, request: Request<Incoming>, before: u64) -> Result<Response<Answering<S>>, Infallible> {
        let refused = self.word.refused(before);
        let is_refused = refused.is_some();
        let mut response = match refused {
            Some(refused) => self.service.refuse(refused, &self.connection),
            None => self.service.call(request, &self.connection).await,
        };
        self.service.stand_in(response.body_mut(), &self.stand_ins);
        let tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if is_refused || (self.connection.is_draining() && !tunnel) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.word.answer(before + 1, tunnel) {
            // The stream reads on when the connection is polled again.
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::Ready(())
            })
            .await;
        }
        Ok(response.map(|body| Answering { body, fault: None, session: self }))
    }
}

/// An answer's body, and its fault only when all before it is written. hyper drops it when the last byte is written or buffered: the request is
/// over.
struct Answering<S: Service> {
    body: S::Body,
    fault: Option<<S::Body as Body>::Error>,
    session: Rc<Session<S>>,
}

impl<S: Service> Body for Answering<S> {
    type Data = <S::Body as Body>::Data;
    type Error = <S::Body as Body>::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if this.fault.is_none() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Err(fault))) => this.fault = Some(fault),
                poll => return poll,
            }
            this.session.pulse.break_off();
        }
        // The stream wakes the task.
        if this.session.pulse.is_broken() { Poll::Pending } else { Poll::Ready(this.fault.take().map(Err)) }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S: Service> Drop for Answering<S> {
    fn drop(&mut self) {
        self.session.pulse.enter(Phase::Idle);
    }
}
