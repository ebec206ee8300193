//! The head of a request -> the host and the one path that are matched, checked and forwarded.
//!
//! In: a head that the server let through: `Host` is there once, valid, and agrees with the target; every byte has its place. Out: [`Head`],
//! or why it is refused: what is left is what a path means. Never: a guess which of two hosts was meant.

use std::borrow::Cow;

use http::Request;
use http::header::HOST;

use super::fields::Seen;
use super::rescue::Cause;
use super::text::Text;
use crate::route::path;

/// What a request is for.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// The host: lower case, without port or trailing dot; empty if the request names none.
    pub(super) host: Text,
    /// The path, normalised.
    pub(super) path: Text,
    /// The fields that are there.
    pub(super) seen: Seen,
}

impl Head {
    /// Reads and checks. `seen`: the request's fields.
    pub(super) fn read<B>(request: &Request<B>, seen: Seen) -> Result<Self, Cause> {
        let path = match (path::normalise(request.uri().path()).map_err(Cause::Path)?, request.uri().path_and_query()) {
            (Cow::Borrowed(_), Some(target)) => Text::Path(target.clone()),
            (path, _) => Text::from(&*path),
        };
        Ok(Self { host: host(request), path, seen })
    }
}

/// The target's authority comes first (RFC 9112 section 3.2.2).
fn host<B>(request: &Request<B>) -> Text {
    if let Some(authority) = request.uri().authority() {
        return Text::from(&*without_dots(authority.host()).to_ascii_lowercase());
    }
    let Some(value) = request.headers().get(HOST) else { return Text::Empty };
    let field = value.as_bytes();
    if !field.ends_with(b".") && field.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')) {
        return Text::beginning(value, field.len());
    }
    let field = value.to_str().unwrap_or_default();
    // The colons of an IPv6 address stand inside of brackets.
    let host = without_dots(match field.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => field,
    });
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Text::from(&*host.to_ascii_lowercase());
    }
    Text::beginning(value, host.len())
}

fn without_dots(host: &str) -> &str {
    host.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str, hosts: &[&str]) -> Result<Head, Cause> {
        let request = hosts.iter().fold(Request::builder().uri(uri), |request, host| request.header(HOST, *host));
        Head::read(&request.body(()).unwrap(), Seen::default())
    }

    #[test]
    fn the_host_is_lower_case_without_port_and_dot() {
        assert_eq!(&*read("/", &["Home.Example.Org.:8080"]).unwrap().host, "home.example.org");
        assert_eq!(&*read("http://Home.example.org/x", &["home.example.org"]).unwrap().host, "home.example.org");
        assert_eq!(&*read("/", &["[::1]:80"]).unwrap().host, "[::1]");
    }

    #[test]
    fn what_has_no_host_or_no_path_of_an_app_says_so() {
        assert_eq!(&*read("/", &[]).unwrap().host, "");
        assert_eq!(&*read("/", &[""]).unwrap().host, "");
        assert_eq!(&*read("/", &["[::1]"]).unwrap().host, "[::1]");
        assert!(matches!(read("/../x", &["a"]), Err(Cause::Path(_))));
    }
}
