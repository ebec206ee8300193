//! A file -> the answer to GET or HEAD.
//!
//! In: an opened file, the rule's `files`, the request's method and fields. Out: 200, 206, 304, 405, 412 or 416. Never: a body that
//! differs in length from what was announced; one of several codings without `Vary`.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use httpdate::HttpDate;

use super::body::body;
use super::conditional::{Verdict, evaluate};
use super::range::{Selection, select};
use super::{MultipartBody, Opened, field};
use crate::backend::{Error, ResponseBody};
use crate::container::rootfs::Content;
use crate::route::Files;

/// `Allow` of a 405 for a file.
pub const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");

const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// `Vary` of files that may have siblings.
const BY_CODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");

/// The answer to GET or HEAD: conditional, whole, one range or several; to any other method a 405.
///
/// # Errors
/// [`Error::File`] if the file can't be read.
pub fn respond(file: Opened, files: &Files, method: &Method, headers: &HeaderMap) -> Result<Response<ResponseBody>, Error> {
    let mut response = Response::new(ResponseBody::Empty);
    if !matches!(*method, Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, ALLOWED);
        return Ok(response);
    }
    if !files.precompressed.is_empty() {
        // Of every file, as Caddy says it: one without siblings may have them tomorrow.
        response.headers_mut().insert(VARY, BY_CODING);
    }
    let (now, size) = (SystemTime::now(), file.size());
    let known = file.validators(now);
    let modified = known.modified;
    match evaluate(headers, &known) {
        Verdict::Proceed => {}
        Verdict::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            describe(response.headers_mut(), file.etag, modified, files);
            return Ok(response);
        }
        Verdict::Failed => {
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            return Ok(response);
        }
    }
    response.headers_mut().insert(ACCEPT_RANGES, BYTES);
    // Only GET knows ranges (RFC 9110 section 14.2).
    let selection = if method == Method::GET { select(headers, size, &known, now) } else { Selection::Whole };
    if selection == Selection::Unsatisfiable {
        *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
        put(response.headers_mut(), CONTENT_RANGE, format_args!("bytes */{size}"));
        return Ok(response);
    }
    let Opened { file: content, etag, content_type, coding, .. } = file;
    describe(response.headers_mut(), etag, modified, files);
    if let Some(coding) = coding {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    send(&mut response, (content, size, content_type), &selection, method)?;
    Ok(response)
}

