//! What we say of a request ourselves: where it comes from, and for whom it is.
//!
//! In: who sent it, the `Host` that it had, and what stands in for that. Out: fields for an HTTP backend. Never: a word of the client's.

use http::header::{EXPECT, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::backend::http::Ours;
use crate::proxy::peer::Peer;
use crate::proxy::trust::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO};

/// The fields that we set ourselves.
static NAMES: [HeaderName; 6] =
    [HOST, X_FORWARDED_FOR, HeaderName::from_static("x-real-ip"), X_FORWARDED_PROTO, X_FORWARDED_HOST, X_FORWARDED_PORT];
static NOTHING: HeaderValue = HeaderValue::from_static("");
static HTTP: HeaderValue = HeaderValue::from_static("http");
static HTTPS: HeaderValue = HeaderValue::from_static("https");

/// Puts the fields among those of a copy that tell an HTTP backend where a request comes from, and for whom it is. `host`: what stands in for
/// the client's `Host`.
pub(in crate::proxy) fn address(headers: &mut HeaderMap, peer: &Peer, host: Option<&HeaderValue>) {
    let (asked, port) = (headers.get(HOST).cloned(), peer.via.as_deref().and_then(|via| via.port).map(HeaderValue::from));
    for (name, value) in told(asked.as_ref(), peer, host, port.as_ref()) {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
    headers.remove(EXPECT);
}

/// What we say of a request. `asked`: the client's `Host`; `host`: what stands in for it.
pub(super) fn told<'h>(
    asked: Option<&'h HeaderValue>,
    peer: &'h Peer,
    host: Option<&'h HeaderValue>,
    port: Option<&'h HeaderValue>,
) -> [Ours<'h>; 6] {
    let via = peer.via.as_deref();
    [
        (&NAMES[0], host.or(asked).or(Some(&NOTHING))),
        (&NAMES[1], Some(via.map_or(&peer.client_ip, |via| &via.chain))),
        (&NAMES[2], Some(&peer.client_ip)),
        (&NAMES[3], Some(if peer.scheme == "https" { &HTTPS } else { &HTTP })),
        (&NAMES[4], via.and_then(|via| via.host.as_ref()).or(asked)),
        (&NAMES[5], port),
    ]
}
