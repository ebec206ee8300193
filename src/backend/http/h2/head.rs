//! The head of a request -> hyper's, for HTTP/2.

use http::header::{CONTENT_LENGTH, HOST};
use http::uri::{Authority, Scheme};
use http::{Request, Uri, Version};

use crate::backend::http::head::{Framed, Head};
use crate::backend::{Error, RequestBody};

/// `Host` becomes `:authority` (RFC 9113 section 8.3.1); the body's length is said as HTTP/2 says it. Fields are copied: they go to a task of
/// hyper's.
pub(super) fn convert(head: &Head<'_>, body: RequestBody) -> Result<Request<RequestBody>, Error> {
    let framed = head.framed(body.length());
    let mut request = Request::new(body);
    request.method_mut().clone_from(head.method);
    let headers = request.headers_mut();
    for (name, value) in head.sent() {
        headers.append(name, value.clone());
    }
    if let Framed::Sized(length) = framed {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let host = headers.remove(HOST);
    let mut target = Uri::from(head.target.clone());
    // A request of HTTP/1.0 may have none, and then has no `:authority`. h2 allows that in what is marked as HTTP/1.1 only.
    if let Some(authority) = host.and_then(|host| Authority::try_from(host.as_bytes()).ok()) {
        let mut parts = target.into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority);
        target = Uri::from_parts(parts).map_err(|_| Error::Protocol("the target can't be said in HTTP/2"))?;
        *request.version_mut() = Version::HTTP_2;
    }
    *request.uri_mut() = target;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert_with(host: &str) -> Request<RequestBody> {
        let request = Request::get("/a//b?q").header("host", host).header("x", "1").body(()).unwrap();
        convert(&Head::of(&request), RequestBody::empty()).unwrap()
    }

    #[test]
    fn the_host_becomes_the_authority() {
        let request = convert_with("a.test:8080");
        assert_eq!((request.uri().to_string().as_str(), request.version()), ("http://a.test:8080/a//b?q", Version::HTTP_2));
        assert!(!request.headers().contains_key("host") && request.headers().contains_key("x"));
    }

    #[test]
    fn without_a_host_there_is_no_authority() {
        let request = convert_with("");
        assert_eq!((request.uri().to_string().as_str(), request.version()), ("/a//b?q", Version::HTTP_11));
        assert!(!request.headers().contains_key("host"));
    }
}
