//! Settings -> a running daemon: both planes, built and joined here.
//!
//! In: [`Settings`]. Out: when it has drained. Never: a global; a decision that belongs to a room; the log, which is the caller's.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::header::UPGRADE;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::backend::ResponseBody;
use crate::config::Settings;
use crate::container::Runtimes;
use crate::container::watch::{Starts, Watcher};
use crate::listen::Sharing;
use crate::proxy::{Peer, Proxy};
use crate::reconcile::Reconciler;
use crate::server::{self, Connection};
use crate::snapshot::Reader;
use crate::source::{Dir, Relist, Source};
use crate::state::Store;
use crate::{admin, listen, snapshot};

/// What a daemon that serves is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The address that `--listen` was bound to; its port is never 0.
    pub listen: SocketAddr,
}

/// What SIGHUP asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// A look at every manifest, as of any daemon.
    Relist,
    /// The end: the terminal that it belongs to is closed.
    End,
}

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No admin socket.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// The address can't be listened on.
    #[error("can't listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The control plane has ended by itself: a fault of ours. What was served is on disk for the next start.
    #[error("the control plane has failed")]
    Control(#[source] tokio::task::JoinError),
    /// The system says no.
    #[error("the daemon can't run")]
    Io(#[from] std::io::Error),
}

/// Runs until SIGTERM or SIGINT, and drains. `ready` is called once, when the first snapshot is being served.
///
/// # Errors
/// A socket can't be bound, or a thread can't be started.
pub fn run(settings: &Settings, hangup: Hangup, ready: impl FnOnce(Ready)) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(both_planes(settings, hangup, ready))
}

async fn both_planes(settings: &Settings, hangup: Hangup, ready: impl FnOnce(Ready)) -> Result<(), Error> {
    let signals = Signals::listen(hangup)?;
    raise_descriptor_limit();
    let bound = listen::bind(settings.listen, settings.threads, Sharing::Alone);
    let bound = bound.and_then(|bound| bound.open().map(|()| Arc::new(bound))).map_err(|error| Error::Listen(settings.listen, error))?;
    let listen = bound.local_addr();
    tracing::info!(address = %listen, "listening");
    let admin = admin::Listener::bind(&settings.admin)?;
    let scraped = settings.metrics_listen.map(metrics_port).transpose()?;
    let (publisher, reader) = snapshot::channel();

    let source = Dir::open(&settings.manifests)?;
    let relist = source.relist();
    let store = Store::open(&settings.state_dir);
    let runtimes = Arc::new(Runtimes::new(settings.lxcpath.clone()));
    let reconciler = Reconciler::new(
        runtimes,
        Watcher::new(),
        Starts::new(settings.lxcpath.clone()),
        store,
        publisher,
        bound.clone(),
        settings.allow_empty,
    );
    let mut control = tokio::spawn(reconciler.run(source));

    let (trigger, shutdown) = server::shutdown();
    let limits = server::Settings { drain: settings.drain, ..server::Settings::default() };
    let made_of = reader.clone();
    let serving = server::serve(&[bound], settings.threads, limits, move || Web::new(&made_of), &shutdown)?;
    let (stop_admin, admin_stops) = tokio::sync::oneshot::channel::<()>();
    let metrics = admin::MetricsText::new(|| "# EOF\n".to_owned());
    let admin = tokio::spawn(admin::serve(admin, scraped, reader.clone(), metrics, async { drop(admin_stops.await) }));

    let mut first = reader;
    if first.newer_than(0).await.is_some() {
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
        ready(Ready { listen });
    }
    let why = until_end(&mut control, signals, relist, &trigger, serving).await;
    control.abort();
    drop(stop_admin);
    let _ = admin.await;
    why
}

/// The port for metrics.
fn metrics_port(address: SocketAddr) -> Result<TcpListener, Error> {
    let failed = |error| Error::Listen(address, error);
    let bound = listen::bind(address, 1, Sharing::Alone).map_err(failed)?;
    bound.open().map_err(failed)?;
    tracing::info!(address = %bound.local_addr(), "metrics are answered");
    let socket = bound.take(0).ok_or_else(|| failed(ErrorKind::AddrNotAvailable.into()))?;
    TcpListener::from_std(socket).map_err(failed)
}

/// Waits for the signal that ends it; then for requests in flight, or for a second signal.
async fn until_end(
    control: &mut JoinHandle<()>,
    mut signals: Signals,
    relist: Relist,
    trigger: &server::Trigger,
    serving: server::Running,
) -> Result<(), Error> {
    let why = loop {
        tokio::select! {
            word = signals.next() => match word {
                Word::End => break Ok(()),
                Word::Relist => {
                    tracing::info!("SIGHUP: listing again");
                    relist.ask();
                }
            },
            // It runs for ever: without it nothing would follow the manifests, and nobody would notice.
            ended = &mut *control => break ended.map_err(Error::Control),
        }
    };
    tracing::info!("draining; a second signal stops at once");
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    trigger.drain();
    let mut drained = std::pin::pin!(serving.join());
    loop {
        tokio::select! {
            result = &mut drained => return why.and(result.map_err(Error::Io)),
            word = signals.next() => if let Word::End = word {
                tracing::info!("stopping at once");
                trigger.stop();
            },
        }
    }
}

/// Two descriptors a request: the soft limit of most systems (1024) is for programs that use select(2).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        tracing::warn!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

/// The serving plane of one thread, as the server calls it.
struct Web {
    proxy: Rc<Proxy>,
}

impl Web {
    fn new(reader: &Reader) -> Self {
        let proxy = Rc::new(Proxy::new(reader));
        let (held, mut reader) = (proxy.clone(), reader.clone());
        // A thread without requests lets go of old pictures, too: they hold the roots of containers.
        tokio::task::spawn_local(async move {
            let mut revision = 0;
            while let Some(newer) = reader.newer_than(revision).await {
                revision = newer;
                held.refresh();
            }
        });
        Self { proxy }
    }
}

impl server::Service for Web {
    type Body = ResponseBody;

    async fn call(&self, request: Request<Incoming>, connection: &Rc<Connection>) -> Response<ResponseBody> {
        let client_ip = HeaderValue::from_str(&connection.client.ip().to_string()).unwrap_or(HeaderValue::from_static(""));
        // Only a tunnel outlives its request.
        let in_flight = request.headers().contains_key(UPGRADE).then(|| -> Rc<dyn std::fmt::Debug> { Rc::new(connection.hold()) });
        let peer = Peer {
            client: connection.client,
            server: connection.server,
            socket: connection.socket,
            scheme: connection.scheme.as_str(),
            client_ip,
            in_flight,
        };
        self.proxy.answer(request, &peer).await
    }
}

/// The signals that mean something.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    meaning: Hangup,
}

enum Word {
    End,
    Relist,
}

impl Signals {
    fn listen(meaning: Hangup) -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            meaning,
        })
    }

    async fn next(&mut self) -> Word {
        tokio::select! {
            _ = self.terminate.recv() => Word::End,
            _ = self.interrupt.recv() => Word::End,
            _ = self.hangup.recv() => match self.meaning {
                Hangup::Relist => Word::Relist,
                Hangup::End => Word::End,
            },
        }
    }
}
