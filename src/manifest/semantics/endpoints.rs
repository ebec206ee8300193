//! `endpoints` of a backend: each with one address, none of them twice.
//!
//! In: the tree of `http` or `fastcgi`. Out: entries of a [`Report`]. Never: a connection.

use super::unique;
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;

/// The fields that are addresses.
const ADDRESSES: [&str; 3] = ["unix", "tcp", "port"];

pub(super) fn check(protocol: &Cursor<'_>, report: &mut Report<'_>) {
    let endpoints = protocol.items_of("endpoints");
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_map()) {
        let addresses: Vec<_> = ADDRESSES.iter().filter_map(|name| endpoint.get(name)).collect();
        match addresses.as_slice() {
            [] => report.lacks(endpoint, "the endpoint has no address", Some("add one of `unix`, `tcp` and `port`".to_owned())),
            [first, more @ ..] => {
                for second in more {
                    let message = format!("the endpoint has two addresses, `{}` and `{}`", first.name(), second.name());
                    report.key(second, message, Some("make it an endpoint of its own".to_owned()));
                }
            }
        }
    }
    unique(endpoints.into_iter().filter_map(|endpoint| Some((name(&endpoint)?, endpoint))), "endpoint", report);
}

/// What tells two endpoints apart.
fn name(endpoint: &Cursor<'_>) -> Option<String> {
    if let Some(path) = endpoint.text_of("unix") {
        return Some(path.to_owned());
    }
    if let Some(target) = endpoint.text_of("tcp") {
        return Some(target.to_ascii_lowercase());
    }
    Some(format!("port {}", endpoint.get("port")?.node.to_value()))
}
