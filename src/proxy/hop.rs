//! Fields that belong to one connection: taken away in both directions (RFC 9110 section 7.6.1), and upgrades, which begin with them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::fields::{Kind, Seen};
use super::record::Record;
use super::rescue::Cause;
use crate::backend::http::{self as http_backend, Carried, Switched};
use crate::backend::{Error, ResponseBody};
use crate::route::CompiledApp;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Fields of one connection beside `Connection`, `Transfer-Encoding` and `Upgrade`: the kind [`Kind::OfAHop`].
const OTHERS: [HeaderName; 7] = [HTTP2_SETTINGS, KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER];

/// Removes the fields of this connection, and those that `Connection` names.
pub(super) fn clean(headers: &mut HeaderMap) {
    clean_of(headers, Seen::of(headers));
}

/// The same, with what is known of the fields already.
pub(super) fn clean_of(headers: &mut HeaderMap, seen: Seen) {
    if seen.has(Kind::Connection) {
        remove_named(headers);
        headers.remove(CONNECTION);
    }
    if seen.has(Kind::TransferEncoding) {
        headers.remove(TRANSFER_ENCODING);
    }
    if seen.has(Kind::Upgrade) {
        headers.remove(UPGRADE);
    }
    if seen.has(Kind::OfAHop) {
        for name in &OTHERS {
            headers.remove(name);
        }
    }
}

/// Removes what `Connection` names. One line of it, as there is, costs no allocation.
fn remove_named(headers: &mut HeaderMap) {
    // What most say, alone: it names nothing (300 instructions).
    let says_only = |text: &str| headers.get(CONNECTION).is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(text.as_bytes()));
    if says_only("keep-alive") && headers.get_all(CONNECTION).iter().nth(1).is_none() {
        return;
    }
    let mut lines = headers.get_all(CONNECTION).iter().cloned();
    let (first, more) = (lines.next(), lines.collect::<Vec<_>>());
    let lines = first.iter().chain(&more).filter_map(|line| line.to_str().ok());
    for name in lines.flat_map(|line| line.split(',')).map(str::trim) {
        // `Host` is for everybody (RFC 9110 section 7.6.1): without it the backend would answer for another one. The others go anyway.
        if !["keep-alive", "upgrade", "host"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            headers.remove(name);
        }
    }
}

/// Whether the client asks for another protocol (RFC 9110 section 7.8) that it may get. Not with a body: its end would be unclear. Not h2c:
/// requests in such a tunnel would pass by every rule (RFC 9113 section 3.1 has taken it away).
pub(super) fn wants_upgrade<B>(request: &Request<B>, seen: Seen) -> bool {
    let headers = request.headers();
    if !seen.has(Kind::Upgrade) {
        return false;
    }
    let Some(protocols) = headers.get(UPGRADE) else { return false };
    let is_h2c = |protocol: &str| protocol.trim().eq_ignore_ascii_case("h2c");
    request.version() == Version::HTTP_11
        && tokens(headers, CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
        && !seen.has(Kind::Framing)
        && headers.get_all(UPGRADE).iter().count() == 1
        && protocols.to_str().is_ok_and(|protocols| !protocols.split(',').any(is_h2c))
}

/// Asks the backend for the same protocol.
pub(super) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Lets an answer through; after a 101 that was asked for, its record has client and backend joined. `client`: who has asked.
pub(super) fn upgraded(
    mut answer: Response<ResponseBody>,
    client: impl FnOnce() -> Option<Tunnel>,
    app: &Arc<CompiledApp>,
    idle: Option<Duration>,
    record: &Record,
) -> Result<Response<ResponseBody>, Cause> {
    let switching = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let protocol = if switching { answer.headers_mut().remove(UPGRADE) } else { None };
    clean(answer.headers_mut());
    if !switching {
        return Ok(answer);
    }
    let (Some(tunnel), Some(protocol), Some(backend)) = (client(), protocol, answer.body_mut().switched()) else {
        return Err(Cause::Backend(Error::Protocol("101 that nobody asked for")));
    };
    ask_upgrade(answer.headers_mut(), protocol);
    let joined = Joined { tunnel, backend, idle, app: app.clone() };
    record.join(move |record| drop(tokio::task::spawn_local(joined.run(record))));
    Ok(answer)
}

/// A client and a backend that have both said yes.
#[derive(Debug)]
struct Joined {
    tunnel: Tunnel,
    backend: Switched,
    idle: Option<Duration>,
    app: Arc<CompiledApp>,
}

impl Joined {
    /// Carries bytes until the tunnel ends, and its record with it.
    async fn run(self, record: Rc<Record>) {
        let _counted = record.tunnelled();
        let received = record.received();
        let carried = Carried { to_backend: &received, to_client: record.sent() };
        let client = async { self.tunnel.client.await.map(TokioIo::new).map_err(Error::Downstream) };
        if let Err(error) = http_backend::tunnel(client, self.backend, self.idle, carried).await {
            tracing::debug!(app = %self.app.name, "a tunnel has ended: {error}");
        }
        drop(self.tunnel.in_flight);
    }
}

/// A client that may be joined with a backend.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// Its connection, once we have answered 101.
    pub(super) client: OnUpgrade,
    /// Held for as long as the tunnel lives.
    pub(super) in_flight: Option<Box<dyn std::fmt::Debug>>,
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::header::HOST;

    use super::*;

    #[test]
    fn an_upgrade_to_h2c_is_none() {
        let wants = |connection: &str, upgrade: &str| {
            let request = Request::builder().header(CONNECTION, connection).header(UPGRADE, upgrade).body(()).unwrap();
            wants_upgrade(&request, Seen::of(request.headers()))
        };
        assert!(wants("keep-alive, Upgrade", "websocket"));
        for (connection, upgrade) in [("upgrade", "h2c"), ("upgrade", "H2C"), ("upgrade", "websocket, h2c"), ("keep-alive", "websocket")] {
            assert!(!wants(connection, upgrade), "{connection}: {upgrade}");
        }
    }

    #[test]
    fn fields_that_connection_names_go_with_it() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("close, X-Secret, Host"));
        headers.insert(HOST, HeaderValue::from_static("a.test"));
        headers.append(CONNECTION, HeaderValue::from_static("keep-alive"));
        headers.insert("x-secret", HeaderValue::from_static("1"));
        headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("x-kept", HeaderValue::from_static("1"));
        clean(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept", "host"]);
    }
}
