//! Settings -> a running daemon: both planes, built and joined here.
//!
//! In: [`Settings`]. Out: when it has drained. Never: a global; a decision that belongs to a room; the log, which is the caller's.

mod control;
mod footprint;
mod media_types;
mod sockets;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::backend::files::StandIns;
use crate::config::Settings;
use crate::container::Runtimes;
use crate::container::rootfs::let_go_of_files;
use crate::container::watch::{Starts, Watcher};
use crate::listen::Sharing;
use crate::metrics::{Connected, Metrics, Shard, TurnedAway};
use crate::proxy::{AnswerBody, Downstream, Peer, Proxy, Sink, Verifier};
use crate::reconcile::{Listening, Reconciler};
use crate::server::{self, Connection, Refused};
use crate::snapshot::{Reader, Snapshot};
use crate::source::{Dir, Relist, Source};
use crate::state::Store;
use crate::telemetry::access::{self, Log};
use crate::{admin, health, listen, snapshot, telemetry};
use control::Control;
use sockets::Follower;

/// Calls of the system that are still under way at the end, such as a record being written, have this long: a disk or a file system that
/// hangs keeps no daemon alive.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// What a daemon that serves is told by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The addresses that are listened on, in order: those of the Gateways, or that of `--listen`. No port is 0.
    pub listen: Vec<SocketAddr>,
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
    /// No access log.
    #[error(transparent)]
    AccessLog(#[from] access::Error),
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
/// A socket can't be bound, or a thread can't be started. A Gateway's is no error: its status says it.
pub fn run(settings: &Settings, hangup: Hangup, ready: impl FnOnce(Ready)) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(both_planes(settings, hangup, ready));
    runtime.shutdown_timeout(LAST_CALLS);
    end
}

async fn both_planes(settings: &Settings, hangup: Hangup, ready: impl FnOnce(Ready)) -> Result<(), Error> {
    let mut signals = Signals::listen(hangup)?;
    let metrics = Metrics::default();
    let log = Log::open(&settings.access_log, metrics.control())?;
    raise_descriptor_limit();
    let admin = admin::Listener::bind(&settings.admin)?;
    let scraped = settings.metrics_listen.map(metrics_port).transpose()?;
    let (publisher, reader) = snapshot::channel();
    let publisher = publisher.counted(metrics.control().clone());

    let source = Dir::open(&settings.manifests)?;
    let relist = source.relist();
    let store = Store::open(&settings.state_dir);
    let (lxcpath, allow_empty, media_types) = (settings.lxcpath.clone(), settings.allow_empty, settings.media_types.clone());
    let listening = Listening { address: settings.listen, threads: settings.threads };
    let counts = metrics.control().clone();
    let mut control = Control::start(LAST_CALLS, move |looks| {
        let runtimes = Arc::new(Runtimes::new(lxcpath.clone()));
        let reconciler = Reconciler::new(runtimes, Watcher::new(), Starts::new(lxcpath), store, publisher, listening, allow_empty);
        reconciler.counted(counts).looking_on(looks).with_media_types(Arc::new(media_types::read(&media_types))).run(source)
    })?;

    let (trigger, shutdown) = server::shutdown();
    let limits = server::Settings { drain: settings.drain, ..server::Settings::default() };
    let mut snapshots = Follower::new(reader.clone());
    let (made_of, counted, sink) = (reader.clone(), metrics.clone(), log.as_ref().map(Log::sink));
    let verifier = Verifier::default();
    let make = move || Web::new(&made_of, counted.shard(), sink.as_ref(), verifier.clone());
    let serving = server::serve(&snapshots.subscribe(), settings.threads, limits, make, &shutdown)?;
    health::start(reader.clone())?;
    tokio::spawn(telemetry::follow(reader.clone(), metrics.control().clone()));
    let (stop_admin, admin_stops) = tokio::sync::oneshot::channel::<()>();
    let (counted, read) = (metrics.clone(), reader.clone());
    let text = admin::MetricsText::new(move || telemetry::exposition::text(&counted, &read));
    let admin = tokio::spawn(admin::serve(admin, scraped, reader, text, async { drop(admin_stops.await) }));

    let mut ready = Some(ready);
    let begin = |snapshot: &Snapshot| {
        let Some(ready) = ready.take() else { return Ok(()) };
        can_be_reached(snapshot, settings)?;
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
        ready(Ready { listen: snapshot.sockets.keys().copied().collect() });
        tokio::spawn(footprint::settle());
        Ok(())
    };
    let why = until_end(&mut signals, &mut control, &mut snapshots, &relist, log.as_ref(), begin).await;
    let why = drained(&mut signals, &trigger, serving, why).await;
    drop(stop_admin);
    let _ = admin.await;
    if let Some(log) = log {
        log.close();
    }
    drop(control);
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

/// Follows the snapshots until a signal, or a fault, ends it. `begin` sees each of them.
async fn until_end(
    signals: &mut Signals,
    control: &mut Control,
    snapshots: &mut Follower,
    relist: &Relist,
    log: Option<&Log>,
    mut begin: impl FnMut(&Snapshot) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        tokio::select! {
            word = signals.next() => match word {
                Word::End => return Ok(()),
                Word::Relist => {
                    tracing::info!("SIGHUP: listing again");
                    relist.ask();
                    log.inspect(|log| log.reopen());
                }
            },
            Some(snapshot) = snapshots.next() => begin(&snapshot)?,
            // It runs for ever: without it nothing would follow the manifests, and nobody would notice.
            ended = &mut *control => return ended.map_err(Error::Control),
        }
    }
}

