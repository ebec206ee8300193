//! An admin request -> its answer.
//!
//! In: method, path and query. Out: health, readiness, Apps, now or when there is something newer. Never: a method that changes.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::watch;
use tokio::time::timeout;

use super::answer::{Failure, json, text};
use super::query::{Query, unescape};
use crate::api::v1::{API_VERSION, List, ListMetadata};
use crate::snapshot::{Reader, Snapshot};

/// Where the objects are: `API/apps` and so on.
pub const API: &str = "/apis/lxcproxy.dev/v1";
/// Every App; `APPS/NAME` is one of them.
pub const APPS: &str = "/apis/lxcproxy.dev/v1/apps";
/// 200 while the process answers.
pub const HEALTH: &str = "/healthz";
/// 200 once a snapshot is being served.
pub const READINESS: &str = "/readyz";

/// What a path leads to.
enum Target {
    Health,
    Readiness,
    Apps,
    App(String),
}

/// Answers one request; with `newerThan`, not before there is news, the time is over, or the daemon stops.
pub(super) async fn answer<B>(request: &Request<B>, reader: Reader, stopped: watch::Receiver<bool>) -> Response<Full<Bytes>> {
    match understand(request) {
        Ok((target, query)) => {
            if let Some(revision) = query.newer_than {
                news(reader.clone(), revision, query.timeout, stopped).await;
            }
            look(&target, &query, &reader.load()).unwrap_or_else(Failure::response)
        }
        Err(failure) => failure.response(),
    }
}

fn understand<B>(request: &Request<B>) -> Result<(Target, Query), Failure> {
    let target = target(request.uri().path())?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Failure::method_not_allowed(request.method()));
    }
    let query = Query::parse(request.uri().query().unwrap_or_default()).map_err(Failure::bad_request)?;
    Ok((target, query))
}

fn target(path: &str) -> Result<Target, Failure> {
    let missing = || Failure::not_found(format!("there is nothing at {path}; the Apps are at {APPS}"));
    match path {
        HEALTH => Ok(Target::Health),
        READINESS => Ok(Target::Readiness),
        APPS => Ok(Target::Apps),
        _ => {
            let name = path.strip_prefix(APPS).and_then(|rest| rest.strip_prefix('/')).filter(|name| !name.is_empty());
            let name = name.and_then(unescape).ok_or_else(missing)?;
            Ok(Target::App(name.into_owned()))
        }
    }
}

/// Waits for a snapshot newer than `revision`. A revision from the future is from before a restart: all is news then.
async fn news(mut reader: Reader, revision: u64, patience: Duration, mut stopped: watch::Receiver<bool>) {
    if reader.load().revision != revision {
        return;
    }
    let newer = async {
        if reader.newer_than(revision).await.is_none() {
            // Nobody publishes any more: there will be no news, and an answer at once would only make the client ask again.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = timeout(patience, newer) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

fn look(target: &Target, query: &Query, snapshot: &Snapshot) -> Result<Response<Full<Bytes>>, Failure> {
    match target {
        Target::Health => Ok(text(StatusCode::OK, "ok")),
        Target::Readiness if snapshot.revision > 0 => Ok(text(StatusCode::OK, "ok")),
        Target::Readiness => Ok(text(StatusCode::SERVICE_UNAVAILABLE, "no snapshot is being served yet")),
        Target::Apps => {
            let items = match &query.name {
                Some(name) => snapshot.named(name).collect(),
                None => snapshot.apps.values().map(AsRef::as_ref).collect::<Vec<_>>(),
            };
            let metadata = ListMetadata { resource_version: snapshot.revision.to_string() };
            Ok(json(&List { api_version: API_VERSION.to_owned(), kind: "AppList".to_owned(), metadata, items }))
        }
        // A manifest that only wants the name is no App of it: the first one is.
        Target::App(name) => match snapshot.named(name).next() {
            Some(app) => Ok(json(app)),
            None => Err(Failure::not_found(format!("apps \"{name}\" not found"))),
        },
    }
}
