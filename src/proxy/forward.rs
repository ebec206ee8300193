//! A request on its way: what the client sent, what filters made of it, what a backend gets.
//!
//! In: a head that was matched, the request. Out: a request for a backend. Never: a field of the client that only we may set.

mod before;
mod ours;
mod reroute;

use std::rc::Rc;

use http::header::{HOST, LOCATION, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use before::Before;
pub(super) use ours::address;
use ours::told;

use super::fields::{Kind, Seen, is_claim};
use super::head::Head;
use super::hop::{self, Tunnel};
use super::id::RequestId;
use super::peer::Peer;
use super::record::Record;
use super::redirect::Detour;
use super::rescue::Cause;
use super::text::Text;
use super::values::Values;
use crate::backend::http::{self as http_backend, Ours};
use crate::backend::{RequestBody, ResponseBody, fastcgi, files};
use crate::route::{Files, HttpSettings, PathEdit, Place, Rule};

/// A request on its way.
pub(super) struct Forward<'a> {
    values: Values<'a>,
    /// The path that was matched: the client's own space.
    matched: Text,
    /// The head; its target is what the client asked for, byte for byte.
    parts: http::request::Parts,
    /// The fields that came with it.
    seen: Seen,
    /// The fields as they came, as far as filters have changed them.
    before: Before,
    body: Option<Incoming>,
    upgrade: Option<(HeaderValue, OnUpgrade)>,
    /// The `Host` that a filter has set.
    host: Option<HeaderValue>,
    script: Option<Script>,
    /// Where its client was before, if the rule keeps it there.
    stay: Option<Place>,
    /// Who has told the right password.
    user: Option<Box<str>>,
    /// Backends that get a copy, by index.
    mirrors: Vec<usize>,
    /// What led here from other rules of the App; none: the client itself asks for this.
    detour: Option<Box<Detour>>,
    record: Rc<Record>,
}

/// The script that runs.
#[derive(Debug)]
struct Script {
    name: String,
    path_info: String,
    root: Box<str>,
}

impl<'a> Forward<'a> {
    /// A request as it came, without the fields that belong to its connection or that only we may set. `client`: the connection, if it
    /// asks for another protocol.
    pub(super) fn new(
        head: Head,
        request: Request<Incoming>,
        client: Option<OnUpgrade>,
        peer: &'a Peer,
        id: RequestId,
        record: Rc<Record>,
    ) -> Self {
        let (mut parts, body) = request.into_parts();
        let Head { host, path, seen } = head;
        let upgrade = client.and_then(|client| Some((parts.headers.get(UPGRADE)?.clone(), client)));
        hop::clean_of(&mut parts.headers, seen);
        if seen.has(Kind::Claim) {
            forget_claims(&mut parts.headers);
        }
        let query = parts.uri.path_and_query().filter(|target| target.query().is_some()).cloned().map(Text::Query);
        let matched = path.clone();
        let values = Values { host, path, query, peer, id };
        if let Some(authority) = parts.uri.authority() {
            // RFC 9112 section 3.2.2: an absolute target speaks for a field that is not there.
            parts.headers.entry(HOST).or_insert(HeaderValue::from_str(authority.as_str()).unwrap_or(HeaderValue::from_static("")));
        }
        Self {
            values,
            matched,
            parts,
            seen,
            before: Before::default(),
            body: Some(body),
            upgrade,
            host: None,
            script: None,
            stay: None,
            user: None,
            mirrors: Vec::new(),
            detour: None,
            record,
        }
    }

    /// Where it is counted.
    pub(super) fn record(&self) -> &Rc<Record> {
        &self.record
    }

    /// Where its client was before, and is to stay.
    pub(super) fn stay(&self) -> Option<Place> {
        self.stay
    }

    /// Notes where its client was before.
    pub(super) fn stays(&mut self, place: Option<Place>) {
        self.stay = place;
    }

    /// The method.
    pub(super) fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The version that the client speaks.
    pub(super) fn version(&self) -> Version {
        self.parts.version
    }