/// Waits for requests in flight, or for a second signal.
async fn drained(signals: &mut Signals, trigger: &server::Trigger, serving: server::Running, why: Result<(), Error>) -> Result<(), Error> {
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

/// Without Gateways there is `--listen`, or nobody can ever come.
fn can_be_reached(first: &Snapshot, settings: &Settings) -> Result<(), Error> {
    if !first.sockets.is_empty() || !first.gateways.is_empty() {
        return Ok(());
    }
    // The control plane could not have it. Why is asked of the system once more: an `io::Error` has no copies.
    let again = listen::bind(settings.listen, settings.threads, Sharing::Alone).and_then(|bound| bound.open());
    Err(Error::Listen(settings.listen, again.err().unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into())))
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
    shard: Rc<Shard>,
}

impl Web {
    fn new(reader: &Reader, shard: Rc<Shard>, log: Option<&impl Fn(Rc<Shard>) -> Sink>, verifier: Verifier) -> Self {
        let proxy = Rc::new(Proxy::new(reader, shard.clone(), log.map(|sink| sink(shard.clone())), verifier));
        let (held, mut reader) = (proxy.clone(), reader.clone());
        // A thread without requests lets go of old pictures, too: they hold the roots of containers.
        tokio::task::spawn_local(async move {
            let mut revision = 0;
            while let Some(newer) = reader.newer_than(revision).await {
                revision = newer;
                held.refresh();
            }
        });
        Self { proxy, shard }
    }
}

impl server::Service for Web {
    type Body = AnswerBody;

    async fn call(&self, request: Request<Incoming>, connection: &Rc<Connection>) -> Response<AnswerBody> {
        let peer = peer(connection);
        let peer = match connection.believed() {
            None => peer,
            Some(proxies) => peer.speaking_for(request.headers(), proxies),
        };
        self.proxy.answer(request, &peer).await
    }

    fn refuse(&self, refused: &Refused, connection: &Rc<Connection>) -> Response<AnswerBody> {
        self.proxy.refuse(refused.refusal.status(), refused.refusal.to_string(), &refused.line, &peer(connection))
    }

    fn stand_in(&self, body: &mut AnswerBody, stand_ins: &StandIns) {
        body.stand_in(stand_ins);
    }

    fn tidy(&self) {
        let_go_of_files();
    }

    fn connected(&self) -> Option<Connected> {
        Some(self.shard.connected())
    }

    fn turned_away(&self, why: TurnedAway) {
        self.shard.turned_away(why);
    }
}

impl Downstream for Connection {
    fn hold(&self) -> Box<dyn std::fmt::Debug> {
        Box::new(Self::hold(self))
    }
}

/// A connection as the proxy sees it.
fn peer(connection: &Rc<Connection>) -> Peer {
    Peer {
        client: connection.client,
        server: connection.server,
        socket: connection.socket,
        scheme: connection.scheme.as_str(),
        port: connection.server.port(),
        client_ip: connection.client_ip.clone(),
        via: None,
        body_timeout: connection.limits().body_timeout,
        connection: Some(connection.clone()),
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
