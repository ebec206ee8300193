//! A request from its head to the last byte of its answer -> counts, and what the access log is told.
//!
//! In: a request as it goes its way. Out: one count, one line. Never: text that nobody asked for; a wait.

use std::cell::{Cell, OnceCell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};

use super::access::{Access, Part, Sink};
use super::fields::Seen;
use super::id::RequestId;
use super::peer::Peer;
use super::rescue::Cause;
use crate::backend::files::StandIns;
use crate::backend::{Error, Phase, ResponseBody};
use crate::dial;
use crate::metrics::{self, BackendCounts, Fault, RouteCounts, Served, Shard, Tunnelled};
use crate::route::{CompiledApp, InFlight, Match, Slot};

/// The client left before there was an answer (nginx).
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Where the records of one thread go.
pub(super) struct Recorder {
    shard: Rc<Shard>,
    log: Option<Sink>,
}

/// One request. It is counted when this is dropped: its answer is out, or its client is gone. In a place of its own: its answer's body
/// has it, and is moved often.
pub(super) struct Record {
    shard: Rc<Shard>,
    app: Option<Rc<metrics::App>>,
    route: Rc<RouteCounts>,
    /// The one that is asked, or was asked last.
    backend: RefCell<Option<Rc<BackendCounts>>>,
    began: Instant,
    /// When the 101 of a tunnel was there.
    joined: Cell<Option<Instant>>,
    status: Cell<u16>,
    /// Shared with the request's body, if there is one.
    received: OnceCell<Rc<Cell<u64>>>,
    sent: Cell<u64>,
    /// One of so many at once, if the App has such a limit.
    slot: OnceCell<Slot>,
    /// What waits for the 101 to be out.
    tunnel: Cell<Option<Begin>>,
    /// The endpoint that is busy with it.
    occupied: Cell<Option<InFlight>>,
    /// Its backend is away.
    waiting: Cell<bool>,
    log: Option<Log>,
}

/// Begins a tunnel, which holds the record from then on.
type Begin = Box<dyn FnOnce(Rc<Record>)>;

struct Log {
    access: Box<Access>,
    sink: Sink,
    asked: Cell<Option<Instant>>,
    upstream: Cell<Option<Duration>>,
}

/// The body of an answer, which counts its bytes.
pub struct AnswerBody {
    body: ResponseBody,
    record: Option<Rc<Record>>,
}

impl Recorder {
    pub(super) fn new(shard: Rc<Shard>, log: Option<Sink>) -> Self {
        Self { shard, log }
    }

    /// Begins the record of a request, of whose fields these were seen, and whose head came at `began`.
    pub(super) fn begin<B>(
        &self,
        began: Instant,
        request: (&Request<B>, Seen),
        peer: &Peer,
        id: RequestId,
        found: Option<&Match>,
    ) -> Rc<Record> {
        let app = found.map(|found| self.shard.app(found.app.name.as_str()));
        let matched = app.as_ref().zip(found).map(|(app, found)| app.route(found.rule, &found.rule().name));
        let route = matched.unwrap_or_else(|| self.shard.unmatched());
        self.record(began, app, route, || Access::of(request.0, request.1, peer, id))
    }

    /// Begins the record of a request that nobody read, at its refusal.
    pub(super) fn begin_refused(&self, began: Instant, line: &[u8], peer: &Peer, id: RequestId) -> Rc<Record> {
        self.record(began, None, self.shard.unmatched(), || Access::of_line(line, peer, id))
    }

    fn record(
        &self,
        began: Instant,
        app: Option<Rc<metrics::App>>,
        route: Rc<RouteCounts>,
        access: impl FnOnce() -> Box<Access>,
    ) -> Rc<Record> {
        let log = self.log.clone().map(|sink| Log { access: access(), sink, asked: Cell::new(None), upstream: Cell::new(None) });
        Rc::new(Record {
            shard: self.shard.clone(),
            app,
            route,
            backend: RefCell::default(),
            began,
            joined: Cell::new(None),
            status: Cell::new(CLIENT_CLOSED_REQUEST),
            received: OnceCell::new(),
            sent: Cell::new(0),
            slot: OnceCell::new(),
            tunnel: Cell::new(None),
            occupied: Cell::new(None),
            waiting: Cell::new(false),
            log,
        })
    }

    /// Lets go of the counts of what is not served any more, if there is much of it.
    pub(super) fn tidy(&self, served: &dyn Served) {
        if self.shard.is_crowded() {
            self.shard.forget(served);
        }
    }
}

impl Record {
    /// It is the turn of this backend.
    pub(super) fn asks(&self, app: &CompiledApp, index: usize) {
        if let Some(counts) = &self.app {
            self.backend.replace(Some(counts.backend(index, app.backends[index].name.as_str())));
        }
        if let Some(log) = &self.log {
            log.asked.set(Some(Instant::now()));
        }
    }

    /// The counts of a backend that is asked beside the one that answers.
    pub(super) fn counts(&self, app: &CompiledApp, index: usize) -> Option<Rc<BackendCounts>> {
        self.app.as_ref().map(|counts| counts.backend(index, app.backends[index].name.as_str()))
    }

    /// It is sent again, after this error. The endpoint that had it has it no longer.
    pub(super) fn repeats(&self, error: Option<&Error>) {
        self.occupied.take();
        if let Some(error) = error {
            self.broke_off(error);
        }
        if let Some(backend) = &*self.backend.borrow() {
            backend.retried();
        }
    }

