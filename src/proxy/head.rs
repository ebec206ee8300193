//! The head of a request -> the host and the one path that are matched, checked and forwarded.
//!
//! In: a head as hyper read it. Out: [`Head`], or why it is refused. Never: a guess which of two hosts was meant.

use http::header::HOST;
use http::uri::Authority;
use http::{Method, Request, Version};

use super::rescue::Cause;
use crate::route::path;

/// What a request is for.
#[derive(Debug, Clone)]
pub(super) struct Head {
    host: Box<str>,
    path: Box<str>,
}

impl Head {
    /// Reads and checks.
    pub(super) fn read<B>(request: &Request<B>) -> Result<Self, Cause> {
        if request.method() == Method::CONNECT {
            return Err(Cause::NotImplemented);
        }
        let authority = authority(request)?;
        let host = authority.as_ref().map_or("", Authority::host).trim_end_matches('.').to_ascii_lowercase();
        let path = path::normalise(request.uri().path()).map_err(Cause::Path)?;
        Ok(Self { host: host.into(), path: path.into() })
    }

    /// The host: lower case, without port or trailing dot; empty if the request names none.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The path, normalised.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// `Host` once, and the same as the authority of an absolute-form target (RFC 9112 section 3.2).
fn authority<B>(request: &Request<B>) -> Result<Option<Authority>, Cause> {
    let mut fields = request.headers().get_all(HOST).iter();
    let (first, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(Cause::Head("the Host field is repeated"));
    }
    let field = match first {
        None if request.version() == Version::HTTP_11 => return Err(Cause::Head("the Host field is missing")),
        None => None,
        Some(value) if value.is_empty() => None,
        Some(value) => Some(Authority::try_from(value.as_bytes()).map_err(|_| Cause::Head("the Host field is invalid"))?),
    };
    if field.as_ref().is_some_and(|field| field.as_str().contains('@')) {
        return Err(Cause::Head("the Host field is invalid"));
    }
    match (request.uri().authority(), field) {
        (Some(target), Some(field)) if !target.as_str().eq_ignore_ascii_case(field.as_str()) => {
            Err(Cause::Head("the Host field and the request line disagree"))
        }
        (Some(target), _) => Ok(Some(target.clone())),
        (None, field) => Ok(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str, hosts: &[&str]) -> Result<Head, Cause> {
        let request = hosts.iter().fold(Request::builder().uri(uri), |request, host| request.header(HOST, *host));
        Head::read(&request.body(()).unwrap())
    }

    #[test]
    fn the_host_is_lower_case_without_port_and_dot() {
        assert_eq!(read("/", &["Home.Example.Org.:8080"]).unwrap().host(), "home.example.org");
        assert_eq!(read("http://Home.example.org/x", &["home.example.org"]).unwrap().host(), "home.example.org");
        assert_eq!(read("/", &["[::1]:80"]).unwrap().host(), "[::1]");
    }

    #[test]
    fn a_head_that_can_be_read_in_two_ways_is_refused() {
        for (uri, hosts) in [
            ("/", &[][..]),
            ("/", &["a", "b"]),
            ("/", &["a", "a"]),
            ("/", &["a b"]),
            ("/", &["user@a"]),
            ("http://a/", &["b"]),
            ("/../x", &["a"]),
        ] {
            assert!(read(uri, hosts).is_err(), "{uri} {hosts:?}");
        }
    }
}
