//! The path of a request: load the snapshot once -> match -> filters -> files -> backend -> rescue.
//!
//! In: a request and who sent it. Out: always a response. Never: a lock, another thread, an answer of an App that was not matched.

mod access;
mod attempt;
mod balance;
mod filter;
mod forward;
mod head;
mod hop;
mod id;
mod peer;
mod pick;
mod record;
mod rescue;
mod trust;
mod values;

use std::cell::RefCell;
use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::backend::files::{self, Found};
use crate::backend::{Error, Phase, ResponseBody, fastcgi, http as http_backend};
use crate::metrics::Shard;
use crate::route::{self, CompiledApp, Files, Match, Rule};
use crate::snapshot::{Cached, Reader};
pub use access::{Access, Sink};
use filter::{Chain, Rest};
use forward::Forward;
use head::Head;
pub use id::RequestId;
use id::RequestIds;
pub use peer::Peer;
pub use record::AnswerBody;
use record::Recorder;
use rescue::Cause;
pub use trust::Via;

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
        let (began, id) = (std::time::Instant::now(), self.ids.next());
        let client = hop::wants_upgrade(&request).then(|| hyper::upgrade::on(&mut request));
        let found = self.find(&request, peer);
        let record = self.recorder.begin(began, &request, peer, id, found.as_ref().ok().map(|(_, found)| found));
        let answer = match found {
            Err(cause) => rescue::answer(None, &cause, id),
            Ok((head, found)) => {
                let forward = Forward::new(&head, request, client, peer, id, &record);
                self.serve(&found, forward).await
            }
        };
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

    /// An answer, or the one that says why there is none; filters see both.
    async fn serve(&self, found: &Match, forward: Forward<'_>) -> Response<ResponseBody> {
        let (values, record) = (forward.values().clone(), forward.record());
        let mut rest = Vec::new();
        let answer = self.within_limit(found, forward, &mut rest).await;
        let mut answer = answer.unwrap_or_else(|cause| {
            record.failed(&cause);
            rescue::answer(Some(&found.app), &cause, values.id)
        });
        filter::answer(rest, &mut answer, &values);
        answer
    }

    /// Inside the rule's time limit.
    async fn within_limit<'f>(
        &self,
        found: &'f Match,
        forward: Forward<'_>,
        rest: &mut Vec<Rest<'f>>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let steps = self.steps(found, forward, rest);
        let Some(limit) = found.rule().timeouts.request else { return steps.await };
        let deadline = Instant::now() + limit;
        match tokio::time::timeout_at(deadline, steps).await {
            Ok(answer) => answer.map(|answer| answer.map(|body| body.until(deadline))),
            Err(_) => Err(Cause::Backend(Error::Timeout(Phase::Request))),
        }
    }

    /// Filters, files, backend. `rest`: what filters have to do with the answer.
    async fn steps<'f>(
        &self,
        found: &'f Match,
        mut forward: Forward<'_>,
        rest: &mut Vec<Rest<'f>>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let (app, rule) = (&found.app, found.rule());
        let chain = Chain { proxy: self, app, prefix: found.prefix_len() };
        if let Some(answer) = chain.request(&rule.filters, &mut forward, rest).await? {
            return Ok(answer);
        }
        match try_files(app, rule, &forward)? {
            Some((files, Found::File(file))) if forward.is_read() || rule.backends.is_empty() => {
                files::respond(file, files, forward.method(), forward.headers()).map_err(Cause::Backend)
            }
            Some((files, Found::Script { script, name, path_info })) => {
                forward.run(name, path_info, files);
                self.exchange(app, rule, files.scripts[script].backend, forward).await
            }
            Some((_, Found::Directory)) if forward.is_read() || rule.backends.is_empty() => forward.to_directory(),
            Some((_, Found::Special)) => Err(Cause::NoFile),
            _ => match pick::share(&rule.backends, &self.dice) {
                Some(share) => match chain.request(&share.filters, &mut forward, rest).await? {
                    Some(answer) => Ok(answer),
                    None => self.exchange(app, rule, share.backend, forward).await,
                },
                None if rule.files.is_some() => Err(Cause::NoFile),
                None => Err(Cause::NoBackend),
            },
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
