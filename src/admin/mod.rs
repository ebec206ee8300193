//! The snapshot -> answers over a unix socket, for `get` and `wait`, for health checks and for `curl --unix-socket`.
//!
//! In: a listener and a [`Reader`]. Out: `lxcproxy.dev/v1` objects as JSON, one request a connection. Never: a change of anything.

mod answer;
mod fields;
mod query;
mod routes;
mod socket;

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

pub use answer::Status;
pub use fields::escape as escape_field;
pub use query::{MAX_POLL, escape};
pub use routes::{API, APPS, HEALTH, READINESS};
pub use socket::{Error, Listener};

use crate::snapshot::Reader;

/// Connections at a time; the next one waits in the socket's backlog. A `wait` holds one.
const CONNECTIONS: usize = 256;
/// How long a client may take to ask.
const HEAD: Duration = Duration::from_secs(10);
/// How long a client may take to read its answer.
const READING: Duration = Duration::from_secs(60);
/// A watch that has nothing to say sends a bookmark after this time.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long answers may take once the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The pause after a failed accept: no file descriptor is free, and one does not come by asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until `shutdown` resolves; then the socket goes, and long polls answer at once. Needs a tokio runtime with I/O and time.
pub async fn serve(listener: Listener, reader: Reader, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok(stream) => {
                    connections.spawn(connection(stream, reader.clone(), stopped.clone()));
                }
                Err(error) => {
                    warn!(%error, "the admin socket does not accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stop.send_replace(true);
    if timeout(LAST_WORDS, async { while connections.join_next().await.is_some() {} }).await.is_err() {
        debug!(connections = connections.len(), "admin connections are cut");
    }
}

/// One request and its answer. No second one: a connection that is kept is one that others can't have.
async fn connection(stream: UnixStream, reader: Reader, stopped: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let (reader, stopped) = (reader.clone(), stopped.clone());
        async move { Ok::<_, Infallible>(routes::answer(&request, reader, stopped).await) }
    });
    let exchange = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(HEAD + MAX_POLL + READING, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "an admin connection failed"),
        Err(_) => debug!("an admin client does not read its answer"),
    }
}

#[cfg(test)]
mod tests;
