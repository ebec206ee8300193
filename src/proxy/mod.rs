//! The path of a request: load the snapshot once -> match -> filters -> files -> backend -> rescue.
//!
//! In: a request and who sent it. Out: always a response. Never: a lock, another thread, an answer of an App that was not matched.

mod access;
mod attempt;
mod balance;
mod coding;
mod errand;
mod fields;
mod filter;
mod forward;
mod head;
mod hold;
mod hop;
mod id;
mod listing;
mod offload;
mod page;
mod peer;
mod pick;
mod record;
mod redirect;
mod rescue;
mod retry;
mod session;
mod text;
mod trust;
mod values;
mod verdicts;
mod weighted;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::backend::files::{self, Found};
use crate::backend::{Error, Phase, ResponseBody, fastcgi, http as http_backend};
use crate::metrics::Shard;
use crate::route::{self, CompiledApp, Files, Match, Rule};
use crate::snapshot::{Cached, Reader};
pub use access::{Access, Part, Sink};
use fields::Seen;
use filter::{Chain, Mirrors, Rests};
use forward::Forward;
use head::Head;
use hold::Holds;
pub use id::RequestId;
use id::RequestIds;
use page::Asked;
pub use peer::{Downstream, Peer};
pub use record::AnswerBody;
use record::Recorder;
use rescue::Cause;
pub use trust::Via;
use verdicts::Verdicts;
pub use verdicts::Verifier;

/// The serving plane of one thread.
pub struct Proxy {
    snapshot: RefCell<Cached>,
    http: http_backend::Pool,
    fastcgi: fastcgi::Pool,
    ids: RequestIds,
    dice: pick::Dice,
    turns: balance::Turns,
    mirrors: Mirrors,
    /// Answers that are read to their end for the sake of their connections.
    leftovers: Mirrors,
    verdicts: Verdicts,
    holds: Holds,
    recorder: Recorder,
}

impl Proxy {
    /// A proxy for the calling thread, which counts in its shard. `log`: where every request goes when it is over. `verifier`: checks
    /// passwords for all threads.
    #[must_use]
    pub fn new(reader: &Reader, shard: Rc<Shard>, log: Option<Sink>, verifier: Verifier) -> Self {
        Self {
            snapshot: RefCell::new(reader.cached()),
            http: http_backend::Pool::counted(shard.idle_http()),
            fastcgi: fastcgi::Pool::counted(shard.clone()),
            ids: RequestIds::new(),
            dice: pick::Dice::new(),
            turns: balance::Turns::new(),
            mirrors: Mirrors::default(),
            leftovers: Mirrors::default(),
            verdicts: Verdicts::new(verifier),
            holds: Holds::new(reader.clone(), shard.held()),
            recorder: Recorder::new(shard, log),
        }
    }

    /// Looks at the newest snapshot, so that an idle thread does not hold an old one.
    pub fn refresh(&self) {
        self.recorder.tidy(&**self.snapshot.borrow_mut().load());
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Response<AnswerBody> {
        match self.begin(request, peer) {
            Err(answer) => *answer,
            Ok((found, forward)) => {
                let record = forward.record().clone();
                let answer = self.serve(&found, forward).await;
                record.answered(answer)
            }
        }
    }

    /// A request on its way, and the rule that it has to follow; or the answer, if there is one already. The request is in one place from
    /// here on: the steps hand it on, and each would copy it twice.
    fn begin<'a>(&self, mut request: Request<Incoming>, peer: &'a Peer) -> Result<(Match, Box<Forward<'a>>), Box<Response<AnswerBody>>> {
        if request.uri().path() == "*" {
            return Err(Box::new(self.about(&request, peer)));
        }
        let (began, id, seen) = (std::time::Instant::now(), self.ids.next(), Seen::of(request.headers()));
        let client = hop::wants_upgrade(&request, seen).then(|| hyper::upgrade::on(&mut request));
        let found = self.find(&request, seen, peer);
        let record = self.recorder.begin(began, (&request, seen), peer, id, found.as_ref().ok().map(|(_, found)| found));
        match found {
            Ok((head, found)) => Ok((found, Box::new(Forward::new(head, request, client, peer, id, record)))),
            Err(cause) => {
                let answer = rescue::answer_of_ours(&cause, &Asked::by(id, seen, request.headers()));
                Err(Box::new(record.answered(answer)))
            }
        }
    }

    /// Answers what the server did not let through. `line`: the request line, as far as it came. It is counted and logged like any other.
    pub fn refuse(&self, status: StatusCode, why: String, line: &[u8], peer: &Peer) -> Response<AnswerBody> {
        let id = self.ids.next();
        let record = self.recorder.begin_refused(std::time::Instant::now(), line, peer, id);
        record.answered(rescue::answer_of_ours(&Cause::Refused(status, why), &Asked::by(id, Seen::default(), &HeaderMap::new())))
    }

    /// `OPTIONS *` is about the server as a whole (RFC 9110 section 9.3.7): no App is asked.
    fn about(&self, request: &Request<Incoming>, peer: &Peer) -> Response<AnswerBody> {
        let seen = Seen::of(request.headers());
        let record = self.recorder.begin(std::time::Instant::now(), (request, seen), peer, self.ids.next(), None);
        let mut answer = Response::new(ResponseBody::Empty);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        record.answered(answer)
    }

