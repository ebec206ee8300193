//! One connection that speaks HTTP/2, and the places on it.
//!
//! In: a connected stream, requests. Out: hyper's responses, or why there is none and whether the request may be sent again. Never: a task that
//! outlives the connection's last user.

use std::cell::{Cell, OnceCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::failure::translate;
use super::upload::{Progress, Upload};
use super::wire::Wire;
use crate::backend::silence::Silence;
use crate::backend::{Error, Phase, RequestBody};
use crate::dial;
use crate::metrics::Gauge;

/// What hyper may hold of an answer's head.
const BUFFER: u32 = 128 * 1024;
/// Requests at once on a connection; fewer if the backend says so.
pub(super) const STREAMS: usize = 100;
/// What a backend may send of one answer before the client has taken it.
const WINDOW: u32 = 128 * 1024;
/// The same for all answers of a connection: clients that are slow never hold up one that is not.
const WINDOWS: u32 = WINDOW * 100;
/// Streams that were broken off are remembered so long, and so many, as a backend may go on sending on them.
const REMEMBERED: (Duration, usize) = (Duration::from_secs(10), 1024);

/// A connection. It is closed when the pool and the last request on it have let go of it.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Upload>,
    streams: Cell<usize>,
    /// Requests at once that the backend allows.
    limit: Rc<Cell<usize>>,
    /// An answer has come over it.
    old: Cell<bool>,
    /// A request has gone over it.
    used: Cell<bool>,
    /// No new request goes over it.
    retired: Cell<bool>,
    idle_since: Cell<Instant>,
    /// Where idle connections are counted.
    idle: Gauge,
    /// Sees to it that `limit` is looked at again.
    look: Rc<Notify>,
    dispatch: AbortHandle,
    connection: Tasks,
}

/// A place on a connection, taken by one request until the end of its answer.
#[derive(Debug)]
pub(in crate::backend::http) struct Stream {
    link: Rc<Link>,
    /// No other request went over the connection before.
    first: bool,
    pub(super) silence: Silence,
    pub(super) progress: Rc<Progress>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing of the request was sent: here is its body.
    Unsent(RequestBody),
    /// The backend says that it has not worked on the request.
    Refused,
    /// The connection ended before the answer; the request may have been worked on.
    Dead(Error),
    /// Anything else.
    Final(Error),
}

/// Runs hyper's tasks on this thread, and remembers the first: the connection itself, which the others end with.
#[derive(Debug, Clone, Default)]
struct Tasks(Rc<OnceCell<AbortHandle>>);

impl<F: Future<Output: 'static> + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        let task = tokio::task::spawn_local(future);
        self.0.get_or_init(|| task.abort_handle());
    }
}

impl Link {
    /// Begins to speak. `limit`: what is known of how many requests at once the backend allows; it is kept up to date.
    pub(super) async fn open(stream: dial::Stream, limit: Rc<Cell<usize>>, idle: Gauge) -> Result<Rc<Self>, Error> {
        let tasks = Tasks::default();
        let mut builder = Builder::new(tasks.clone());
        builder
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOWS)
            .max_header_list_size(BUFFER)
            .initial_max_send_streams(limit.get())
            .reset_stream_duration(REMEMBERED.0)
            .max_concurrent_reset_streams(REMEMBERED.1);
        let (sender, connection) = builder.handshake(TokioIo::new(Wire(stream))).await.map_err(Error::Http)?;
        let look = Rc::new(Notify::new());
        let dispatch = tokio::task::spawn_local(dispatch(connection, limit.clone(), look.clone()));
        Ok(Rc::new(Self {
            sender,
            streams: Cell::new(0),
            limit,
            old: Cell::new(false),
            used: Cell::new(false),
            retired: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
            idle,
            look,
            dispatch: dispatch.abort_handle(),
            connection: tasks,
        }))
    }

    /// A place on it. The caller sees to it that there is one.
    pub(super) fn stream(self: &Rc<Self>) -> Stream {
        if self.is_counted() {
            self.idle.fall();
        }
        self.streams.set(self.streams.get() + 1);
        let first = !self.used.replace(true);
        Stream { link: self.clone(), first, silence: Silence::default(), progress: Rc::default() }
    }

    /// Whether a request may be sent over it now.
    pub(super) fn has_place(&self) -> bool {
        self.streams.get() < self.limit.get()
    }

    /// Whether it is of use to any further request.
    pub(super) fn is_open(&self) -> bool {
        !self.retired.get() && !self.sender.is_closed()
    }

    /// Whether it is counted among the idle ones.
    pub(super) fn is_counted(&self) -> bool {
        self.streams.get() == 0 && self.old.get()
    }

    /// Since when nobody has used it; none: somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.streams.get() == 0).then(|| self.idle_since.get())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.is_counted() {
            self.idle.fall();
        }
        self.dispatch.abort();
        if let Some(task) = self.connection.0.get() {
            task.abort();
        }
    }
}

