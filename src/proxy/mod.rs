//! The path of a request: load the snapshot once -> match -> filters -> files -> backend -> rescue.
//!
//! In: a request and who sent it. Out: always a response. Never: a lock, another thread, an answer of an App that was not matched.

mod filter;
mod forward;
mod head;
mod hop;
mod id;
mod peer;
mod pick;
mod rescue;
mod values;

use std::cell::RefCell;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::backend::files::{self, Found};
use crate::backend::{Error, Phase, ResponseBody, fastcgi, http as http_backend};
use crate::route::{self, CompiledApp, Files, Match, Protocol, Rule};
use crate::snapshot::{Cached, Reader};
use forward::Forward;
use head::Head;
use id::RequestIds;
pub use peer::Peer;
use rescue::{Cause, Failure};

/// The serving plane of one thread.
#[derive(Debug)]
pub struct Proxy {
    snapshot: RefCell<Cached>,
    http: http_backend::Pool,
    fastcgi: fastcgi::Pool,
    ids: RequestIds,
    dice: pick::Dice,
}

impl Proxy {
    /// A proxy for the calling thread.
    #[must_use]
    pub fn new(reader: &Reader) -> Self {
        Self {
            snapshot: RefCell::new(reader.cached()),
            http: http_backend::Pool::default(),
            fastcgi: fastcgi::Pool::default(),
            ids: RequestIds::new(),
            dice: pick::Dice::new(),
        }
    }

    /// Looks at the newest snapshot, so that an idle thread does not hold an old one.
    pub fn refresh(&self) {
        self.snapshot.borrow_mut().load();
    }

    /// Answers a request.
    pub async fn answer(&self, mut request: Request<Incoming>, peer: &Peer) -> Response<ResponseBody> {
        let id = self.ids.next();
        let client = hop::wants_upgrade(&request).then(|| hyper::upgrade::on(&mut request));
        let answer = match self.find(&request, peer) {
            Err(cause) => Err(Failure { app: None, cause }),
            Ok((head, found)) => {
                let forward = Forward::new(&head, request, client, peer, id);
                let answer = self.serve(&found, forward).await;
                answer.map_err(|cause| Failure { app: Some(found.app), cause })
            }
        };
        answer.unwrap_or_else(|failure| rescue::answer(&failure, id))
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
        let backend = &app.backends[index];
        let address = backend.address.as_ref().ok_or(Cause::Backend(Error::Unavailable))?;
        let body = forward.take_body(rule)?;
        match &backend.protocol {
            Protocol::Http(settings) => {
                let (request, client) = forward.into_http(settings, body)?;
                let call = http_backend::Call { address, timeouts: rule.timeouts, keep: backend.keep };
                let answer = self.http.send(call, request).await.map_err(Cause::Backend)?;
                hop::upgraded(answer, client, app, rule.timeouts.idle)
            }
            Protocol::Fastcgi(settings) => {
                let id = forward.values().id.to_string();
                let request = forward.fastcgi(&id);
                let call = fastcgi::Call { app, backend: index, settings, request, body, timeouts: rule.timeouts };
                self.fastcgi.exchange(call).await.map_err(Cause::Backend)
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
