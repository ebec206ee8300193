//! The path of a request: load the snapshot once -> match -> filters -> files -> backend -> rescue.
//!
//! In: a request and who sent it. Out: always a response. Never: a lock, another thread, an answer of an App that was not matched.

mod access;
mod filter;
mod forward;
mod head;
mod hop;
mod id;
mod peer;
mod pick;
mod record;
mod rescue;
mod values;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::header::ALLOW;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::backend::files::{self, Found};
use crate::backend::{Error, Phase, ResponseBody, fastcgi, http as http_backend};
use crate::metrics::Shard;
use crate::route::{self, CompiledApp, Files, Match, Protocol, Rule};
use crate::snapshot::{Cached, Reader};
pub use access::{Access, Sink};
use forward::Forward;
use head::Head;
pub use id::RequestId;
use id::RequestIds;
pub use peer::Peer;
pub use record::AnswerBody;
use record::Recorder;
use rescue::{Cause, Failure};

/// The serving plane of one thread.
pub struct Proxy {
    snapshot: RefCell<Cached>,
    http: http_backend::Pool,
    fastcgi: fastcgi::Pool,
    ids: RequestIds,
    dice: pick::Dice,
    recorder: Recorder,
}

impl Proxy {
    /// A proxy for the calling thread, which counts in its shard. `log`: where every request goes when it is over.
    #[must_use]
    pub fn new(reader: &Reader, shard: Rc<Shard>, log: Option<Sink>) -> Self {
        Self {
            snapshot: RefCell::new(reader.cached()),
            http: http_backend::Pool::counted(shard.idle_http()),
            fastcgi: fastcgi::Pool::counted(shard.idle_fastcgi()),
            ids: RequestIds::new(),
            dice: pick::Dice::new(),
            recorder: Recorder::new(shard, log),
        }
    }

    /// Looks at the newest snapshot, so that an idle thread does not hold an old one.
    pub fn refresh(&self) {
        self.recorder.tidy(&**self.snapshot.borrow_mut().load());
    }

    /// Answers a request.
    pub async fn answer(&self, mut request: Request<Incoming>, peer: &Peer) -> Response<AnswerBody> {
        if request.uri().path() == "*" {
            return self.about(&request, peer);
        }
        let (began, id) = (std::time::Instant::now(), self.ids.next());
        let client = hop::wants_upgrade(&request).then(|| hyper::upgrade::on(&mut request));
        let found = self.find(&request, peer);
        let record = self.recorder.begin(began, &request, peer, id, found.as_ref().ok().map(|(_, found)| found));
        let answer = match found {
            Err(cause) => Err(Failure { app: None, cause }),
            Ok((head, found)) => {
                let forward = Forward::new(&head, request, client, peer, id, &record);
                let answer = self.serve(&found, forward).await;
                answer.map_err(|cause| Failure { app: Some(found.app), cause })
            }
        };
        let answer = answer.unwrap_or_else(|failure| {
            record.failed(&failure.cause);
            rescue::answer(&failure, id)
        });
        record.answered(answer)
    }

    /// Answers what the server did not let through. `line`: the request line, as far as it came. It is counted and logged like any other.
    pub fn refuse(&self, status: StatusCode, why: String, line: &[u8], peer: &Peer) -> Response<AnswerBody> {
        let id = self.ids.next();
        let record = self.recorder.begin_refused(std::time::Instant::now(), line, peer, id);
        record.answered(rescue::answer(&Failure { app: None, cause: Cause::Refused(status, why) }, id))
    }

    /// `OPTIONS *` is about the server as a whole (RFC 9110 section 9.3.7): no App is asked.
    fn about(&self, request: &Request<Incoming>, peer: &Peer) -> Response<AnswerBody> {
        let record = self.recorder.begin(std::time::Instant::now(), request, peer, self.ids.next(), None);
        let mut answer = Response::new(ResponseBody::Empty);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        record.answered(answer)
    }

    /// Head, then route. The snapshot is loaded here, and nowhere else.
    fn find(&self, request: &Request<Incoming>, peer: &Peer) -> Result<(Head, Match), Cause> {
        let head = Head::read(request)?;
        let wanted = route::Request {
            host: head.host(),
            path: head.path(),
            query: request.uri().query(),
            method: request.method(),
            headers: request.headers(),
        };
        let found = self.snapshot.borrow_mut().load().listeners.find(peer.socket, &wanted).map_err(Cause::NoRoute)?;
        Ok((head, found))
    }