    /// Head, then route. The snapshot is loaded here, and nowhere else.
    fn find(&self, request: &Request<Incoming>, seen: Seen, peer: &Peer) -> Result<(Head, Match), Cause> {
        let head = Head::read(request, seen)?;
        let wanted = route::Request {
            host: &head.host,
            path: &head.path,
            query: request.uri().query(),
            method: request.method(),
            headers: request.headers(),
        };
        let found = self.snapshot.borrow_mut().load().listeners.find(peer.socket, &wanted).map_err(Cause::NoRoute)?;
        Ok((head, found))
    }

    /// An answer, or the one that says why there is none; filters see both.
    async fn serve(&self, found: &Match, forward: Box<Forward<'_>>) -> Response<ResponseBody> {
        let record = forward.record().clone();
        let asked = Asked::by(forward.values().id, forward.seen(), forward.headers());
        let mut rest = Rests::default();
        let answer = match found.rule().timeouts.request {
            None => self.steps(found, forward, &mut rest).await,
            // Boxed, so that requests without a limit have no room for it.
            Some(limit) => Box::pin(self.within(limit, found, forward, &mut rest)).await,
        };
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(cause) => {
                record.failed(&cause);
                // Boxed, so that those that succeed have no room for it.
                Box::pin(rescue::answer(&found.app, &cause, &asked)).await
            }
        };
        filter::answer(rest, &mut answer);
        answer
    }

    /// Inside the rule's time limit.
    async fn within<'f>(
        &self,
        limit: Duration,
        found: &'f Match,
        forward: Box<Forward<'f>>,
        rest: &mut Rests<'f>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let (record, deadline) = (forward.record().clone(), Instant::now() + limit);
        match tokio::time::timeout_at(deadline, self.steps(found, forward, rest)).await {
            Ok(answer) => answer.map(|answer| answer.map(|body| body.until(deadline))),
            // The backend is not late, it is not there.
            Err(_) if record.is_waiting() => Err(Cause::Backend(Error::Unavailable)),
            Err(_) => Err(Cause::Backend(Error::Timeout(Phase::Request))),
        }
    }

    /// Filters, files, backend. `rest`: what filters have to do with the answer.
    async fn steps<'f>(
        &self,
        found: &'f Match,
        mut forward: Box<Forward<'f>>,
        rest: &mut Rests<'f>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let (app, rule) = (&found.app, found.rule());
        session::recall(rule, &mut forward);
        let chain = Chain { proxy: self, app, prefix: found.prefix_len(), timeouts: rule.timeouts };
        if let Some(answer) = chain.request(&rule.filters, &mut forward, rest).await? {
            return Ok(answer);
        }
        match self.files(app, rule, &forward).await? {
            Some((files, Found::File(file))) if forward.is_read() => {
                let answer = files::respond(file, files, forward.method(), forward.headers()).map_err(Cause::Backend)?;
                Ok(redirect::typed(answer, &forward))
            }
            Some((files, Found::Listing(directory))) if forward.is_read() => {
                // Boxed, so that others have no room for it.
                Box::pin(listing::show(app, files, directory, &forward, found.prefix_len())).await
            }
            Some((_, Found::File(_) | Found::Listing(_))) if rule.backends.is_empty() => Err(Cause::ReadOnly),
            Some((files, Found::Script { script, name, path_info })) => {
                forward.run(name, path_info, files);
                self.ask(app, rule, files.scripts[script].backend, forward).await
            }
            Some((_, Found::Directory)) if forward.is_read() || rule.backends.is_empty() => forward.to_directory(),
            Some((_, Found::Special)) => Err(Cause::NoFile),
            _ => match session::share(app, rule, &forward).or_else(|| pick::share(&rule.backends, &self.dice)) {
                Some(share) => match chain.request(&share.filters, &mut forward, rest).await? {
                    Some(answer) => Ok(answer),
                    None => self.ask(app, rule, share.backend, forward).await,
                },
                None if rule.files.is_some() => Err(Cause::NoFile),
                None => Err(Cause::NoBackend),
            },
        }
    }

    /// What the rule's files have for the request; `None`: the rule has none. While there is no container, a rule with scripts waits as its
    /// backend would.
    async fn files<'r>(&self, app: &CompiledApp, rule: &'r Rule, forward: &Forward<'_>) -> Result<Option<(&'r Arc<Files>, Found)>, Cause> {
        let found = try_files(app, rule, forward).await;
        let Err(Cause::Backend(Error::Unavailable)) = found else { return found };
        let mut scripts = rule.files.iter().flat_map(|files| &files.scripts);
        let held = scripts.find_map(|script| Some((script.backend, app.backends[script.backend].hold?)));
        let Some((backend, limit)) = held else { return found };
        let back = self.holds.wait(app, backend, Duration::ZERO, Instant::now() + limit, forward.record()).await;
        try_files(&back.map_err(|lost| lost.cause(Error::Unavailable))?.app, rule, forward).await
    }
}

/// The same, of this moment.
async fn try_files<'r>(app: &CompiledApp, rule: &'r Rule, forward: &Forward<'_>) -> Result<Option<(&'r Arc<Files>, Found)>, Cause> {
    let Some(files) = &rule.files else { return Ok(None) };
    let root = app.root.as_ref().ok_or(Cause::Backend(Error::Unavailable))?;
    let values = forward.values();
    let candidates = files.candidates.iter().map(|template| values.candidate(template));
    let codings = coding::accepted(forward.headers(), &files.precompressed).codings;
    let found = files::look_up(root, files, candidates, codings).await.map_err(Cause::Backend)?;
    Ok(Some((files, found)))
}