    /// What it asked for is not what it gets: the endpoint that said so has it no longer.
    pub(super) fn goes_elsewhere(&self) {
        self.occupied.take();
    }

    /// It waits for its backend, or does not any more.
    pub(super) fn waits(&self, waiting: bool) {
        self.waiting.set(waiting);
    }

    /// Whether it waits for its backend.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.get()
    }

    /// The head of the backend's answer is there.
    pub(super) fn heard(&self) {
        if let Some(log) = &self.log {
            log.upstream.set(log.asked.get().map(|asked| asked.elapsed()));
        }
    }

    /// An endpoint is busy with it until it is over, and no other one any more.
    pub(super) fn occupies(&self, endpoint: InFlight) {
        self.occupied.set(Some(endpoint));
    }

    /// How long ago it came.
    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Where the bytes of the request's body are counted.
    pub(super) fn received(&self) -> Rc<Cell<u64>> {
        self.received.get_or_init(Rc::default).clone()
    }

    /// Where the bytes of the answer's body are counted.
    pub(super) fn sent(&self) -> &Cell<u64> {
        &self.sent
    }

    /// Whether the request has its slot.
    pub(super) fn has_slot(&self) -> bool {
        self.slot.get().is_some()
    }

    /// Keeps the request's slot, until its answer is out or its tunnel is over.
    pub(super) fn keep(&self, slot: Slot) {
        // A second one is given back.
        let _ = self.slot.set(slot);
    }

    /// There is no answer.
    pub(super) fn failed(&self, cause: &Cause) {
        match cause {
            Cause::Backend(error) => self.broke_off(error),
            Cause::HeldUp(why, _) => self.route.count_held_up(*why),
            _ => {}
        }
    }

    /// Client and backend are joined once the answer is out: this is called then.
    pub(super) fn join(&self, begin: impl FnOnce(Rc<Self>) + 'static) {
        self.tunnel.set(Some(Box::new(begin)));
    }

    /// A tunnel, counted until the guard is dropped.
    pub(super) fn tunnelled(&self) -> Tunnelled {
        self.shard.tunnelled()
    }

    /// The answer: from here on its body, or its tunnel, holds the record.
    pub(super) fn answered(self: Rc<Self>, answer: Response<ResponseBody>) -> Response<AnswerBody> {
        self.status.set(answer.status().as_u16());
        let record = match self.tunnel.take() {
            None => Some(self),
            Some(begin) => {
                self.joined.set(Some(Instant::now()));
                begin(self);
                None
            }
        };
        answer.map(|body| AnswerBody { body, record })
    }

    fn broke_off(&self, error: &Error) {
        if let (Some(backend), Some(fault)) = (&*self.backend.borrow(), fault(error)) {
            backend.count(fault);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let now = Instant::now();
        let (received, sent) = (self.received.get().map_or(0, |received| received.get()), self.sent.get());
        self.route.count(self.status.get(), self.joined.get().unwrap_or(now) - self.began, received, sent);
        let Some(Log { mut access, sink, upstream, .. }) = self.log.take() else { return };
        access.time = SystemTime::now();
        (access.status, access.received, access.sent) = (self.status.get(), received, sent);
        (access.took, access.upstream) = (now - self.began, upstream.get());
        if self.app.is_some() {
            access.name(Part::App, self.route.app());
            access.name(Part::Rule, self.route.rule());
        }
        if let Some(backend) = self.backend.get_mut() {
            access.name(Part::Backend, backend.name());
        }
        sink(access);
    }
}

impl AnswerBody {
    /// Lets a file's bytes be stood in for ([`ResponseBody::stand_in`]): here they are counted, and that is all.
    pub fn stand_in(&mut self, stand_ins: &StandIns) {
        self.body.stand_in(stand_ins);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(record) = &self.record {
            match &frame {
                Some(Ok(frame)) => record.sent.set(record.sent.get() + frame.data_ref().map_or(0, |data| data.len() as u64)),
                Some(Err(error)) => record.broke_off(error),
                None => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What the backend did wrong; none: the fault is the client's, or ours.
pub(super) fn fault(error: &Error) -> Option<Fault> {
    match error {
        Error::Unavailable => Some(Fault::Unavailable),
        Error::Connect(error) => Some(match error {
            dial::Error::NotFound(_) | dial::Error::NotASocket(_) => Fault::SocketNotFound,
            dial::Error::Refused(_) => Fault::ConnectRefused,
            dial::Error::PermissionDenied(_) => Fault::PermissionDenied,
            dial::Error::TimedOut(_) => Fault::ConnectTimeout,
            dial::Error::Io(..) => Fault::ConnectFailed,
        }),
        Error::Timeout(Phase::Connect) => Some(Fault::ConnectTimeout),
        Error::Timeout(Phase::Backend) => Some(Fault::IdleTimeout),
        Error::Timeout(Phase::Request) => Some(Fault::RequestTimeout),
        Error::Closed(_) | Error::Refused => Some(Fault::Closed),
        Error::Protocol(_) | Error::Http(_) => Some(Fault::Protocol),
        Error::Timeout(Phase::Client | Phase::Files) | Error::BodyTooLarge(_) | Error::Downstream(_) | Error::File(_) | Error::Local(_) => {
            None
        }
    }
}
