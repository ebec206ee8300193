//! `X-Accel-Redirect` (nginx), `X-Sendfile` (Apache, lighttpd): a backend's answer that names a file -> the file in its place.
//!
//! In: a backend's answer, what the client asked. Out: the answer; or the file, with what the backend said of it. Never: a file that
//! `internalFiles` does not have, a `..`, one of these fields on its way to the client.

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};

use super::Proxy;
use super::forward::Forward;
use super::rescue::Cause;
use crate::backend::files::{self, Found};
use crate::backend::{Error, ResponseBody};
use crate::container::rootfs::Rootfs;
use crate::route::{Backend, CompiledApp, InternalFiles, Rule, path};

const X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
const X_SENDFILE: HeaderName = HeaderName::from_static("x-sendfile");

/// What a client asks of a file.
const CONDITIONS: [HeaderName; 6] = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];

/// What a backend says of its own body, which is not sent.
const OF_THE_BODY: [HeaderName; 6] = [ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED];

/// Bytes of a path that a log is told.
const SHOWN: usize = 256;

/// What is left of a request once a backend has it.
struct Question {
    method: Method,
    conditions: HeaderMap,
    id: super::id::RequestId,
}

/// A field that names a file, and what it names.
struct Named {
    field: HeaderName,
    value: HeaderValue,
}

impl Proxy {
    /// Sends the request to a backend of the App, by its index; a file that its answer names takes the answer's place.
    pub(super) async fn ask(
        &self,
        app: &Arc<CompiledApp>,
        rule: &Rule,
        index: usize,
        forward: Box<Forward<'_>>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let question = Question::of(&forward, &app.backends[index]);
        let (mut answer, moved) = self.exchange(app, rule, index, forward).await?;
        let Some(named) = take(answer.headers_mut())? else { return Ok(answer) };
        // Who was held is answered with the files of the container that answers.
        let (app, index) = moved.as_ref().map_or((app, index), |place| (&place.app, place.backend));
        question.answer(app, &app.backends[index], &named, answer).await
    }
}

impl Question {
    /// A backend that may name no file costs no copy.
    fn of(forward: &Forward<'_>, backend: &Backend) -> Self {
        let mut conditions = HeaderMap::new();
        if !backend.internal_files.is_empty() && forward.is_read() {
            for name in CONDITIONS {
                for value in forward.headers().get_all(&name) {
                    conditions.append(&name, value.clone());
                }
            }
        }
        Self { method: forward.method().clone(), conditions, id: forward.values().id }
    }

    /// The file in place of the answer. As nginx does it, any method but HEAD is one that reads here.
    async fn answer(
        &self,
        app: &CompiledApp,
        backend: &Backend,
        named: &Named,
        answer: Response<ResponseBody>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let refused = |why: &'static str| {
            let (app, backend) = (app.name.as_str(), backend.name.as_str());
            tracing::warn!(app, backend, request = %self.id, field = named.field.as_str(), path = named.shown(), "{why}");
        };
        let Some((internal, rest)) = named.find(&backend.internal_files) else {
            refused("the backend names what none of its `internalFiles` has");
            return Err(Cause::Backend(Error::Protocol("it names what none of its `internalFiles` has")));
        };
        let root = app.root.as_ref().ok_or(Cause::Backend(Error::Unavailable))?;
        let Some(file) = open(root, internal, &rest).await? else {
            refused("the backend names a file that is not there");
            return Err(Cause::NoFile);
        };
        let method = if self.method == Method::HEAD { Method::HEAD } else { Method::GET };
        let (head, _) = answer.into_parts();
        // An error keeps its status, and is told as a whole.
        let failed = head.status.is_client_error() || head.status.is_server_error();
        let none = HeaderMap::new();
        let conditions = if failed { &none } else { &self.conditions };
        let mut sent = files::respond(file, &internal.files, &method, conditions).map_err(Cause::Backend)?;
        if failed {
            *sent.status_mut() = head.status;
        }
        keep(head.headers, sent.headers_mut());
        Ok(sent)
    }
}

