//! Filters that copy, allow and refuse requests: what clients, backends and mirrors see of them.

mod basic_auth;
mod cors;
mod forward_auth;
mod mirror;

use std::net::SocketAddr;

use crate::support::daemon::Daemon;
use crate::support::recorder::Recorder;

/// A manifest with HTTP backends; `rules` is YAML, its list indented by two.
fn manifest(backends: &[(&str, SocketAddr)], rules: &str) -> String {
    let backend = |(name, address): &(&str, SocketAddr)| format!("  - {{name: {name}, http: {{tcp: \"{address}\"}}}}\n");
    let backends: String = backends.iter().map(backend).collect();
    format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: app}}\nspec:\n  backends:\n{backends}  rules:\n{rules}\n")
}

/// A daemon of one thread with this App.
fn daemon(backends: &[(&str, &Recorder)], rules: &str) -> Daemon {
    let backends: Vec<_> = backends.iter().map(|(name, backend)| (*name, backend.address())).collect();
    Daemon::builder().manifest("app.yaml", &manifest(&backends, rules)).arg("--threads").arg("1").start()
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
