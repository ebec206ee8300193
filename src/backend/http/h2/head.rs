//! The head of a request for HTTP/1.1 -> that for HTTP/2.

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Uri, Version};

use crate::backend::http::exchange::frame;
use crate::backend::{Error, RequestBody};

/// `Host` becomes `:authority` (RFC 9113 section 8.3.1); the body's length is said as HTTP/2 says it.
pub(super) fn convert(mut request: Request<RequestBody>) -> Result<Request<RequestBody>, Error> {
    frame(&mut request);
    request.headers_mut().remove(TRANSFER_ENCODING);
    let host = request.headers_mut().remove(HOST);
    // A request of HTTP/1.0 may have none, and then has no `:authority`. h2 allows that in what is marked as HTTP/1.1 only.
    if let Some(authority) = host.and_then(|host| Authority::try_from(host.as_bytes()).ok()) {
        let mut target = std::mem::take(request.uri_mut()).into_parts();
        target.scheme = Some(Scheme::HTTP);
        target.authority = Some(authority);
        *request.uri_mut() = Uri::from_parts(target).map_err(|_| Error::Protocol("the target can't be said in HTTP/2"))?;
        *request.version_mut() = Version::HTTP_2;
    }
    Ok(request)
}

/// The request as it was before it was converted, but for what frames its body.
pub(super) fn revert(mut request: Request<RequestBody>) -> Request<RequestBody> {
    let target = std::mem::take(request.uri_mut()).into_parts();
    // An authority is a valid value.
    if let Some(host) = target.authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = target.path_and_query.map(Uri::from).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert_with(host: &str) -> Request<RequestBody> {
        convert(Request::get("/a//b?q").header("host", host).header("x", "1").body(RequestBody::empty()).unwrap()).unwrap()
    }

    #[test]
    fn the_host_becomes_the_authority() {
        let request = convert_with("a.test:8080");
        assert_eq!((request.uri().to_string().as_str(), request.version()), ("http://a.test:8080/a//b?q", Version::HTTP_2));
        assert!(!request.headers().contains_key("host") && request.headers().contains_key("x"));
    }

    #[test]
    fn what_was_not_sent_is_given_back_as_it_was() {
        for host in ["a.test:8080", ""] {
            let request = revert(convert_with(host));
            assert_eq!((request.uri().to_string().as_str(), request.version()), ("/a//b?q", Version::HTTP_11));
            let expected = Some(host).filter(|host| !host.is_empty());
            assert_eq!(request.headers().get("host").map(|host| host.to_str().unwrap()), expected);
            assert_eq!(convert(request).unwrap().uri(), convert_with(host).uri());
        }
    }

    #[test]
    fn without_a_host_there_is_no_authority() {
        let request = convert_with("");
        assert_eq!((request.uri().to_string().as_str(), request.version()), ("/a//b?q", Version::HTTP_11));
        assert!(!request.headers().contains_key("host"));
    }
}
