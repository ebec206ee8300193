//! What a Gateway says of who connects to one of its listeners -> how that is listened on.

use std::time::Duration;

use super::{Error, error};
use crate::api::v1::{self, GatewaySpec};
use crate::listen::{Limits, Options};
use crate::names::Networks;

/// How a listener of this Gateway is listened on.
///
/// # Errors
/// [`Error`] for a network that is none; the manifest's checks find it first.
pub fn options(spec: &GatewaySpec, listener: &v1::Listener) -> Result<Options, Error> {
    Ok(Options {
        proxy_protocol: listener.proxy_protocol,
        trusted: Networks::parse(&spec.trusted_proxies).map_err(|cause| error("spec.trustedProxies", cause.to_string()))?,
        limits: spec.limits.map(|written| limits(&written)).unwrap_or_default(),
    })
}

/// Zero is no limit, what is left out is the default.
fn limits(written: &v1::GatewayLimits) -> Limits {
    let default = Limits::default();
    let time = |written: Option<v1::Duration>, default| written.map_or(default, |written| written.limit().unwrap_or(Duration::MAX));
    let head = written.request_head.and_then(v1::ByteSize::limit).and_then(|bytes| usize::try_from(bytes).ok());
    let count = |count: u32| if count == 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) };
    Limits {
        max_head: head.unwrap_or(default.max_head),
        connections: written.connections.map(count),
        connections_per_client: written.connections_per_client.filter(|count| *count > 0),
        header_timeout: time(written.header_timeout, default.header_timeout),
        body_timeout: time(written.body_timeout, default.body_timeout),
        write_timeout: time(written.write_timeout, default.write_timeout),
        idle_timeout: time(written.idle_timeout, default.idle_timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(more: &str) -> Options {
        let text = format!("{{listeners: [{{name: web, port: 80, protocol: HTTP}}], {more}}}");
        let spec: GatewaySpec = serde_yaml::from_str(&text).unwrap();
        options(&spec, &spec.listeners[0]).unwrap()
    }

    #[test]
    fn what_is_left_out_is_the_default_and_zero_is_no_limit() {
        assert_eq!(of("limits: {}"), Options::default());
        let none = of("limits: {connections: 0, connectionsPerClient: 0, headerTimeout: 0s, idleTimeout: 0s}").limits;
        assert_eq!((none.connections, none.connections_per_client), (Some(usize::MAX), None));
        assert_eq!((none.header_timeout, none.idle_timeout), (Duration::MAX, Duration::MAX));
        assert_eq!((none.body_timeout, none.write_timeout), (Limits::default().body_timeout, Limits::default().write_timeout));
        let some = of("limits: {requestHead: 1Ki, connections: 7, connectionsPerClient: 3, bodyTimeout: 1s, writeTimeout: 2s}").limits;
        assert_eq!((some.max_head, some.connections, some.connections_per_client), (1024, Some(7), Some(3)));
        assert_eq!((some.body_timeout, some.write_timeout), (Duration::from_secs(1), Duration::from_secs(2)));
    }
}