impl Stream {
    /// Sends a request and waits for the head of its answer. Dropping the future resets the stream.
    pub(super) async fn exchange(&mut self, request: Request<RequestBody>, idle: Option<Duration>) -> Result<Response<Incoming>, Failure> {
        self.silence.limit(idle);
        let progress = self.progress.clone();
        let mut sender = self.link.sender.clone();
        let mut response = pin!(sender.try_send_request(request.map(|body| Upload { body, progress })));
        let answer = poll_fn(|cx| match response.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => poll_silent(&mut self.silence, &self.progress, cx).map(|()| None),
        });
        match answer.await {
            Some(Ok(response)) => {
                if !self.link.old.replace(true) {
                    // The backend's settings came before its first answer.
                    self.link.look.notify_one();
                }
                self.silence.broken();
                Ok(response)
            }
            Some(Err(mut error)) => {
                let unsent = error.take_message();
                let error = translate(error.into_error(), &self.progress);
                Err(self.failed(unsent, error))
            }
            None => {
                self.retire();
                Err(Failure::Final(Error::Timeout(Phase::Backend)))
            }
        }
    }

    /// Whether the connection had been in use before: its end may have nothing to do with this request.
    pub(super) fn is_old(&self) -> bool {
        !self.first || self.link.old.get()
    }

    /// No further request goes over the connection: it may lead nowhere. Those that it has go on.
    pub(super) fn retire(&self) {
        self.link.retired.set(true);
    }

    fn failed(&self, unsent: Option<Request<Upload>>, error: Error) -> Failure {
        let failure = match (unsent, error) {
            (Some(request), _) => Failure::Unsent(into_request_body(request.into_body())),
            (None, Error::Refused) => Failure::Refused,
            (None, error @ Error::Closed(_)) => Failure::Dead(error),
            (None, error) => return Failure::Final(error),
        };
        self.retire();
        failure
    }
}

/// Hands requests to the connection until it ends, and keeps what is known of its limit up to date.
async fn dispatch(connection: Connection<TokioIo<Wire>, Upload, Tasks>, limit: Rc<Cell<usize>>, look: Rc<Notify>) {
    let mut connection = pin!(connection);
    let mut look = pin!(look.notified());
    poll_fn(|cx| {
        // Once is enough: later it is looked at with each request.
        let _ = look.as_mut().poll(cx);
        // Each request learns by itself how the connection has ended.
        let ended = connection.as_mut().poll(cx).map(drop);
        limit.set(connection.current_max_send_streams().clamp(1, STREAMS));
        ended
    })
    .await;
}

impl Drop for Stream {
    fn drop(&mut self) {
        let link = &self.link;
        link.streams.set(link.streams.get() - 1);
        link.idle_since.set(Instant::now());
        if link.is_counted() {
            link.idle.rise();
        }
    }
}

fn into_request_body(mut upload: Upload) -> RequestBody {
    // `Upload` has a drop of its own, so its body is swapped out, not moved.
    std::mem::replace(&mut upload.body, RequestBody::empty())
}

/// Ready once neither side of a backend has moved for too long.
pub(super) fn poll_silent(silence: &mut Silence, progress: &Progress, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        ready!(silence.poll_over(cx));
        if progress.awaits_client.get() {
            silence.broken();
        } else if !progress.moved.get().is_some_and(|moved| silence.broken_at(moved)) {
            return Poll::Ready(());
        }
    }
}