impl Named {
    /// The files that are meant, and the path beneath their root: decoded, with a `/` first. The longest prefix counts.
    fn find<'b>(&self, internal: &'b [InternalFiles]) -> Option<(&'b InternalFiles, Vec<u8>)> {
        let path = self.path()?;
        let candidates = internal.iter().filter_map(|internal| {
            let prefix = if self.field == X_SENDFILE { Some(internal.files.root.as_bytes()) } else { internal.prefix.as_deref() };
            let prefix = prefix?;
            let rest = path.strip_prefix(prefix).filter(|rest| rest.starts_with(b"/"))?;
            Some((prefix.len(), internal, rest))
        });
        candidates.max_by_key(|(length, ..)| *length).map(|(_, internal, rest)| (internal, rest.to_vec()))
    }

    /// The path, decoded once, each `/` once. `None`: it is none, or has a segment that leads elsewhere.
    fn path(&self) -> Option<Vec<u8>> {
        let text = str::from_utf8(self.value.as_bytes()).ok()?;
        // A query means nothing to a file (nginx); names of files may hold a `?`.
        let text = if self.field == X_ACCEL_REDIRECT { text.split('?').next()? } else { text };
        let normal = path::normalise(text).ok().filter(|normal| **normal == *text)?;
        let decoded = path::decode_for_lookup(&normal)?;
        let mut path = Vec::with_capacity(decoded.len());
        for &byte in decoded.iter() {
            if byte != b'/' || path.last() != Some(&b'/') {
                path.push(byte);
            }
        }
        Some(path)
    }

    /// What of it a log is told.
    fn shown(&self) -> String {
        let bytes = self.value.as_bytes();
        bytes[..bytes.len().min(SHOWN)].escape_ascii().to_string()
    }
}

/// Takes the fields away that speak to us: all of `X-Accel-*` and `X-Sendfile`. The first of the two that name a file counts.
fn take(headers: &mut HeaderMap) -> Result<Option<Named>, Cause> {
    if !headers.keys().any(is_ours) {
        return Ok(None);
    }
    let mut named = None;
    for field in [X_ACCEL_REDIRECT, X_SENDFILE] {
        let mut values = headers.get_all(&field).iter();
        if let (None, Some(value)) = (&named, values.next()) {
            if values.next().is_some() {
                return Err(Cause::Backend(Error::Protocol("it names two files")));
            }
            named = Some(Named { value: value.clone(), field });
        }
    }
    forget(headers);
    Ok(named)
}

/// Takes them away unread.
pub(super) fn forget(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-") && (name.as_str().starts_with("x-accel-") || *name == X_SENDFILE)
}

/// `None`: there is no regular file.
async fn open(root: &Arc<Rootfs>, internal: &InternalFiles, rest: &[u8]) -> Result<Option<files::Opened>, Cause> {
    match files::find(root, &internal.files, rest).await.map_err(Cause::Backend)? {
        Found::File(file) => Ok(Some(file)),
        Found::Script { .. } | Found::Directory | Found::Special | Found::Nothing => Ok(None),
    }
}

/// What the backend said goes with the file, but for what it said of its own body. An empty `Content-Type` leaves it to the file's name
/// (as nginx; php sends one of its own otherwise).
fn keep(mut said: HeaderMap, file: &mut HeaderMap) {
    for name in OF_THE_BODY {
        said.remove(name);
    }
    match said.get(CONTENT_TYPE) {
        // Without a body there is nothing that these describe.
        _ if !file.contains_key(CONTENT_TYPE) => {
            said.remove(CONTENT_TYPE);
            said.remove(CONTENT_DISPOSITION);
        }
        Some(type_) if !type_.is_empty() => drop(file.remove(CONTENT_TYPE)),
        _ => drop(said.remove(CONTENT_TYPE)),
    }
    for (name, value) in file.drain() {
        if let Some(name) = name {
            said.insert(name, value);
        }
    }
    *file = said;
}
