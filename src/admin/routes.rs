//! An admin request -> its answer.
//!
//! In: method, path and query. Out: objects, their changes, health, readiness, metrics, and what else there is to ask. Never: a method that
//! changes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::answer::{Answer, Failure, JSON, json, response, stream, text};
use super::discovery::{ApiGroup, ApiGroupList, ApiResourceList, Info};
use super::metrics::MetricsText;
use super::objects::{Collection, Kind};
use super::openapi;
use super::paths::{Door, Target, target};
use super::query::{Query, Selection, Watch, refuse_all};
use super::watch::Watcher;
use super::{KEEP_ALIVE, backends};
use crate::api::v1::{API_VERSION, List, ListMetadata};
use crate::snapshot::{Reader, Snapshot};

/// How long a question about objects waits for the first snapshot. A daemon that starts has one within some seconds.
const FIRST: Duration = Duration::from_secs(10);

/// What answers are made from.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) reader: Reader,
    pub(super) metrics: MetricsText,
    /// True: the daemon stops, and watches end.
    pub(super) stopped: watch::Receiver<bool>,
    /// The places for watches.
    pub(super) watches: Arc<Semaphore>,
}

impl Desk {
    /// Answers one request.
    pub(super) async fn answer<B>(self, request: Request<B>, door: Door) -> Response<Answer> {
        let (head, _) = request.into_parts();
        self.try_answer(&head, door).await.unwrap_or_else(Failure::response)
    }

    async fn try_answer(&self, request: &Parts, door: Door) -> Result<Response<Answer>, Failure> {
        let target = target(request.uri.path(), door)?;
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Err(Failure::method_not_allowed(&request.method));
        }
        let query = request.uri.query().unwrap_or_default();
        if !matches!(target, Target::List(_)) {
            refuse_all(query).map_err(Failure::bad_request)?;
        }
        match target {
            Target::Health => Ok(text(StatusCode::OK, "ok")),
            Target::Readiness if self.reader.load().revision > 0 => Ok(text(StatusCode::OK, "ok")),
            Target::Readiness => Ok(text(StatusCode::SERVICE_UNAVAILABLE, "no snapshot is being served yet")),
            Target::Metrics => Ok(self.metrics.answer(&request.headers)),
            Target::OpenApi => Ok(response(StatusCode::OK, JSON, openapi::text().into())),
            Target::Version => json(&Info::now()),
            Target::Groups => json(&ApiGroupList::now()),
            Target::Group => json(&ApiGroup::now()),
            Target::Resources => json(&ApiResourceList::now()),
            Target::One(kind, name) => {
                self.begun().await?;
                self.one(kind, &name)
            }
            Target::List(kind) => {
                let query = Query::parse(query, kind).map_err(Failure::bad_request)?;
                self.begun().await?;
                match kind {
                    Kind::App => self.several(kind, |snapshot| &snapshot.apps, query),
                    Kind::Gateway => self.several(kind, |snapshot| &snapshot.gateways, query),
                    Kind::Source => self.several(kind, |snapshot| &snapshot.sources, query),
                    Kind::Event => self.several(kind, |snapshot| &snapshot.events, query),
                    Kind::Backend => {
                        let snapshot = self.reader.load();
                        list(kind, &snapshot, &backends::of(&snapshot, query.selection.fields.name()), &query.selection)
                    }
                }
            }
        }
    }

    /// Waits for the first snapshot: before it, a list would say that there is nothing.
    async fn begun(&self) -> Result<(), Failure> {
        let (mut reader, mut stopped) = (self.reader.clone(), self.stopped.clone());
        let begun = tokio::select! {
            begun = timeout(FIRST, reader.newer_than(0)) => matches!(begun, Ok(Some(_))),
            _ = stopped.wait_for(|stopped| *stopped) => false,
        };
        begun.then_some(()).ok_or_else(|| Failure::unavailable("no snapshot is being served yet".to_owned()))
    }

    fn one(&self, kind: Kind, name: &str) -> Result<Response<Answer>, Failure> {
        let snapshot = self.reader.load();
        match kind {
            Kind::App => first(kind, &snapshot.apps, name),
            Kind::Gateway => first(kind, &snapshot.gateways, name),
            Kind::Source => first(kind, &snapshot.sources, name),
            Kind::Event => first(kind, &snapshot.events, name),
            Kind::Backend => first(kind, &backends::of(&snapshot, Some(name)), name),
        }
    }

    fn several<C: Collection>(&self, kind: Kind, of: fn(&Snapshot) -> &C, query: Query) -> Result<Response<Answer>, Failure> {
        if let Some(watch) = query.watch {
            return self.watch(kind, of, watch, query);
        }
        let snapshot = self.reader.load();
        list(kind, &snapshot, of(&snapshot), &query.selection)
    }

    fn watch<C: Collection>(&self, kind: Kind, of: fn(&Snapshot) -> &C, watch: Watch, query: Query) -> Result<Response<Answer>, Failure> {
        let full = |_| Failure::too_many_requests("as many watches as there may be are open; lists are answered".to_owned());
        let place = self.watches.clone().try_acquire_owned().map_err(full)?;
        let snapshot = self.reader.load();
        let told = match watch.known {
            None => None,
            Some(known) if known == snapshot.revision => Some(of(&snapshot).clone()),
            Some(known) => return Err(Failure::expired(known, snapshot.revision)),
        };
        let watcher = Watcher {
            reader: self.reader.clone(),
            kind,
            of,
            selection: query.selection,
            told,
            revision: snapshot.revision,
            keep_alive: KEEP_ALIVE,
        };
        drop(snapshot);
        // One piece waits to be read: what happens meanwhile is told in one go after it.
        let (sender, lines) = mpsc::channel::<Bytes>(1);
        let (listened, mut stopped) = (sender.clone(), self.stopped.clone());
        tokio::spawn(async move {
            let timeout = async {
                match watch.timeout {
                    Some(timeout) => sleep(timeout).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = watcher.run(sender) => {}
                () = listened.closed() => {}
                () = timeout => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
        Ok(stream(lines, place))
    }
}

/// The objects that are asked for.
fn list<C: Collection>(kind: Kind, snapshot: &Snapshot, objects: &C, selection: &Selection) -> Result<Response<Answer>, Failure> {
    let items: Vec<_> = match selection.fields.name() {
        Some(name) => objects.named(name).map(AsRef::as_ref).filter(|object| selection.fits(*object)).collect(),
        None => objects.all().map(AsRef::as_ref).filter(|object| selection.fits(*object)).collect(),
    };
    let metadata = ListMetadata { resource_version: snapshot.revision.to_string() };
    json(&List { api_version: API_VERSION.to_owned(), kind: kind.list().to_owned(), metadata, items })
}

/// A manifest that only wants the name of an object is not it: the first one is.
fn first<C: Collection>(kind: Kind, objects: &C, name: &str) -> Result<Response<Answer>, Failure> {
    let found = objects.named(name).next();
    json(&**found.ok_or_else(|| Failure::not_found(format!("{} \"{name}\" not found", kind.plural())))?)
}
