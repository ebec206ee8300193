//! `spec` of a Gateway: listeners that can be told apart.
//!
//! In: the tree of `spec`. Out: entries of a [`Report`]. Never: a look at whether a port is free.

use super::{texts, unique};
use crate::manifest::node::Cursor;
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
}

/// What a listener claims: address, port, hostname.
fn claim(listener: &Cursor<'_>) -> Option<String> {
    let port = listener.get("port")?.node.to_value();
    let address = listener.text_of("address").unwrap_or("*");
    let host = listener.text_of("hostname").map(|host| format!(" for {}", host.to_ascii_lowercase())).unwrap_or_default();
    Some(format!("{address}:{port}{host}"))
}
