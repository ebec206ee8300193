//! What happens to a request whose backend fails, or is away: it is sent again, or waits, or neither.

mod held;
mod restarted;
mod retried;
mod swapped;
mod upstream;

use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::openmetrics::Exposition;

/// A sample of the daemon's metrics; 0 if there is none.
pub fn metric(daemon: &Daemon, series: &str) -> f64 {
    let socket = daemon.admin();
    let ask = Curl::new("http://lxcproxy/metrics", None).arg("--unix-socket").arg(socket.to_str().unwrap());
    let answer = ask.header("Accept", "application/openmetrics-text; version=1.0.0").send();
    Exposition::parse(&answer.text()).value(series).unwrap_or_default()
}

/// Waits until so many requests wait for a backend that is away.
fn wait_held(daemon: &Daemon, fits: impl Fn(f64) -> bool) {
    daemon.eventually(PATIENCE, || match metric(daemon, "lxcproxy_requests_held") {
        held if fits(held) => Ok(()),
        held => Err(format!("{held} requests are held")),
    });
}
