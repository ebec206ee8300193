//! Strings of manifests -> names that are valid ever after.
//!
//! In: text as a person wrote it. Out: a type that proves its own form. Never: I/O, or knowledge of what a name refers to.

mod networks;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use networks::{ClientKey, Networks};

/// Why a text is not a name. `Display` is one sentence that says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub String);

/// Declares a string type that can only be made by its checker, with its schema beside it.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:path, $format:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text, as it is written in a manifest (lower case where case does not count).
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text).map(|text| Self(Arc::from(text)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "format": $format, "pattern": $pattern})
            }
        }
    };
}

checked_string! {
    /// `metadata.name` of an App or a Gateway: a DNS label (RFC 1123 section 2.1, as Kubernetes uses it), 1 to 63 characters.
    AppName, dns_label, "dns-label", "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
}
checked_string! {
    /// Name of a backend, rule, listener inside its manifest: a DNS label.
    SectionName, dns_label, "dns-label", "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
}
checked_string! {
    /// Name of a container as its runtime knows it: letters, digits, `.`, `_`, `-`, not starting with `.` or `-`.
    ContainerName, container_name, "container-name", "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$"
}
checked_string! {
    /// An absolute path as the container sees it, without `.` or `..` segments. It is resolved by `container::rootfs` only.
    ContainerPath, container_path, "container-path", "^/"
}

impl ContainerPath {
    /// The directory that holds this path's last segment; `/` for the root itself.
    #[must_use]
    pub fn parent(&self) -> Self {
        let cut = self.0.rfind('/').unwrap_or(0);
        Self(Arc::from(if cut == 0 { "/" } else { &self.0[..cut] }))
    }

    /// The last segment; empty for `/`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.0[self.0.rfind('/').map_or(0, |cut| cut + 1)..]
    }
}

/// A hostname that routes match: exact, or `*.suffix` for one or more labels before the suffix (Gateway API `Hostname`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host only; lower case, without port or trailing dot.
    Exact(Arc<str>),
    /// Any host that ends in `.suffix`; the suffix is kept without its leading `*.`.
    Wildcard(Arc<str>),
}

impl HostPattern {
    /// Whether a host is meant by it; lower case, without port or trailing dot.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(own) => **own == *host,
            Self::Wildcard(suffix) => is_below(host, suffix),
        }
    }

    /// The more specific of two that match is the greater: exact before wildcard, then the longer one (Gateway API `Hostname`).
    #[must_use]
    pub fn specificity(&self) -> (bool, usize) {
        match self {
            Self::Exact(host) => (true, host.len()),
            Self::Wildcard(suffix) => (false, suffix.len()),
        }
    }

    /// The hosts that both mean: one of the two, the more specific; none: there is no such host.
    #[must_use]
    pub fn intersection<'a>(&'a self, other: &'a Self) -> Option<&'a Self> {
        let (narrow, wide) = if self.specificity() >= other.specificity() { (self, other) } else { (other, self) };
        let within = match (narrow, wide) {
            (Self::Exact(host), wide) => wide.matches(host),
            (Self::Wildcard(one), Self::Wildcard(two)) => one == two || is_below(one, two),
            (Self::Wildcard(_), Self::Exact(_)) => false,
        };
        within.then_some(narrow)
    }

    /// Whether there is a host that both mean.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.intersection(other).is_some()
    }
}

/// Whether a host is the suffix with labels before it.
fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
}

impl FromStr for HostPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let lower = text.to_ascii_lowercase();
        let lower = lower.strip_suffix('.').unwrap_or(&lower);
        match lower.strip_prefix("*.") {
            Some(suffix) => hostname(suffix).map(|suffix| Self::Wildcard(Arc::from(suffix))),
            None => hostname(lower).map(|host| Self::Exact(Arc::from(host))),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for HostPattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HostPattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "host-pattern",
            "pattern": r"^(\*\.)?[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*\.?$"
        })
    }
}

fn dns_label(text: &str) -> Result<&str, NameError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-');
    if fits {
        Ok(text)
    } else {
        Err(NameError(format!("`{}` is not a DNS label; expected 1 to 63 of a-z, 0-9 and `-`, with no `-` at either end", shown(text))))
    }
}

