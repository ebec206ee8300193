//! A Gateway's listener on a free port -> its manifest.

use std::net::TcpListener;

/// A port of 127.0.0.1 that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Gateway with one listener, on a port of 127.0.0.1. `listener` and `spec`: more fields of theirs, each after a comma.
#[must_use]
pub fn gateway(port: u16, listener: &str, spec: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {{name: edge}}\nspec: {{listeners: [{{name: web, address: 127.0.0.1, \
         port: {port}, protocol: HTTP{listener}}}]{spec}}}\n"
    )
}
