//! `X-Accel-Redirect` (nginx), `X-Sendfile` (Apache, lighttpd): a backend's answer that names a file -> the file in its place.
//!
//! In: a backend's answer, the request that it answers. Out: the answer; or the file, with what the backend said of it; what names neither
//! goes on to [`super::redirect`]. Never: a file that `internalFiles` does not have, a `..`, one of these fields on its way to the client.

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::Proxy;
use super::attempt::Answered;
use super::forward::Forward;
use super::id::RequestId;
use super::rescue::Cause;
use crate::backend::fastcgi::LocalRedirect;
use crate::backend::files::{self, Found};
use crate::backend::{Error, ResponseBody};
use crate::container::rootfs::Rootfs;
use crate::route::{Backend, CompiledApp, InternalFiles, Rule, path};

const X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
const X_SENDFILE: HeaderName = HeaderName::from_static("x-sendfile");

/// What a backend says of its own body, which is not sent. Its `Content-Type` is the file's by then.
const OF_THE_BODY: [HeaderName; 7] = [ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED];

/// Bytes of a path that a log is told.
const SHOWN: usize = 256;

/// A field that names what is sent in place of its answer, and what it names.
pub(super) struct Named {
    field: HeaderName,
    pub(super) value: HeaderValue,
}

impl Proxy {
    /// Sends the request to a backend of the App, by its index; what its answer names takes the answer's place.
    pub(super) async fn ask(
        &self,
        app: &Arc<CompiledApp>,
        rule: &Rule,
        index: usize,
        forward: Box<Forward<'_>>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let Answered { mut answer, forward, moved } = self.exchange(app, rule, index, forward).await?;
        let Some(named) = take(&mut answer)? else { return Ok(answer) };
        // Who was held is answered with the files of the container that answers.
        let (app, index) = moved.as_ref().map_or((app, index), |place| (&place.app, place.backend));
        let backend = &app.backends[index];
        // Both boxed: every request would carry their futures along, and the second one comes back here.
        match named.find(&backend.internal_files) {
            Some((internal, rest)) => Box::pin(named.send((app, backend), (internal, &rest), answer, &forward)).await,
            None if named.field == X_SENDFILE => {
                Err(named.refuse(app, backend, forward.values().id, "the backend names what none of its `internalFiles` has"))
            }
            None => Box::pin(self.elsewhere(app, backend, (named, answer), forward)).await,
        }
    }
}

impl Named {
    /// The file in place of the answer. As nginx does it, any method but HEAD is one that reads here.
    async fn send(
        &self,
        (app, backend): (&CompiledApp, &Backend),
        (internal, rest): (&InternalFiles, &[u8]),
        answer: Response<ResponseBody>,
        forward: &Forward<'_>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let root = app.root.as_ref().ok_or(Cause::Backend(Error::Unavailable))?;
        let Some(mut file) = open(root, internal, rest).await? else {
            self.warn(app, backend, forward.values().id, "the backend names a file that is not there");
            return Err(Cause::NoFile);
        };
        let method = if forward.method() == Method::HEAD { Method::HEAD } else { Method::GET };
        let (head, _) = answer.into_parts();
        // An empty one leaves it to the file's name (as nginx; php sends one of its own otherwise).
        if let Some(said) = head.headers.get(CONTENT_TYPE).filter(|said| !said.is_empty()) {
            file = file.of_type(said.clone());
        }
        // An error keeps its status, and is told as a whole.
        let failed = head.status.is_client_error() || head.status.is_server_error();
        let none = HeaderMap::new();
        let conditions = if failed || !forward.is_read() { &none } else { forward.headers() };
        let mut sent = files::respond(file, &internal.files, &method, conditions).map_err(Cause::Backend)?;
        if failed {
            *sent.status_mut() = head.status;
        }
        keep(head.headers, sent.headers_mut());
        Ok(sent)
    }

    /// Whether it is the redirect of a script.
    pub(super) fn is_location(&self) -> bool {
        self.field == LOCATION
    }

    /// Tells the log why nothing is sent; the client gets 502.
    pub(super) fn refuse(&self, app: &CompiledApp, backend: &Backend, id: RequestId, why: &'static str) -> Cause {
        self.warn(app, backend, id, why);
        Cause::Backend(Error::Protocol("it names what can't be sent in place of its answer"))
    }

    fn warn(&self, app: &CompiledApp, backend: &Backend, id: RequestId, why: &'static str) {
        let (app, backend) = (app.name.as_str(), backend.name.as_str());
        tracing::warn!(app, backend, request_id = %id, field = self.field.as_str(), path = self.shown(), "{why}");
    }

    /// The files that are meant, and the path beneath their root: decoded, with a `/` first. The longest prefix counts.
    fn find<'b>(&self, internal: &'b [InternalFiles]) -> Option<(&'b InternalFiles, Vec<u8>)> {
        if internal.is_empty() || self.is_location() {
            return None;
        }
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

/// Takes the fields away that speak to us: all of `X-Accel-*` and `X-Sendfile`. The first of the two that names something counts.
fn take(answer: &mut Response<ResponseBody>) -> Result<Option<Named>, Cause> {
    let local = answer.extensions_mut().remove::<LocalRedirect>();
    let headers = answer.headers();
    if local.is_some() {
        return Ok(headers.get(LOCATION).map(|value| Named { field: LOCATION, value: value.clone() }));
    }
    if !headers.keys().any(is_ours) {
        return Ok(None);
    }
    let mut named = None;
    for field in [X_ACCEL_REDIRECT, X_SENDFILE] {
        let mut values = headers.get_all(&field).iter();
        if let (None, Some(value)) = (&named, values.next()) {
            if values.next().is_some() {
                return Err(Cause::Backend(Error::Protocol("it names two things to send in place of its answer")));
            }
            named = Some(Named { value: value.clone(), field });
        }
    }
    forget(answer.headers_mut());
    // A tunnel can't be taken back.
    Ok(named.filter(|_| answer.status() != StatusCode::SWITCHING_PROTOCOLS))
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
        Found::Script { .. } | Found::Directory | Found::Listing(_) | Found::Special | Found::Nothing => Ok(None),
    }
}

/// What the backend said goes with the file, but for what it said of its own body.
fn keep(mut said: HeaderMap, file: &mut HeaderMap) {
    for name in OF_THE_BODY {
        said.remove(name);
    }
    // Without a body there is nothing that it describes.
    if !file.contains_key(CONTENT_TYPE) {
        said.remove(CONTENT_DISPOSITION);
    }
    for (name, value) in file.drain() {
        if let Some(name) = name {
            said.insert(name, value);
        }
    }
    *file = said;
}
