//! Connections from clients: accepted on one thread per core, each served where it was accepted.
//!
//! In: bound addresses as they come and go, a [`Service`] made once per thread, a [`Shutdown`]. Out: requests to the service, its responses
//! to clients, and an end that loses nothing, of one address or of all. Never: a look at a request's path, a thread crossed.

mod admission;
mod connection;
mod door;
mod doors;
mod drain;
mod guard;
mod http1;
mod intake;
mod listener;
mod neighbours;
mod proxy_protocol;
mod pulse;
mod registry;
mod stream;
#[cfg(test)]
mod tests;
mod turn;
mod worker;

use std::error::Error as StdError;
use std::io;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, watch};

use crate::backend::files::StandIns;
use crate::listen::Sockets;
use crate::metrics::{Connected, TurnedAway};
use neighbours::Neighbours;

pub use connection::{Connection, Scheme};
pub use drain::{Shutdown, State, Trigger, shutdown};
pub use guard::Refusal;
pub use intake::Refused;
pub use registry::Hold;

/// What answers requests. One per thread, so it needs no locks.
pub trait Service: 'static {
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>> + Unpin> + Unpin + 'static;

    /// Answers a request. An error has become an answer here; one in the body ends the connection. Dropped if the client goes away.
    fn call(&self, request: Request<Incoming>, connection: &Rc<Connection>) -> impl Future<Output = Response<Self::Body>>;

    /// Answers in the place of a request that was refused because of its bytes, with the status of its refusal. The connection is closed
    /// after that.
    fn refuse(&self, refused: &Refused, connection: &Rc<Connection>) -> Response<Self::Body>;

    /// Lets the bytes of a file in this body be stood in for: the connection is one that can send them so.
    fn stand_in(&self, body: &mut Self::Body, stand_ins: &StandIns) {
        let _ = (body, stand_ins);
    }

    /// Called on each thread when it begins, and then every second at least: lets go of what was kept for requests that did not come.
    fn tidy(&self) {}

    /// Counts a connection for as long as what it gives is held.
    fn connected(&self) -> Option<Connected> {
        None
    }

    /// A connection was closed before it could ask.
    fn turned_away(&self, why: TurnedAway) {
        let _ = why;
    }
}

/// What holds for every thread. What holds for connections comes with their address ([`Options`](crate::listen::Options)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long requests and tunnels in flight may go on after [`Trigger::drain`].
    pub drain: Duration,
    /// Connections and tunnels of a thread; when it is reached the thread does not accept, but where an address has a limit of its own.
    pub max_connections: usize,
}

/// Threads that serve.
#[derive(Debug)]
pub struct Running {
    threads: Vec<thread::JoinHandle<()>>,
    /// Closed when the last thread has ended.
    ended: mpsc::Receiver<()>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { drain: Duration::from_secs(30), max_connections: 10_000 }
    }
}

/// Starts the threads. `make` is called once on each, inside its runtime. Each thread follows `sockets`: it takes its own of what is new,
/// and closes what is gone: nobody new connects then, and the connections that came in there drain, however long that takes.
/// What comes and goes before a thread has looked is never served by it ([`Bound::taken`](crate::listen::Bound::taken)).
///
/// # Errors
/// What keeps a runtime or a thread from being made; threads that were started before go on until `shutdown` ends them.
pub fn serve<F, S>(
    sockets: &watch::Receiver<Sockets>,
    threads: usize,
    settings: Settings,
    make: F,
    shutdown: &Shutdown,
) -> io::Result<Running>
where
    F: Fn() -> S + Send + Clone + 'static,
    S: Service,
{
    let (alive, ended) = mpsc::channel(1);
    let (begun, begins) = std::sync::mpsc::channel();
    let mut running = Vec::new();
    for (neighbours, inbox) in Neighbours::of(threads) {
        let (sockets, make, shutdown, alive) = (sockets.clone(), make.clone(), shutdown.clone(), alive.clone());
        let begun = begun.clone();
        running.push(thread::Builder::new().name(format!("serve-{}", neighbours.own())).spawn(move || {
            let _alive = alive;
            // A runtime without locks belongs to the thread that makes it.
            match tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    // Who has asked may have given up because of another thread.
                    let _ = begun.send(Ok(()));
                    worker::run(&runtime, neighbours, inbox, sockets, settings, make, shutdown);
                }
                Err(error) => drop(begun.send(Err(error))),
            }
        })?);
    }
    begins.into_iter().take(threads).collect::<io::Result<()>>()?;
    Ok(Running { threads: running, ended })
}

impl Running {
    /// Waits until every thread has ended: after a drain or a stop.
    ///
    /// # Errors
    /// If a thread panicked.
    pub async fn join(mut self) -> io::Result<()> {
        // Nothing is ever sent: this is the end of the last sender.
        let _ = self.ended.recv().await;
        self.threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| io::Error::other("a serving thread panicked")))
    }
}