    /// Whether a file may answer.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.parts.method, Method::GET | Method::HEAD)
    }

    /// The fields of the head, as filters have left them.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Which fields came with it.
    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// The fields of the head, for filters.
    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.before.note_all(&self.parts.headers);
        &mut self.parts.headers
    }

    /// The same, for one that changes fields of these names only; and what its placeholders stand for.
    pub(super) fn edits<'n>(&mut self, names: impl Iterator<Item = &'n HeaderName>) -> (&mut HeaderMap, &Values<'a>) {
        self.before.note(&self.parts.headers, names);
        (&mut self.parts.headers, &self.values)
    }

    /// What placeholders stand for now.
    pub(super) fn values(&self) -> &Values<'a> {
        &self.values
    }

    /// What placeholders stood for before filters changed the path.
    pub(super) fn values_as_matched(&self) -> Values<'a> {
        Values { path: self.matched.clone(), ..self.values.clone() }
    }

    /// The path in hand and the client's query.
    fn path_and_query(&self) -> String {
        with_query(&self.values.path, self.values.query.as_deref())
    }

    /// The path that was matched, percent-encoded.
    pub(super) fn matched(&self) -> &str {
        &self.matched
    }

    /// What the client asks for, as it was matched: path and query.
    pub(super) fn wanted(&self) -> String {
        with_query(&self.matched, self.values.query.as_deref())
    }

    /// Somebody has told the right password.
    pub(super) fn set_user(&mut self, name: String) {
        self.user = Some(name.into());
    }

    /// A copy goes to this backend. A tunnel is not copied: nobody would speak at its other end.
    pub(super) fn mirror_to(&mut self, backend: usize) {
        if self.upgrade.is_none() {
            self.mirrors.push(backend);
        }
    }

    /// Where copies go.
    pub(super) fn mirrors(&self) -> &[usize] {
        &self.mirrors
    }

    /// Sets the `Host` that the backend sees.
    pub(super) fn set_host(&mut self, host: HeaderValue) {
        self.host = Some(host);
    }

    /// The path that was matched, edited, whatever became of it before. `prefix`: length of the prefix that matched.
    pub(super) fn edited(&self, edit: &PathEdit, prefix: Option<usize>) -> String {
        edited(&self.matched, edit, prefix)
    }

    /// The client's own URL, from the path on: as it was matched, or with another path.
    pub(super) fn redirected(&self, path: Option<&str>) -> String {
        with_query(path.unwrap_or(&self.matched), self.values.query.as_deref())
    }

    /// Replaces the path in hand.
    pub(super) fn set_path(&mut self, path: &str) {
        self.values.path = path.into();
    }

    /// Sends the client to the directory with its `/`, in its own space: before any rewrite.
    pub(super) fn to_directory(&self) -> Result<Response<ResponseBody>, Cause> {
        files::redirect(&self.matched, self.values.query.as_deref()).ok_or(Cause::NoFile)
    }

    /// A script answers.
    pub(super) fn run(&mut self, name: String, path_info: String, files: &Files) {
        self.script = Some(Script { name, path_info, root: files.root.clone() });
    }

    /// The request for an HTTP backend. `ours`: what we say of it.
    pub(super) fn http<'h>(&'h self, target: &'h PathAndQuery, ours: &'h [Ours<'h>]) -> http_backend::Head<'h> {
        let upgrade = self.upgrade.as_ref().map(|(protocol, _)| protocol);
        http_backend::Head { method: &self.parts.method, target, fields: &self.parts.headers, ours, upgrade }
    }

    /// The fields that tell an HTTP backend where the request comes from, and for whom it is. `port`: what [`Self::port`] says.
    pub(super) fn ours<'h>(&'h self, settings: &'h HttpSettings, port: Option<&'h HeaderValue>) -> [Ours<'h>; 6] {
        told(self.parts.headers.get(HOST), self.values.peer, self.host.as_ref().or(settings.host.as_ref()), port)
    }

    /// What `X-Forwarded-Port` says.
    pub(super) fn port(&self) -> Option<HeaderValue> {
        self.values.peer.via.as_deref().and_then(|via| via.port).map(HeaderValue::from)
    }

    /// The client's side of a tunnel, if it has asked for one.
    pub(super) fn take_tunnel(&mut self) -> Option<Tunnel> {
        let (_, client) = self.upgrade.take()?;
        Some(Tunnel { client, in_flight: self.values.peer.connection.as_ref().map(|connection| connection.hold()) })
    }

    /// The head of the request for an HTTP backend, without any upgrade.
    pub(super) fn copy(&self, settings: &HttpSettings) -> Result<Request<()>, Cause> {
        let mut copy = Request::new(());
        *copy.method_mut() = self.parts.method.clone();
        *copy.uri_mut() = self.target()?.into();
        *copy.headers_mut() = self.parts.headers.clone();
        address(copy.headers_mut(), self.values.peer, self.host.as_ref().or(settings.host.as_ref()));
        Ok(copy)
    }

    /// What an HTTP backend is asked for.
    pub(super) fn target(&self) -> Result<PathAndQuery, Cause> {
        match self.parts.uri.path_and_query() {
            // As it came: nothing is copied. An absolute target may be without a path.
            Some(came) if came.as_str().starts_with('/') && self.is_as_it_came(came) => Ok(came.clone()),
            _ => PathAndQuery::try_from(self.path_and_query()).map_err(|_| Cause::Head("the target is invalid")),
        }
    }

    fn is_as_it_came(&self, came: &PathAndQuery) -> bool {
        came.path() == &*self.values.path && came.query() == self.values.query.as_deref()
    }

    /// The request for a FastCGI backend. `id`: the request's name.
    pub(super) fn fastcgi<'f>(&'f self, id: &'f str) -> fastcgi::Request<'f> {
        let script = self.script.as_ref();
        fastcgi::Request {
            method: &self.parts.method,
            uri: self.parts.uri.path_and_query().map_or("/", PathAndQuery::as_str),
            version: self.parts.version,
            headers: &self.parts.headers,
            path: &self.values.path,
            query: self.values.query.as_deref(),
            script: script.map(|script| fastcgi::Script { name: &script.name, path_info: &script.path_info }),
            files_root: script.map(|script| &*script.root),
            scheme: self.values.peer.scheme,
            host: &self.values.host,
            client: self.values.peer.client,
            server: self.values.peer.server,
            user: self.user.as_deref(),
            request_id: id,
        }
    }

    /// The body, counted; `Error::BodyTooLarge` if its announced length is over the rule's limit.
    pub(super) fn take_body(&mut self, rule: &Rule) -> Result<RequestBody, Cause> {
        match self.body.take() {
            Some(body) => {
                let body = RequestBody::new(body, rule.body_limit, self.values.peer.body_timeout).map_err(Cause::Backend)?;
                Ok(if body.length() == Some(0) { body } else { body.counted(self.record.received()) })
            }
            None => Ok(RequestBody::empty()),
        }
    }
}

