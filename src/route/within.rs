//! A request that an App has sent to itself -> the rule of this App that answers.
//!
//! In: one App. Out: the rule that a table with this App alone would find. Never: a rule of another App; an index: this is rare.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{CompiledApp, Match, Matcher, PathMatcher, Request};

impl Match {
    /// The rule of `app` for a request, whatever its host; none: there is none.
    #[must_use]
    pub fn within(app: &Arc<CompiledApp>, request: &Request<'_>) -> Option<Self> {
        let rules = app.rules.iter().enumerate();
        let matchers = rules.flat_map(|(rule, compiled)| compiled.matches.iter().enumerate().map(move |(at, matcher)| (rule, at, matcher)));
        let fitting = matchers.filter(|(.., matcher)| accepts(matcher, request));
        let best = fitting.max_by_key(|(rule, at, matcher)| (matcher.specificity(), Reverse((*rule, *at))));
        best.map(|(rule, matcher, _)| Self { app: app.clone(), rule, matcher })
    }
}

fn accepts(matcher: &Matcher, request: &Request<'_>) -> bool {
    let path = match &matcher.path {
        PathMatcher::Exact(path) => **path == *request.path,
        PathMatcher::Prefix(prefix) => request.path.strip_prefix(&**prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathMatcher::Regex(regex) => regex.is_match(request.path),
    };
    path && matcher.accepts_beyond_path(request)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use proptest::prelude::*;

    use super::super::fixture::app;
    use super::super::{Table, anchored};
    use super::*;

    /// An App with every kind of path, and two rules for one of them.
    fn mixed() -> Arc<CompiledApp> {
        let mut app = app("a", 1, &[], &["/", "/a", "/a/b/", "=/a/b", "=/a/", "/b", "/b", "/b"]);
        let rules = &mut Arc::get_mut(&mut app).unwrap().rules;
        rules[0].matches[0].path = PathMatcher::Regex(anchored("/[ab]?/.*").unwrap());
        rules[6].matches[0].method = Some(Method::PUT);
        app
    }

    fn find(app: &Arc<CompiledApp>, method: &Method, path: &str) -> Option<(usize, usize)> {
        let request = Request { host: "h", path, query: None, method, headers: &HeaderMap::new() };
        Match::within(app, &request).map(|found| (found.rule, found.matcher))
    }

    #[test]
    fn the_most_specific_rule_of_the_app_answers() {
        let app = mixed();
        for (path, rule) in [
            ("/a", Some(1)),
            ("/a/x", Some(1)),
            ("/ax", None),
            ("/a/b", Some(3)),
            ("/a/", Some(4)),
            ("/a/b/", Some(2)),
            ("/b", Some(5)),
            ("//x", Some(0)),
            ("/x", None),
        ] {
            assert_eq!(find(&app, &Method::GET, path).map(|(rule, _)| rule), rule, "{path}");
        }
        assert_eq!(find(&app, &Method::PUT, "/b/x"), Some((6, 0)));
    }

    proptest! {
        #[test]
        fn it_is_the_rule_that_a_table_of_this_app_finds(path in "/[ab/x]{0,8}", put in any::<bool>()) {
            let (app, mut table) = (mixed(), Table::default());
            table.insert(app.clone());
            let method = if put { Method::PUT } else { Method::GET };
            let request = Request { host: "h", path: &path, query: None, method: &method, headers: &HeaderMap::new() };
            let found = table.find(&request).ok().map(|found| (found.rule, found.matcher));
            prop_assert_eq!(find(&app, &method, &path), found);
        }
    }
}