    /// Inside the rule's time limit.
    async fn serve(&self, found: &Match, forward: Forward<'_>) -> Result<Response<ResponseBody>, Cause> {
        let steps = self.steps(found, forward);
        let Some(limit) = found.rule().timeouts.request else { return steps.await };
        let deadline = Instant::now() + limit;
        match tokio::time::timeout_at(deadline, steps).await {
            Ok(answer) => answer.map(|answer| answer.map(|body| body.until(deadline))),
            Err(_) => Err(Cause::Backend(Error::Timeout(Phase::Request))),
        }
    }

    /// Filters, files, backend.
    async fn steps(&self, found: &Match, mut forward: Forward<'_>) -> Result<Response<ResponseBody>, Cause> {
        let (app, rule) = (&found.app, found.rule());
        if let Some(redirect) = filter::request(&rule.filters, found.prefix_len(), &mut forward) {
            return redirect;
        }
        let values = forward.values().clone();
        let mut answer = match try_files(app, rule, &forward)? {
            Some((files, Found::File(file))) if forward.is_read() || rule.backends.is_empty() => {
                files::respond(file, files, forward.method(), forward.headers()).map_err(Cause::Backend)?
            }
            Some((files, Found::Script { script, name, path_info })) => {
                forward.run(name, path_info, files);
                self.exchange(app, rule, files.scripts[script].backend, forward).await?
            }
            Some((_, Found::Directory)) if forward.is_read() || rule.backends.is_empty() => forward.to_directory()?,
            Some((_, Found::Special)) => return Err(Cause::NoFile),
            _ => match pick::share(&rule.backends, &self.dice) {
                Some(share) => {
                    if let Some(redirect) = filter::request(&share.filters, found.prefix_len(), &mut forward) {
                        return redirect;
                    }
                    let mut answer = self.exchange(app, rule, share.backend, forward).await?;
                    filter::response(&share.filters, &mut answer, &values);
                    answer
                }
                None if rule.files.is_some() => return Err(Cause::NoFile),
                None => return Err(Cause::NoBackend),
            },
        };
        filter::response(&rule.filters, &mut answer, &values);
        Ok(answer)
    }

    /// Sends the request to a backend.
    async fn exchange(
        &self,
        app: &Arc<CompiledApp>,
        rule: &Rule,
        index: usize,
        mut forward: Forward<'_>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let (backend, record) = (&app.backends[index], forward.record());
        record.asks(app, index);
        let address = backend.address.as_ref().ok_or(Cause::Backend(Error::Unavailable))?;
        let body = forward.take_body(rule)?;
        match &backend.protocol {
            Protocol::Http(settings) => {
                let (request, client) = forward.into_http(settings, body)?;
                let call = http_backend::Call { address, timeouts: rule.timeouts, keep: backend.keep };
                let answer = self.http.send(call, request).await.map_err(Cause::Backend)?;
                record.heard();
                hop::upgraded(answer, client, app, rule.timeouts.idle, record)
            }
            Protocol::Fastcgi(settings) => {
                let id = forward.values().id.to_string();
                let request = forward.fastcgi(&id);
                let call = fastcgi::Call { app, backend: index, settings, request, body, timeouts: rule.timeouts };
                let answer = self.fastcgi.exchange(call).await.map_err(Cause::Backend)?;
                record.heard();
                Ok(answer)
            }
        }
    }
}

/// What the rule's files have for the request; `None`: the rule has none.
fn try_files<'r>(app: &CompiledApp, rule: &'r Rule, forward: &Forward<'_>) -> Result<Option<(&'r Files, Found)>, Cause> {
    let Some(files) = &rule.files else { return Ok(None) };
    let root = app.root.as_deref().ok_or(Cause::Backend(Error::Unavailable))?;
    let values = forward.values();
    let candidates = files.candidates.iter().map(|template| values.candidate(template));
    let found = files::look_up(root, files, candidates).map_err(Cause::Backend)?;
    Ok(Some((files, found)))
}