/// What a client says of itself is forgotten; what a trusted proxy says has been read by then.
fn forget_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

fn with_query(path: &str, query: Option<&str>) -> String {
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// A new path (Gateway API `HTTPPathModifier`): `/` and the rest are joined by exactly one slash.
fn edited(path: &str, edit: &PathEdit, prefix: Option<usize>) -> String {
    match edit {
        PathEdit::Full(full) => full.to_string(),
        PathEdit::Prefix(replacement) => {
            let rest = prefix.and_then(|length| path.get(length..)).unwrap_or("").trim_start_matches('/');
            let replacement = replacement.trim_end_matches('/');
            let slash = prefix.is_some_and(|length| path.len() > length);
            if slash || replacement.is_empty() { format!("{replacement}/{rest}") } else { replacement.to_owned() }
        }
    }
}

/// An answer that sends the client elsewhere.
pub(super) fn redirect(status: StatusCode, location: &str) -> Result<Response<ResponseBody>, Cause> {
    let location = HeaderValue::from_str(location).map_err(|_| Cause::Head("the target is invalid"))?;
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = status;
    answer.headers_mut().insert(LOCATION, location);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_replaced_with_one_slash_at_the_seam() {
        for (path, prefix, replacement, result) in [
            ("/seafhttp/upload", 9, "/", "/upload"),
            ("/seafhttp", 9, "/", "/"),
            ("/seafhttp/", 9, "/", "/"),
            ("/seafmedia/css/x", 10, "/media", "/media/css/x"),
            ("/seafmedia", 10, "/media", "/media"),
            ("/seafmedia/", 10, "/media", "/media/"),
            ("/seafmedia//x", 10, "/media/", "/media/x"),
            ("/a", 0, "/media", "/media/a"),
        ] {
            assert_eq!(edited(path, &PathEdit::Prefix(replacement.into()), Some(prefix)), result, "{path} -> {replacement}");
        }
        assert_eq!(edited("/a/b", &PathEdit::Full("/c".into()), None), "/c");
    }

    #[test]
    fn what_a_client_says_of_itself_is_forgotten() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-forwarded-for",
            "x_forwarded_host",
            "x-forwarded-port",
            "x-real_ip",
            "forwarded",
            "forwarded-by",
            "x-other",
            "x-accel_mapping",
            "x-sendfile-type",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        forget_claims(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-other", "forwarded-by"]);
    }
}
