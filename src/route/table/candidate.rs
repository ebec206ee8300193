//! Where a matcher stands, and two orders of matchers: the one in which they are tried, and the one that puts equal ones together.
//!
//! In: matchers of Apps, as they were compiled. Out: orders. Never: a request.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use crate::names::AppName;
use crate::route::{CompiledApp, Matcher, PathMatcher, Specificity, ValueMatcher};

/// Where a matcher stands: App, rule, matcher.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) app: Arc<CompiledApp>,
    rule: u32,
    matcher: u32,
}

/// A candidate in the order in which those of a path are tried: the least first.
#[derive(Debug, Clone)]
pub(super) struct Tried(pub(super) Candidate);

/// A candidate that is equal to every other one that matches the same requests.
#[derive(Debug, Clone)]
pub(super) struct Same(pub(super) Candidate);

/// Gateway API, `HTTPRouteRule`: the most specific one, of the oldest App, the first one of it.
type Rank<'a> = (Reverse<Specificity>, u64, &'a AppName, u32, u32);

/// What a matcher matches: path, method, fields, parameters. The order of the latter does not count.
type Identity<'a> = (Text<'a>, Option<&'a str>, Vec<(&'a str, Text<'a>)>, Vec<(&'a str, Text<'a>)>);

/// How a text has to look.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Text<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    Regex(&'a str),
}

impl Candidate {
    /// Every matcher of an App.
    pub(super) fn all(app: &Arc<CompiledApp>) -> impl Iterator<Item = Self> {
        // No App is so large that a number of its is.
        app.rules.iter().zip(0_u32..).flat_map(move |(compiled, rule)| {
            compiled.matches.iter().zip(0_u32..).map(move |(_, matcher)| Self { app: app.clone(), rule, matcher })
        })
    }

    /// Index of its rule.
    pub(super) fn rule(&self) -> usize {
        self.rule as usize
    }

    /// Index of it in its rule.
    pub(super) fn index(&self) -> usize {
        self.matcher as usize
    }

    pub(super) fn matcher(&self) -> &Matcher {
        &self.app.rules[self.rule()].matches[self.index()]
    }

    fn rank(&self) -> Rank<'_> {
        (Reverse(self.matcher().specificity()), self.app.first_seen, &self.app.name, self.rule, self.matcher)
    }

    fn identity(&self) -> Identity<'_> {
        let matcher = self.matcher();
        let path = match &matcher.path {
            PathMatcher::Exact(path) => Text::Exact(path),
            PathMatcher::Prefix(prefix) => Text::Prefix(prefix),
            PathMatcher::Regex(regex) => Text::Regex(regex.as_str()),
        };
        let headers = sorted(matcher.headers.iter().map(|(name, value)| (name.as_str(), text(value))));
        let query = sorted(matcher.query.iter().map(|(name, value)| (&**name, text(value))));
        (path, matcher.method.as_ref().map(http::Method::as_str), headers, query)
    }
}

/// Without elements it allocates nothing.
fn sorted<T: Ord>(elements: impl Iterator<Item = T>) -> Vec<T> {
    let mut elements: Vec<_> = elements.collect();
    elements.sort_unstable();
    elements
}

fn text(value: &ValueMatcher) -> Text<'_> {
    match value {
        ValueMatcher::Exact(text) => Text::Exact(text),
        ValueMatcher::Regex(regex) => Text::Regex(regex.as_str()),
    }
}

impl Ord for Tried {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.rank().cmp(&other.0.rank())
    }
}

impl Ord for Same {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.identity().cmp(&other.0.identity())
    }
}

/// Equality as the order has it.
macro_rules! by_order {
    ($name:ident) => {
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $name {}
    };
}

by_order!(Tried);
by_order!(Same);
