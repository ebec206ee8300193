//! Filters that hold requests up: times that are not zero, and one limit of connections for the whole App.
//!
//! In: the trees of filters. Out: entries of a [`Report`]. Never: a limit of a Gateway; those are its own.

use super::filters::changes_something;
use crate::api::v1::Duration;
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;

/// One filter.
pub(super) fn check(filter: &Cursor<'_>, report: &mut Report<'_>) {
    if let Some(access) = filter.get("ipAccess") {
        changes_something(&access, &["allow", "deny"], "the filter lets everybody in", report);
    }
    if let Some(interval) = filter.get("rateLimit").and_then(|limit| limit.get("interval")) {
        not_zero(&interval, "so many requests in no time are no limit", "leave the filter out to have none", report);
    }
    if let Some(timeout) = filter.get("maxConnections").and_then(|limit| limit.get("queueTimeout")) {
        not_zero(&timeout, "nobody can wait for no time", "set `queue: 0` to have nobody wait", report);
    }
}

/// `MaxConnections` counts all requests of an App, so it says the same in all rules.
pub(super) fn same_in_all(rules: &[Cursor<'_>], report: &mut Report<'_>) {
    let mut limits = rules.iter().flat_map(filters).filter_map(|filter| filter.get("maxConnections"));
    let Some(first) = limits.next() else { return };
    for limit in limits.filter(|limit| meaning(limit) != meaning(&first)) {
        let hint = format!("it counts all requests of the App: write it as on line {}", first.node.spot.line);
        report.object(&limit, "`maxConnections` differs from that of another rule", Some(hint));
    }
}

/// The filters of a rule, and those of its backends.
fn filters<'a>(rule: &Cursor<'a>) -> Vec<Cursor<'a>> {
    let of_backends = rule.items_of("backendRefs").into_iter().flat_map(|backend| backend.items_of("filters"));
    rule.items_of("filters").into_iter().chain(of_backends).collect()
}

/// What is written, with the defaults of what is not.
fn meaning(limit: &Cursor<'_>) -> Option<crate::api::v1::MaxConnections> {
    serde_json::from_value(limit.node.to_value()).ok()
}

fn not_zero(at: &Cursor<'_>, message: &str, hint: &str, report: &mut Report<'_>) {
    if at.text().and_then(|text| text.parse().ok()) == Some(Duration::ZERO) {
        report.value(at, message, Some(hint.to_owned()));
    }
}
