//! The snapshot -> answers over a unix socket, for the command line, for health checks, for Prometheus and for `curl --unix-socket`.
//!
//! In: a listener, a [`Reader`], the text of metrics. Out: `lxcproxy.dev/v1` objects as JSON and their changes as they happen, one request
//! a connection. Never: a change of anything; an answer to somebody who is neither root nor the daemon's user nor of its group.

mod answer;
mod backends;
mod discovery;
mod fields;
mod metrics;
mod objects;
mod openapi;
mod paths;
mod peer;
mod query;
mod routes;
mod selector;
mod socket;
mod stream;
mod watch;

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

pub use answer::Status;
pub use fields::escape as escape_field;
pub use metrics::MetricsText;
pub use openapi::document as openapi;
pub use paths::{API, HEALTH, METRICS, READINESS};
pub use query::escape;
pub use socket::{Error, Listener};

use crate::snapshot::Reader;
use answer::{Answer, Failure};
use paths::Door;
use peer::Peer;
use routes::Desk;
use stream::Patient;

/// A watch that has nothing to say sends a bookmark after this time.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Connections to the socket at a time; the next one waits in the socket's backlog.
const CONNECTIONS: u16 = 256;
/// Watches at a time: half of the connections, so that there is room for questions.
const WATCHES: u16 = CONNECTIONS / 2;
/// Connections at a time of those who may not ask; the next one is closed without a word.
const STRANGERS: usize = 16;
/// Connections to the port for metrics at a time.
const SCRAPES: u16 = 32;
/// How long a client may take to ask.
const HEAD: Duration = Duration::from_secs(10);
/// How long a client may read nothing of its answer.
const READING: Duration = Duration::from_secs(60);
/// How long answers may take once the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The pause after a failed accept: no file descriptor is free, and one does not come by asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until `shutdown` resolves; then the socket goes, and watches end. `port`: where metrics are given to whoever asks, if anywhere.
/// Needs a tokio runtime with I/O and time.
pub async fn serve(
    listener: Listener,
    port: Option<TcpListener>,
    reader: Reader,
    metrics: MetricsText,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let desk = Desk { reader, metrics, stopped, watches: Arc::new(Semaphore::new(WATCHES.into())) };
    let (connections, scrapes) = (Arc::new(Semaphore::new(CONNECTIONS.into())), Arc::new(Semaphore::new(SCRAPES.into())));
    tokio::select! {
        () = shutdown => {}
        () = attend_socket(&listener, &connections, &desk) => {}
        () = attend_port(port.as_ref(), &scrapes, &desk) => {}
    }
    drop((listener, port));
    stop.send_replace(true);
    let left = async { (connections.acquire_many(CONNECTIONS.into()).await.is_ok(), scrapes.acquire_many(SCRAPES.into()).await.is_ok()) };
    if timeout(LAST_WORDS, left).await.is_err() {
        debug!(connections = usize::from(CONNECTIONS) - connections.available_permits(), "admin connections are cut");
    }
}

/// Answers on the socket; ends never.
async fn attend_socket(listener: &Listener, places: &Arc<Semaphore>, desk: &Desk) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let accepted = accept(places, listener.accept()).await;
        let Some((stream, place)) = accepted else { continue };
        let (desk, strangers) = (desk.clone(), strangers.clone());
        let admission = admit(&stream, listener.path());
        tokio::spawn(async move {
            let _place = place;
            match admission {
                Ok(uid) => {
                    let answer = move |request: Request<Incoming>| {
                        debug!(uid, method = %request.method(), path = request.uri().path(), "admin request");
                        desk.clone().answer(request, Door::Socket)
                    };
                    converse(stream, answer).await;
                }
                Err(why) => {
                    let Ok(_place) = strangers.try_acquire_owned() else { return };
                    let answer = converse(stream, move |_| std::future::ready(Failure::forbidden(why.clone()).response()));
                    let _ = timeout(HEAD, answer).await;
                }
            }
        });
    }
}

/// Answers on the port for metrics, if there is one; ends never.
async fn attend_port(listener: Option<&TcpListener>, places: &Arc<Semaphore>, desk: &Desk) {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        let accepted = accept(places, async { listener.accept().await.map(|(stream, _)| stream) }).await;
        let Some((stream, place)) = accepted else { continue };
        let desk = desk.clone();
        tokio::spawn(async move {
            let _place = place;
            let answer = converse(stream, move |request| desk.clone().answer(request, Door::Port));
            let _ = timeout(HEAD + READING, answer).await;
        });
    }
}

/// The next connection, once there is a place for it; none: not now.
async fn accept<S>(places: &Arc<Semaphore>, accepted: impl Future<Output = io::Result<S>>) -> Option<(S, OwnedSemaphorePermit)> {
    // An error would mean that nobody hands out places any more; nobody stops that.
    let place = places.clone().acquire_owned().await.ok()?;
    match accepted.await {
        Ok(stream) => Some((stream, place)),
        Err(error) => {
            warn!(%error, "admin connections are not accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// The user who has connected, if it may ask; else why not.
fn admit(stream: &UnixStream, socket: &Path) -> Result<u32, String> {
    let peer = Peer::of(stream).ok_or("nobody knows who asks")?;
    let admission = peer.admit(socket);
    debug!(uid = peer.uid, gid = peer.gid, pid = peer.pid, admitted = admission.is_ok(), "admin connection");
    admission.map(|()| peer.uid)
}

/// One request and its answer. No second one: a connection that is kept is one that others can't have.
async fn converse<S, F>(stream: S, answer: impl Fn(Request<Incoming>) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Response<Answer>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let exchange = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(Patient::new(stream, READING)), service);
    if let Err(error) = exchange.await {
        debug!(%error, "an admin connection failed");
    }
}

#[cfg(test)]
mod tests;
