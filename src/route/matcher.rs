//! One way to match a request, and how specific it is.
//!
//! In: the parts of a request. Out: yes or no, and an order between matchers. Never: a look at any other rule.

use http::{HeaderMap, HeaderName, Method};
use regex::{Regex, RegexBuilder};

/// Memory that one compiled expression may take.
const REGEX_BYTES: usize = 1 << 20;

/// Compiles an expression as paths and values are matched: anchored at both ends, bounded in size.
///
/// # Errors
/// It is no expression by itself (`a)(b`), can't be anchored (`(?x) #`), or is too large.
pub fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(REGEX_BYTES).build();
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}

/// What a matcher looks at.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Lower case, without port or trailing dot; empty if the request names none.
    pub host: &'a str,
    /// Normalised: see [`super::path`].
    pub path: &'a str,
    /// Without its `?`.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The fields of the head.
    pub headers: &'a HeaderMap,
}

/// One way to match: all of it has to hold (Gateway API `HTTPRouteMatch`).
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The path.
    pub path: PathMatcher,
    /// The method, if it matters.
    pub method: Option<Method>,
    /// Fields of the head.
    pub headers: Box<[(HeaderName, ValueMatcher)]>,
    /// Parameters of the query; the first of each name counts.
    pub query: Box<[(Box<str>, ValueMatcher)]>,
}

/// How the path has to look.
#[derive(Debug, Clone)]
pub enum PathMatcher {
    /// Byte by byte.
    Exact(Box<str>),
    /// Whole elements from the start; kept without a trailing `/` (empty: every path).
    Prefix(Box<str>),
    /// Anchored at both ends.
    Regex(Regex),
}

/// How a value has to look.
#[derive(Debug, Clone)]
pub enum ValueMatcher {
    /// Byte by byte.
    Exact(Box<str>),
    /// Anchored at both ends.
    Regex(Regex),
}

impl ValueMatcher {
    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *value,
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

impl Matcher {
    /// All but the path, which the table has looked up already.
    #[must_use]
    pub fn accepts_beyond_path(&self, request: &Request<'_>) -> bool {
        self.method.as_ref().is_none_or(|method| method == request.method)
            && self.headers.iter().all(|(name, value)| header_accepts(request.headers, name, value))
            && self
                .query
                .iter()
                .all(|(name, value)| query_value(request.query.unwrap_or(""), name).is_some_and(|found| value.accepts(&found)))
    }

    /// The order between matchers of one host (Gateway API `HTTPRouteRule`): the greatest is tried first.
    #[must_use]
    pub fn specificity(&self) -> Specificity {
        let path = match &self.path {
            PathMatcher::Exact(_) => PathRank::Exact,
            PathMatcher::Prefix(prefix) => PathRank::Prefix(prefix.len()),
            PathMatcher::Regex(_) => PathRank::Regex,
        };
        Specificity { path, method: self.method.is_some(), headers: self.headers.len(), query: self.query.len() }
    }
}

/// Several fields of one name count as one, joined by commas (RFC 9110 section 5.3).
fn header_accepts(headers: &HeaderMap, name: &HeaderName, wanted: &ValueMatcher) -> bool {
    let values = || headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()));
    let mut two = values();
    match (two.next(), two.next()) {
        (Some(Ok(only)), None) => wanted.accepts(only),
        (Some(_), Some(_)) => {
            let all: Result<Vec<_>, _> = values().collect();
            all.is_ok_and(|all| wanted.accepts(&all.join(",")))
        }
        _ => false,
    }
}

/// The first value of a query parameter, percent-decoded; `None` if it is not there.
fn query_value<'a>(query: &'a str, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (super::path::decode_lossy(key, true) == name).then(|| super::path::decode_lossy(value, true))
    })
}

/// How specific a matcher is; greater wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    path: PathRank,
    method: bool,
    headers: usize,
    query: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Regex,
    Prefix(usize),
    Exact,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(path: PathMatcher) -> Matcher {
        Matcher { path, method: None, headers: Box::default(), query: Box::default() }
    }

    #[test]
    fn an_exact_path_beats_the_longest_prefix_and_a_prefix_beats_an_expression() {
        let exact = matcher(PathMatcher::Exact("/a".into())).specificity();
        let prefix = matcher(PathMatcher::Prefix("/a/b/c".into())).specificity();
        let short = matcher(PathMatcher::Prefix("/a".into())).specificity();
        let regex = matcher(PathMatcher::Regex(Regex::new("^.*$").unwrap())).specificity();
        assert!(exact > prefix && prefix > short && short > regex);
    }

    #[test]
    fn a_method_beats_any_number_of_headers_and_headers_beat_query_parameters() {
        let value = || ValueMatcher::Exact("1".into());
        let mut method = matcher(PathMatcher::Prefix("".into()));
        method.method = Some(Method::GET);
        let mut headers = matcher(PathMatcher::Prefix("".into()));
        headers.headers = [(http::header::ACCEPT, value()), (http::header::TE, value())].into();
        let mut query = matcher(PathMatcher::Prefix("".into()));
        query.query = ["a", "b", "c"].map(|name| (name.into(), value())).into();
        assert!(method.specificity() > headers.specificity());
        assert!(headers.specificity() > query.specificity());
    }

    #[test]
    fn an_expression_matches_the_whole_value_or_not_at_all() {
        assert!(anchored("a|b").is_ok_and(|regex| regex.is_match("b") && !regex.is_match("ab")));
        for bad in ["(", "a)(b", "(?x)a #", "a{9999}{9999}"] {
            assert!(anchored(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_query_parameter_of_a_name_counts_decoded() {
        assert_eq!(query_value("a=1&b=x%20y&b=2", "b").as_deref(), Some("x y"));
        assert_eq!(query_value("a", "a").as_deref(), Some(""));
        assert_eq!(query_value("a=1", "b"), None);
    }
}
