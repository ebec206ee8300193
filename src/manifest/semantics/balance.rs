//! `loadBalancer` and `healthCheck` of a backend: what has a meaning together.
//!
//! In: a backend's tree. Out: entries of a [`Report`]. Never: a connection.

use std::time::Duration;

use crate::api::v1;
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;

/// Between two questions to one endpoint, at least.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn check(backend: &Cursor<'_>, report: &mut Report<'_>) {
    if let Some(balancer) = backend.get("loadBalancer") {
        check_balancer(&balancer, report);
    }
    let Some(health) = backend.get("healthCheck") else { return };
    if let Some(active) = health.get("active") {
        check_active(&active, backend.get("http").is_some(), report);
    }
    if let Some(time) = health.get("passive").and_then(|passive| passive.get("baseEjectionTime")) {
        at_least(&time, Duration::from_millis(1), "some time", report);
    }
}

fn check_balancer(balancer: &Cursor<'_>, report: &mut Report<'_>) {
    let type_ = balancer.text_of("type");
    match (type_, balancer.get("consistentHash")) {
        (Some("ConsistentHash"), None) => {
            report.lacks(balancer, "missing field `consistentHash`", Some("type `ConsistentHash` needs it".to_owned()));
        }
        (Some(type_ @ ("RoundRobin" | "LeastRequest")), Some(hash)) => {
            let hint = Some(format!("this one has type `{type_}`"));
            report.key(&hash, "`consistentHash` belongs to type `ConsistentHash`", hint);
        }
        (_, Some(hash)) => check_hash(&hash, report),
        (_, None) => {}
    }
}

fn check_hash(hash: &Cursor<'_>, report: &mut Report<'_>) {
    match (hash.text_of("type"), hash.get("name")) {
        (Some(type_ @ ("Header" | "Cookie")), None) => {
            report.lacks(hash, "missing field `name`", Some(format!("type `{type_}` needs it")));
        }
        (Some("SourceIP"), Some(name)) => {
            report.key(&name, "`name` belongs to the types `Header` and `Cookie`", Some("this one has type `SourceIP`".to_owned()));
        }
        _ => {}
    }
}

fn check_active(active: &Cursor<'_>, is_http: bool, report: &mut Report<'_>) {
    match active.get("path") {
        Some(path) if !is_http => report.key(&path, "only HTTP backends are asked for a path", Some("leave it out".to_owned())),
        Some(_) => {}
        None => {
            for question in ["hostname", "expectedStatuses"].iter().filter_map(|field| active.get(field)) {
                let message = format!("`{}` has no meaning without `path`: only a connection is tried", question.name());
                report.key(&question, message, Some("add `path`, or leave it out".to_owned()));
            }
        }
    }
    if let Some(interval) = active.get("interval") {
        at_least(&interval, SHORTEST_INTERVAL, "`100ms` or more", report);
    }
    if let Some(timeout) = active.get("timeout") {
        at_least(&timeout, Duration::from_millis(1), "some time", report);
    }
}

fn at_least(at: &Cursor<'_>, least: Duration, expected: &str, report: &mut Report<'_>) {
    let Some(Ok(duration)) = at.text().map(str::parse::<v1::Duration>) else { return };
    if duration.limit().unwrap_or_default() < least {
        report.value(at, format!("`{duration}` is too short"), Some(format!("write {expected}")));
    }
}