/// Puts what was selected into the answer, with the fields that are of it alone.
fn send(
    response: &mut Response<ResponseBody>,
    (file, size, content_type): (Arc<Content>, u64, HeaderValue),
    selection: &Selection,
    method: &Method,
) -> Result<(), Error> {
    if *selection != Selection::Whole {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    if let Selection::Several(parts) = selection {
        let (body, content_type) = MultipartBody::new(file, size, parts, &content_type);
        put(response.headers_mut(), CONTENT_TYPE, format_args!("{content_type}"));
        put(response.headers_mut(), CONTENT_LENGTH, format_args!("{}", body.size_hint().lower()));
        *response.body_mut() = ResponseBody::Multipart(Box::new(body));
        return Ok(());
    }
    let (mut first, mut length) = (0, size);
    if let Selection::One(part) = selection {
        put(response.headers_mut(), CONTENT_RANGE, format_args!("bytes {}-{}/{size}", part.first, part.last));
        (first, length) = (part.first, part.length());
    }
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    put(response.headers_mut(), CONTENT_LENGTH, format_args!("{length}"));
    if method == Method::GET {
        *response.body_mut() = body(file, first, length)?;
    }
    Ok(())
}

/// Sends the client to a directory's own path: 301 to `path` with a `/`, as the client wrote it (not as a filter changed it).
/// `None` if it ends in `/` already: then a filter named the directory, and the client would be sent round in a circle.
#[must_use]
pub fn redirect(path: &str, query: Option<&str>) -> Option<Response<ResponseBody>> {
    if path.ends_with('/') {
        return None;
    }
    // `//name/` would be another host (RFC 3986 section 4.2), and browsers take a backslash for a slash.
    let mut location = format!("/{}/", path.trim_start_matches('/').replace('\\', "%5C"));
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let mut response = Response::new(ResponseBody::Empty);
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    put(response.headers_mut(), LOCATION, format_args!("{location}"));
    Some(response)
}

/// What 200, 206 and 304 have in common (RFC 9110 section 15.4.5).
fn describe(headers: &mut HeaderMap, etag: HeaderValue, modified: Option<SystemTime>, files: &Files) {
    headers.insert(ETAG, etag);
    if let Some(modified) = modified {
        put(headers, LAST_MODIFIED, format_args!("{}", HttpDate::from(modified)));
    }
    if let Some(value) = &files.cache_control {
        headers.insert(CACHE_CONTROL, value.clone());
    }
}

/// Sets a field. What these values are made of, numbers, dates and a path without control bytes, always fits.
fn put(headers: &mut HeaderMap, name: HeaderName, text: fmt::Arguments<'_>) {
    if let Some(value) = field::value(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::Found;
    use super::super::fixture::{Tree, rule};
    use super::super::look_up::walk;
    use super::*;
    use crate::route::Codings;

    struct Answer {
        status: u16,
        headers: HeaderMap,
        body: String,
    }

    impl Answer {
        fn field(&self, name: HeaderName) -> Option<&str> {
            self.headers.get(name).map(|value| value.to_str().unwrap())
        }
    }

    fn ask(tree: &Tree, files: &Files, path: &str, method: &Method, fields: &[(HeaderName, &str)]) -> Answer {
        let Found::File(opened) = walk(tree.root.far(), files, [path], Codings::default()).unwrap() else { panic!("{path} is no file") };
        let headers = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        let (head, body) = respond(opened, files, method, &headers).unwrap().into_parts();
        let body =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(body.collect()).unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn sample() -> Tree {
        let tree = Tree::new(&[("www/a.css", "0123456789"), ("www/empty.txt", "")]);
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        tree.open("www/a.css").set_modified(modified).unwrap();
        tree
    }

    #[test]
    fn a_whole_file_comes_with_everything_that_is_known_of_it() {
        let (tree, files) = (sample(), Files { cache_control: Some(HeaderValue::from_static("max-age=60")), ..rule("/www") });
        let answer = ask(&tree, &files, "/a.css", &Method::GET, &[]);
        assert_eq!((answer.status, answer.body.as_str()), (200, "0123456789"));
        for (name, value) in [
            (CONTENT_TYPE, "text/css; charset=utf-8"),
            (CONTENT_LENGTH, "10"),
            (LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (ACCEPT_RANGES, "bytes"),
            (CACHE_CONTROL, "max-age=60"),
        ] {
            assert_eq!(answer.field(name.clone()), Some(value), "{name}");
        }
        assert!(answer.field(ETAG).is_some_and(|tag| tag.starts_with('"')));
        let empty = ask(&tree, &files, "/empty.txt", &Method::GET, &[]);
        assert_eq!((empty.status, empty.field(CONTENT_LENGTH), empty.body.as_str()), (200, Some("0"), ""));
    }

    #[test]
    fn head_has_the_fields_of_get_and_no_body() {
        let (tree, files) = (sample(), rule("/www"));
        let get = ask(&tree, &files, "/a.css", &Method::GET, &[]);
        let head = ask(&tree, &files, "/a.css", &Method::HEAD, &[(RANGE, "bytes=0-1")]);
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.headers, get.headers);
    }

    #[test]
    fn any_other_method_is_refused_with_those_that_are_allowed() {
        let tree = sample();
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
            let answer = ask(&tree, &rule("/www"), "/a.css", &method, &[]);
            assert_eq!((answer.status, answer.field(ALLOW), answer.body.as_str()), (405, Some("GET, HEAD"), ""));
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let (tree, files) = (sample(), Files { cache_control: Some(HeaderValue::from_static("no-cache")), ..rule("/www") });
        let whole = ask(&tree, &files, "/a.css", &Method::GET, &[]);
        let (tag, date) = (whole.field(ETAG).unwrap(), whole.field(LAST_MODIFIED).unwrap());
        for method in [Method::GET, Method::HEAD] {
            for field in [(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, date)] {
                let answer = ask(&tree, &files, "/a.css", &method, &[field, (RANGE, "bytes=0-1")]);
                assert_eq!((answer.status, answer.body.as_str()), (304, ""));
                assert_eq!((answer.field(ETAG), answer.field(LAST_MODIFIED)), (Some(tag), Some(date)));
                assert_eq!(answer.field(CACHE_CONTROL), Some("no-cache"));
                assert_eq!((answer.field(CONTENT_LENGTH), answer.field(CONTENT_TYPE)), (None, None));
            }
        }
        let failed = ask(&tree, &files, "/a.css", &Method::GET, &[(IF_MATCH, "\"other\""), (RANGE, "bytes=0-1")]);
        assert_eq!((failed.status, failed.body.as_str()), (412, ""));
    }

    #[test]
    fn a_range_is_sent_alone_and_one_behind_the_end_is_refused() {
        let (tree, files) = (sample(), rule("/www"));
        for (range, content_range, body) in
            [("bytes=2-4", "bytes 2-4/10", "234"), ("bytes=7-", "bytes 7-9/10", "789"), ("bytes=-4", "bytes 6-9/10", "6789")]
        {
            let answer = ask(&tree, &files, "/a.css", &Method::GET, &[(RANGE, range)]);
            assert_eq!((answer.status, answer.body.as_str()), (206, body), "{range}");
            assert_eq!(answer.field(CONTENT_RANGE), Some(content_range));
            assert_eq!(answer.field(CONTENT_LENGTH), Some(body.len().to_string().as_str()));
            assert!(answer.field(ETAG).is_some() && answer.field(CONTENT_TYPE).is_some());
        }
        let behind = ask(&tree, &files, "/a.css", &Method::GET, &[(RANGE, "bytes=10-")]);
        assert_eq!((behind.status, behind.field(CONTENT_RANGE), behind.body.as_str()), (416, Some("bytes */10"), ""));
        assert_eq!(behind.field(ACCEPT_RANGES), Some("bytes"));
        for range in ["bytes=9-0", "bytes=0-5,5-9"] {
            let whole = ask(&tree, &files, "/a.css", &Method::GET, &[(RANGE, range)]);
            assert_eq!((whole.status, whole.body.len(), whole.field(CONTENT_RANGE)), (200, 10, None), "{range}");
        }
        let nothing = ask(&tree, &files, "/empty.txt", &Method::GET, &[(RANGE, "bytes=0-")]);
        assert_eq!((nothing.status, nothing.field(CONTENT_LENGTH)), (200, Some("0")));
        let stale = ask(&tree, &files, "/a.css", &Method::GET, &[(RANGE, "bytes=2-4"), (IF_RANGE, "\"old\"")]);
        assert_eq!((stale.status, stale.body.len()), (200, 10));
    }

    /// What hyper writes for one request to `www/<name>`; `before_body` runs when the file is opened.
    fn on_the_wire(tree: Tree, request: &str, before_body: fn(&Tree)) -> (String, Result<(), hyper::Error>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let Found::File(opened) = walk(tree.root.far(), &rule("/www"), [request.uri().path()], Codings::default()).unwrap() else {
                panic!("no file")
            };
            before_body(&tree);
            let response = respond(opened, &rule("/www"), request.method(), request.headers());
            async { response }
        });
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            client.write_all(request.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut http = hyper::server::conn::http1::Builder::new();
            let outcome = http.half_close(true).serve_connection(hyper_util::rt::TokioIo::new(server), service).await;
            let mut written = Vec::new();
            client.read_to_end(&mut written).await.unwrap();
            (String::from_utf8(written).unwrap(), outcome)
        })
    }

    #[test]
    fn hyper_announces_what_is_sent() {
        for (request, status, length, end) in [
            ("GET /a.css HTTP/1.1\r\n\r\n", "200 OK", Some("10"), "\r\n\r\n0123456789"),
            ("HEAD /a.css HTTP/1.1\r\n\r\n", "200 OK", Some("10"), "\r\n\r\n"),
            ("GET /empty.txt HTTP/1.1\r\n\r\n", "200 OK", Some("0"), "\r\n\r\n"),
            ("GET /a.css HTTP/1.1\r\nrange: bytes=1-2\r\n\r\n", "206 Partial Content", Some("2"), "\r\n\r\n12"),
            ("GET /a.css HTTP/1.1\r\nrange: bytes=1-2,4-4\r\n\r\n", "206 Partial Content", Some("223"), "--\r\n"),
            ("GET /a.css HTTP/1.1\r\nif-none-match: *\r\n\r\n", "304 Not Modified", None, "\r\n\r\n"),
            ("POST /a.css HTTP/1.1\r\n\r\n", "405 Method Not Allowed", Some("0"), "\r\n\r\n"),
        ] {
            let (written, outcome) = on_the_wire(sample(), request, |_| ());
            assert!(outcome.is_ok() && written.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {written}");
            let announced = written.lines().find_map(|line| line.strip_prefix("content-length: "));
            assert_eq!(announced, length, "{request}");
            assert!(written.ends_with(end), "{request}: {written}");
        }
    }

    #[test]
    fn a_file_that_shrinks_closes_the_connection_before_the_announced_end() {
        let tree = Tree::new(&[]);
        tree.write("www/big", "x".repeat(300_000).as_bytes());
        let shrink = |tree: &Tree| tree.open("www/big").set_len(200_000).unwrap();
        let (written, outcome) = on_the_wire(tree, "GET /big HTTP/1.1\r\n\r\n", shrink);
        assert!(outcome.is_err() && written.len() < 300_000, "{} bytes, {outcome:?}", written.len());
        // hyper may not have flushed its head by the time the read fails: then nothing at all is seen.
        assert!(written.is_empty() || written.contains("content-length: 300000\r\n"), "{:?}", written.lines().next());
    }

    #[test]
    fn a_directory_redirects_to_itself_and_never_to_another_host() {
        for (path, query, location) in [
            ("/ttrss", None, "/ttrss/"),
            ("/ttrss", Some("a=1&b"), "/ttrss/?a=1&b"),
            ("/a%20b/c", Some(""), "/a%20b/c/?"),
            ("//evil.example", None, "/evil.example/"),
            ("///evil.example//x", None, "/evil.example//x/"),
            ("/\\evil.example", None, "/%5Cevil.example/"),
        ] {
            let response = redirect(path, query).unwrap();
            assert_eq!(response.status(), StatusCode::MOVED_PERMANENTLY);
            assert_eq!(response.headers()[LOCATION], location, "{path}");
        }
        assert!(redirect("/x/", None).is_none() && redirect("/", None).is_none(), "no circle");
    }
}
