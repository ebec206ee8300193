//! `spec` of a Gateway: listeners that can be told apart, and what this version can't do yet.
//!
//! In: the tree of `spec`. Out: entries of a [`Report`]. Never: a look at whether a port is free.

use super::{texts, unique};
use crate::manifest::node::{Cursor, Data};
use crate::manifest::report::Report;

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
    // An empty list trusts nobody, as this version does.
    if let Some(networks) = spec.get("trustedProxies").filter(|list| !matches!(&list.node.data, Data::List(items) if items.is_empty())) {
        report.unsupported(&networks, Some("leave it out; nobody's `X-Forwarded-*` fields are believed".to_owned()));
    }
    if let Some(limits) = spec.get("limits") {
        report.unsupported(&limits, Some("leave it out; a request head has at most 32Ki".to_owned()));
    }
}

/// What a listener claims: address, port, hostname.
fn claim(listener: &Cursor<'_>) -> Option<String> {
    let port = listener.get("port")?.node.to_value();
    let address = listener.text_of("address").unwrap_or("*");
    let host = listener.text_of("hostname").map(|host| format!(" for {}", host.to_ascii_lowercase())).unwrap_or_default();
    Some(format!("{address}:{port}{host}"))
}
