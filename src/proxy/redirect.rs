//! `X-Accel-Redirect` to a URI (nginx), `Location` of a script that says nothing else (RFC 3875 section 6.2.2): a backend's answer that
//! names a path of its App -> what the App's own rules answer for that.
//!
//! In: a backend's answer, the request that it answers. Out: another answer, as if the client had asked for that path with a GET; with what
//! the backend said of it. Never: another App's rule, a way around the filters of a rule, a `..`, more than [`MOST`] in a row.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, EXPIRES, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::Proxy;
use super::forward::Forward;
use super::offload::Named;
use super::rescue::Cause;
use crate::backend::ResponseBody;
use crate::route::{Backend, CompiledApp, Match, path};

/// Redirects of one request (nginx: the same).
const MOST: usize = 10;

/// Cookies that such an answer sets, all in all: each redirect may add as many as fit into a head.
const COOKIES: usize = 1024;

/// What the first answer says of caches, and the next one no longer.
const OF_CACHES: [HeaderName; 2] = [CACHE_CONTROL, EXPIRES];

/// What led a request to a rule that its client did not ask for.
#[derive(Debug)]
pub(super) struct Detour {
    /// How many redirects.
    count: usize,
    /// What was said of the type, should it lead to a file.
    content_type: Option<HeaderValue>,
}

/// What is asked for instead.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// Normalised.
    path: String,
    /// Without its `?`.
    query: Option<String>,
}

impl Proxy {
    /// The answer of the App's own rules in place of one that names a path. A `Location` that can't be answered here is for the client.
    pub(super) async fn elsewhere(
        &self,
        app: &Arc<CompiledApp>,
        backend: &Backend,
        (named, answer): (Named, Response<ResponseBody>),
        mut forward: Box<Forward<'_>>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let refused = |why| Err(named.refuse(app, backend, forward.values().id, why));
        let detour = Detour::after(forward.detour(), answer.headers());
        if detour.count > MOST {
            return refused("the backend sends the request from one path to the next, again and again");
        }
        let Some(target) = Target::read(&named.value) else {
            return if named.is_location() { Ok(answer) } else { refused("the backend names what is no path") };
        };
        let id = forward.values().id;
        forward.reroute(&target.path, target.query.as_deref(), Box::new(detour));
        let Some(found) = Match::within(app, &forward.as_matched()) else {
            let why = "the backend names what neither its `internalFiles` nor the App's rules have";
            return if named.is_location() { Ok(answer) } else { Err(named.refuse(app, backend, id, why)) };
        };
        forward.record().goes_elsewhere();
        // The body goes here: whoever sends it may be whom the next rule asks.
        let said = answer.into_parts().0.headers;
        let mut answer = self.serve(&found, forward).await;
        keep(&said, &mut answer);
        Ok(answer)
    }
}

impl Detour {
    /// One more. An empty type leaves it to the file's name.
    fn after(before: Option<&Self>, said: &HeaderMap) -> Self {
        let content_type = match said.get(CONTENT_TYPE) {
            Some(said) => Some(said).filter(|said| !said.is_empty()),
            None => before.and_then(|before| before.content_type.as_ref()),
        };
        Self { count: before.map_or(0, |before| before.count) + 1, content_type: content_type.cloned() }
    }
}

impl Target {
    /// `/path` or `/path?query`; what may not stand there as it is (a space, `ü`) is percent-encoded. `None`: it is something else, or has
    /// a segment that leads elsewhere.
    fn read(value: &HeaderValue) -> Option<Self> {
        let text = encoded(value.as_bytes());
        let (path, query) = text.split_once('?').map_or((&*text, None), |(path, query)| (path, Some(query)));
        let normal = path::normalise(path).ok().filter(|normal| **normal == *path)?;
        Some(Self { path: normal.into_owned(), query: query.map(str::to_owned) })
    }
}

/// A file has the type that was said of it, as nginx does it; other answers speak for themselves.
pub(super) fn typed(mut answer: Response<ResponseBody>, forward: &Forward<'_>) -> Response<ResponseBody> {
    if let Some(said) = forward.detour().and_then(|detour| detour.content_type.clone())
        && let Some(content_type) = answer.headers_mut().get_mut(CONTENT_TYPE)
    {
        *content_type = said;
    }
    answer
}

