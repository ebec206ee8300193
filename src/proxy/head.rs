//! The head of a request -> the host and the one path that are matched, checked and forwarded.
//!
//! In: a head that the server let through: `Host` is there once, valid, and agrees with the target; every byte has its place. Out: [`Head`],
//! or why it is refused: what is left is what a path means. Never: a guess which of two hosts was meant.

use std::rc::Rc;

use http::Request;
use http::header::HOST;

use super::rescue::Cause;
use crate::route::path;

/// What a request is for.
#[derive(Debug, Clone)]
pub(super) struct Head {
    host: Rc<str>,
    path: Rc<str>,
}

impl Head {
    /// Reads and checks.
    pub(super) fn read<B>(request: &Request<B>) -> Result<Self, Cause> {
        let host = host(request).trim_end_matches('.').to_ascii_lowercase();
        let path = path::normalise(request.uri().path()).map_err(Cause::Path)?;
        Ok(Self { host: host.into(), path: path.into() })
    }

    /// The host: lower case, without port or trailing dot; empty if the request names none.
    pub(super) fn host(&self) -> &Rc<str> {
        &self.host
    }

    /// The path, normalised.
    pub(super) fn path(&self) -> &Rc<str> {
        &self.path
    }
}

/// Without its port. The target's authority comes first (RFC 9112 section 3.2.2).
fn host<B>(request: &Request<B>) -> &str {
    if let Some(authority) = request.uri().authority() {
        return authority.host();
    }
    let field = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The colons of an IPv6 address stand inside of brackets.
    match field.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => field,
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
        assert_eq!(read("/", &["Home.Example.Org.:8080"]).unwrap().host().as_ref(), "home.example.org");
        assert_eq!(read("http://Home.example.org/x", &["home.example.org"]).unwrap().host().as_ref(), "home.example.org");
        assert_eq!(read("/", &["[::1]:80"]).unwrap().host().as_ref(), "[::1]");
    }

    #[test]
    fn what_has_no_host_or_no_path_of_an_app_says_so() {
        assert_eq!(read("/", &[]).unwrap().host().as_ref(), "");
        assert_eq!(read("/", &[""]).unwrap().host().as_ref(), "");
        assert_eq!(read("/", &["[::1]"]).unwrap().host().as_ref(), "[::1]");
        assert!(matches!(read("/../x", &["a"]), Err(Cause::Path(_))));
    }
}
