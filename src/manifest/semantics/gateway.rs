//! `spec` of a Gateway: listeners that can be told apart, limits that can be kept, and what this version can't do yet.
//!
//! In: the tree of `spec`. Out: entries of a [`Report`]. Never: a look at whether a port is free.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time;

use super::{texts, unique};
use crate::api::v1::{ByteSize, Duration};
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;

/// Bytes of a request's head.
const REQUEST_HEAD: RangeInclusive<u64> = 1 << 10..=1 << 20;
/// What a limit in time may be. Shorter ones would be kept badly.
const TIMEOUT: RangeInclusive<time::Duration> = time::Duration::from_millis(100)..=time::Duration::from_secs(86_400);

pub(super) fn check(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let listeners = spec.items_of("listeners");
    unique(texts(&listeners, "name"), "listener", report);
    let ports = listeners.iter().filter_map(|listener| Some((claim(listener)?, listener.get("port")?)));
    unique(ports, "listener on", report);
    for listener in &listeners {
        if let Some(protocol) = listener.get("protocol").filter(|protocol| protocol.text() == Some("HTTPS")) {
            report.unsupported(&protocol, Some("`HTTP` is".to_owned()));
        }
        if let Some(tls) = listener.get("tls") {
            report.unsupported(&tls, Some("leave it out".to_owned()));
        }
    }
    same_protocol(&listeners, report);
    if let Some(limits) = spec.get("limits") {
        check_limits(&limits, report);
    }
}

/// All connections to a port begin with a header of the PROXY protocol, or none.
fn same_protocol(listeners: &[Cursor<'_>], report: &mut Report<'_>) {
    let mut first: HashMap<String, (bool, u64)> = HashMap::new();
    for listener in listeners {
        let Some(port) = socket(listener) else { continue };
        let written = listener.get("proxyProtocol");
        let own = written.as_ref().is_some_and(|field| field.node.to_value() == true);
        let line = listener.node.spot.line;
        let (theirs, other) = *first.entry(port).or_insert((own, line));
        if own != theirs {
            let at = written.as_ref().unwrap_or(listener);
            let hint = format!("the listener on line {other} has the same address and port: both have it, or none");
            report.object(at, "a port has the PROXY protocol, or has not", Some(hint));
        }
    }
}

fn check_limits(limits: &Cursor<'_>, report: &mut Report<'_>) {
    let fits = |size: ByteSize| size.limit().is_some_and(|bytes| REQUEST_HEAD.contains(&bytes));
    if let Some(at) = limits.get("requestHead").filter(|at| !size(at).is_none_or(fits)) {
        report.value(&at, "a request head has a limit from `1Ki` to `1Mi`", Some("the default is `32Ki`".to_owned()));
    }
    for field in ["headerTimeout", "bodyTimeout", "writeTimeout", "idleTimeout"] {
        let Some(at) = limits.get(field) else { continue };
        let time = at.text().and_then(|text| text.parse::<Duration>().ok()).and_then(Duration::limit);
        if time.is_some_and(|time| !TIMEOUT.contains(&time)) {
            let hint = "`0s` means that there is no limit".to_owned();
            report.value(&at, format!("`{field}` is from `100ms` to `24h`"), Some(hint));
        }
    }
}

/// A size, whichever way it is written; none: it is none, which the schema says.
fn size(at: &Cursor<'_>) -> Option<ByteSize> {
    serde_json::from_value(at.node.to_value()).ok()
}

/// Address and port of a listener.
fn socket(listener: &Cursor<'_>) -> Option<String> {
    let port = listener.get("port")?.node.to_value();
    Some(format!("{}:{port}", listener.text_of("address").unwrap_or("*")))
}

/// What a listener claims: address, port, hostname.
fn claim(listener: &Cursor<'_>) -> Option<String> {
    let host = listener.text_of("hostname").map(|host| format!(" for {}", host.to_ascii_lowercase())).unwrap_or_default();
    Some(format!("{}{host}", socket(listener)?))
}