/// What the backend said stays, as far as it is about the client (nginx keeps the same): cookies, caches, the name of a download. Of an
/// error only the cookies.
fn keep(said: &HeaderMap, answer: &mut Response<ResponseBody>) {
    let failed = answer.status().is_client_error() || answer.status().is_server_error();
    let headers = answer.headers_mut();
    if said.contains_key(SET_COOKIE) {
        let theirs: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
        headers.remove(SET_COOKIE);
        for cookie in said.get_all(SET_COOKIE).iter().chain(&theirs).take(COOKIES) {
            headers.append(SET_COOKIE, cookie.clone());
        }
    }
    if failed {
        return;
    }
    if OF_CACHES.iter().any(|name| said.contains_key(name)) {
        for name in &OF_CACHES {
            replace(name, said, headers);
        }
    }
    if said.contains_key(CONTENT_DISPOSITION) {
        replace(&CONTENT_DISPOSITION, said, headers);
    }
}

fn replace(name: &HeaderName, said: &HeaderMap, headers: &mut HeaderMap) {
    headers.remove(name);
    headers.extend(said.get_all(name).iter().map(|value| (name.clone(), value.clone())));
}

/// What a request line can't hold is percent-encoded; what is encoded stays so.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, Option<String>)> {
        Target::read(&HeaderValue::from_bytes(text.as_bytes()).unwrap()).map(|target| (target.path, target.query))
    }

    #[test]
    fn a_path_and_its_query_are_read_as_those_of_a_request() {
        for (text, path, query) in [
            ("/", "/", None),
            ("/a?b=c?d", "/a", Some("b=c?d")),
            ("/a?", "/a", Some("")),
            ("/a%20b/%C3%BC", "/a%20b/%C3%BC", None),
            ("/a b/ü?x=y z", "/a%20b/%C3%BC", Some("x=y%20z")),
            ("/a#b", "/a%23b", None),
            ("/a\\b", "/a%5Cb", None),
            ("//a", "//a", None),
            ("/a%2fb", "/a%2fb", None),
        ] {
            assert_eq!(read(text), Some((path.to_owned(), query.map(str::to_owned))), "{text}");
        }
    }

    #[test]
    fn what_leads_elsewhere_or_is_no_path_is_none() {
        for text in
            ["", "a", "@named", "?a", "http://a/b", "/..", "/a/../b", "/./a", "/a/%2e%2E/b", "/a/.%2e", "/%", "/%zz", "/a%00", "/a%0d"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn cookies_of_many_redirects_are_bounded_and_the_first_stay() {
        let said: HeaderMap = std::iter::repeat_n((SET_COOKIE, HeaderValue::from_static("a=1")), 6000).collect();
        let mut answer = Response::new(ResponseBody::Empty);
        for _ in 0..=MOST {
            keep(&said, &mut answer);
        }
        assert_eq!(answer.headers().get_all(SET_COOKIE).iter().count(), COOKIES);
    }

    #[test]
    fn what_was_said_of_caches_and_names_stands_and_cookies_are_added() {
        let fields = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            headers
        };
        let said = [("set-cookie", "a=1"), ("cache-control", "private"), ("content-disposition", "inline"), ("x-own", "1"), ("vary", "x")];
        let theirs = [("set-cookie", "b=2"), ("cache-control", "public"), ("expires", "0"), ("vary", "y")];
        for (status, wanted) in [
            (
                200,
                &[
                    ("set-cookie", "a=1"),
                    ("set-cookie", "b=2"),
                    ("cache-control", "private"),
                    ("content-disposition", "inline"),
                    ("vary", "y"),
                ][..],
            ),
            (404, &[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("cache-control", "public"), ("expires", "0"), ("vary", "y")]),
        ] {
            let mut answer = Response::builder().status(status).body(ResponseBody::Empty).unwrap();
            *answer.headers_mut() = fields(&theirs);
            keep(&fields(&said), &mut answer);
            assert_eq!(answer.headers(), &fields(wanted), "{status}");
        }
    }
}
