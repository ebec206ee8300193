//! Apps for the tests of this room.

use std::sync::Arc;

use super::{CompiledApp, Matcher, PathMatcher, Rule, Timeouts};

/// An App whose rules are prefixes, or exact paths after a `=`.
pub(super) fn app(name: &str, first_seen: u64, hosts: &[&str], prefixes: &[&str]) -> Arc<CompiledApp> {
    let rule = |prefix: &&str| Rule {
        name: (*prefix).into(),
        matches: [Matcher {
            path: match prefix.strip_prefix('=') {
                Some(exact) => PathMatcher::Exact(exact.into()),
                None => PathMatcher::Prefix(prefix.trim_end_matches('/').into()),
            },
            method: None,
            headers: Box::default(),
            query: Box::default(),
        }]
        .into(),
        filters: Box::default(),
        files: None,
        backends: Box::default(),
        has_backend_refs: false,
        timeouts: Timeouts { request: None, connect: None, idle: None },
        body_limit: None,
        session: None,
        retry: None,
    };
    Arc::new(CompiledApp {
        name: name.parse().unwrap(),
        generation: 1,
        first_seen,
        parents: Box::default(),
        hostnames: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        rules: prefixes.iter().map(rule).collect(),
        backends: Box::default(),
        root: None,
        init: None,
        error_pages: Box::default(),
    })
}