fn container_name(text: &str) -> Result<&str, NameError> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fits = (1..=253).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with(['.', '-']);
    if fits {
        Ok(text)
    } else {
        Err(NameError(format!("`{}` is not a container name; expected letters, digits, `.`, `_` and `-`", shown(text))))
    }
}

fn container_path(text: &str) -> Result<&str, NameError> {
    let problem = if text.is_empty() {
        "is empty; expected a path that starts with `/`, as the container sees it"
    } else if !text.starts_with('/') {
        "is not absolute; expected a path that starts with `/`, as the container sees it"
    } else if text.len() > 4095 {
        "is longer than 4095 bytes; expected a path that Linux can open"
    } else if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        "holds a control character; write the path without it"
    } else if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        "holds a `.` or `..` segment; write the path without it"
    } else {
        return Ok(text);
    };
    Err(NameError(format!("`{}` {problem}", shown(text))))
}

fn hostname(text: &str) -> Result<&str, NameError> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        Ok(text)
    } else {
        Err(NameError(format!(
            "`{}` is not a hostname; expected labels like `home.example.org`, or `*.example.org`, without scheme, port or path",
            shown(text)
        )))
    }
}

/// A value as it may stand in a message: bounded, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_patterns_overlap_if_some_host_fits_both() {
        let pattern = |text: &str| text.parse::<HostPattern>().unwrap();
        for (one, two) in [("a.b", "a.b"), ("*.b", "a.b"), ("*.b", "x.a.b"), ("*.b", "*.a.b"), ("*.b", "*.b")] {
            assert!(pattern(one).overlaps(&pattern(two)) && pattern(two).overlaps(&pattern(one)), "{one} {two}");
        }
        for (one, two) in [("a.b", "b"), ("*.b", "b"), ("*.b", "ab"), ("*.b", "*.ab"), ("*.b", "x.ab")] {
            assert!(!pattern(one).overlaps(&pattern(two)) && !pattern(two).overlaps(&pattern(one)), "{one} {two}");
        }
    }

    #[test]
    fn what_two_patterns_have_in_common_is_the_narrower_one() {
        let pattern = |text: &str| text.parse::<HostPattern>().unwrap();
        for (one, two, common) in [("*.b", "a.b", "a.b"), ("*.b", "*.a.b", "*.a.b"), ("a.b", "a.b", "a.b"), ("*.b", "*.b", "*.b")] {
            assert_eq!(pattern(one).intersection(&pattern(two)), Some(&pattern(common)), "{one} {two}");
            assert_eq!(pattern(two).intersection(&pattern(one)), Some(&pattern(common)), "{two} {one}");
        }
    }

    #[test]
    fn an_app_name_is_a_dns_label() {
        for good in ["a", "ttrss", "a-b", "0a", &"x".repeat(63)] {
            assert!(good.parse::<AppName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a b", "ä", &"x".repeat(64)] {
            assert!(bad.parse::<AppName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_container_path_is_absolute_and_plain() {
        for bad in ["", "run", "/a/../b", "/a/./b", "/a\0b"] {
            assert!(bad.parse::<ContainerPath>().is_err(), "{bad}");
        }
        let path: ContainerPath = "/run/php/fpm.sock".parse().unwrap();
        assert_eq!((path.parent().as_str(), path.file_name()), ("/run/php", "fpm.sock"));
        let top: ContainerPath = "/x".parse().unwrap();
        assert_eq!((top.parent().as_str(), top.file_name()), ("/", "x"));
    }

    #[test]
    fn a_host_pattern_ignores_case_and_the_last_dot() {
        assert_eq!("Home.Example.Org.".parse(), Ok(HostPattern::Exact("home.example.org".into())));
        assert_eq!("*.example.org".parse(), Ok(HostPattern::Wildcard("example.org".into())));
        for bad in ["", "*", "*.", "a..b", "http://a", "a:80", "a_b.org", "a/b", "-a.org"] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }
}
