//! `CORS` -> origins that may ask, and what they are told (Fetch standard; Gateway API `HTTPCORSFilter`).
//!
//! In: patterns such as `https://*.example.org`; the `Origin` of a request. Out: whether it is one of them. Never: a guess what a text
//! that is no origin stands for.

use std::str::FromStr;

use http::HeaderValue;

use crate::names::shown;

/// Cross-origin requests: who may ask, and what they are told.
#[derive(Debug)]
pub struct Cors {
    /// Who may ask.
    pub origins: Origins,
    /// Whether cookies and passwords may be sent (`Access-Control-Allow-Credentials`).
    pub credentials: bool,
    /// `Access-Control-Allow-Methods`
    pub methods: Allowed,
    /// `Access-Control-Allow-Headers`
    pub headers: Allowed,
    /// `Access-Control-Expose-Headers`
    pub exposed: Option<HeaderValue>,
    /// `Access-Control-Max-Age`
    pub max_age: HeaderValue,
}

/// Who may ask.
#[derive(Debug)]
pub enum Origins {
    /// Everybody.
    Any,
    /// Origins that one of these stands for.
    Of(Vec<Origin>),
}

/// What may be used.
#[derive(Debug)]
pub enum Allowed {
    /// What is always allowed; the field is left out.
    Nothing,
    /// Whatever the preflight asks for.
    Asked,
    /// These, separated by commas.
    These(HeaderValue),
}

/// `https://example.org`, `http://*.example.org:8080`, `https://*`: a scheme, hosts, a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Any,
    /// With its leading dot.
    Suffix(Box<[u8]>),
    Exact(Box<[u8]>),
}

/// Why a text is not an origin. `Display` is one sentence that says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin; expected for example `https://example.org`, `https://*.example.org:8443` or `*`")]
pub struct OriginError(String);

impl Origins {
    /// Whether this `Origin` may ask.
    #[must_use]
    pub fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Of(patterns) => origin
                .to_str()
                .ok()
                .and_then(split)
                .is_some_and(|(secure, host, port)| patterns.iter().any(|pattern| pattern.stands_for(secure, host.as_bytes(), port))),
        }
    }
}

impl Origin {
    fn stands_for(&self, secure: bool, host: &[u8], port: u16) -> bool {
        let fits = match &self.host {
            Host::Any => true,
            Host::Suffix(suffix) => {
                let start = host.len().checked_sub(suffix.len()).filter(|start| *start > 0);
                start.is_some_and(|start| host[start..].eq_ignore_ascii_case(suffix))
            }
            Host::Exact(exact) => host.eq_ignore_ascii_case(exact),
        };
        fits && (self.secure, self.port) == (secure, port)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let fail = || OriginError(shown(text));
        let (secure, host, port) = split(text).ok_or_else(fail)?;
        let labels = host.strip_prefix("*.").unwrap_or(host);
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match in_brackets {
            _ if host == "*" => Host::Any,
            Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => Host::Exact(host.as_bytes().into()),
            None if is_name(labels) && labels.len() < host.len() => Host::Suffix(host.as_bytes()[1..].into()),
            None if is_name(labels) => Host::Exact(host.as_bytes().into()),
            _ => return Err(fail()),
        };
        Ok(Self { secure, host, port })
    }
}

/// Scheme, host and port; the scheme's own port if none is named.
fn split(origin: &str) -> Option<(bool, &str, u16)> {
    let (secure, rest) = match origin.split_once("://")? {
        ("https", rest) => (true, rest),
        ("http", rest) => (false, rest),
        _ => return None,
    };
    // The colons of an IPv6 address stand before its bracket.
    let (host, port) = match rest.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        None => (rest, if secure { 443 } else { 80 }),
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok().filter(|port| *port > 0)?),
        Some(_) => return None,
    };
    (!host.is_empty()).then_some((secure, host, port))
}

fn is_name(host: &str) -> bool {
    let label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    host.len() <= 253 && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, origin: &str) -> bool {
        Origins::Of(vec![pattern.parse().unwrap()]).allow(&HeaderValue::from_str(origin).unwrap())
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        assert!(allows("https://www.foo.com", "https://www.foo.com"));
        assert!(allows("https://www.foo.com", "https://WWW.foo.com:443"));
        assert!(allows("http://www.foo.com:80", "http://www.foo.com"));
        assert!(allows("https://[::1]:8443", "https://[::1]:8443"));
        for other in ["http://www.foo.com", "https://foo.com", "https://www.foo.com:8443", "https://www.foo.com.evil.org", "null", ""] {
            assert!(!allows("https://www.foo.com", other), "{other}");
        }
    }

    #[test]
    fn a_star_stands_for_any_number_of_labels_to_its_left() {
        assert!(allows("https://*.bar.com", "https://www.bar.com"));
        assert!(allows("https://*.bar.com", "https://xpto.www.bar.com"));
        assert!(allows("https://*", "https://anything.example"));
        for other in ["https://bar.com", "https://.bar.com", "https://foobar.com", "http://www.bar.com", "https://www.bar.com:8443"] {
            assert!(!allows("https://*.bar.com", other), "{other}");
        }
        assert!(!allows("https://*", "https://anything.example:8443"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "foo.com",
            "ftp://foo.com",
            "https://",
            "https://foo.com/",
            "https://foo.com:0",
            "https://foo.com:65536",
            "https://foo.com:+1",
            "https://foo.*.com",
            "https://*foo.com",
            "https://a..b",
            "https://u@foo.com",
            "https://[::1",
            "https://[::x]",
            "HTTPS://foo.com",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
