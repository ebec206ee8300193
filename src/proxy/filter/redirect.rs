//! `RequestRedirect`: where the client is sent, in its own space: a rewrite that came before does not count.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::proxy::forward::Forward;
use crate::route::Redirect;

/// `Location` of a redirect (Gateway API `HTTPRequestRedirectFilter`): a port that is the scheme's own is left out.
pub(super) fn location(to: &Redirect, prefix: Option<usize>, forward: &Forward<'_>) -> String {
    let values = forward.values();
    let scheme = to.scheme.as_deref().unwrap_or(values.peer.scheme);
    let own = if scheme == "https" { 443 } else { 80 };
    let port = to.port.unwrap_or_else(|| if to.scheme.is_some() { own } else { values.peer.port });
    let host = match to.hostname.as_deref().unwrap_or(&values.host) {
        // HTTP/1.0 without `Host`: where the client has connected to.
        "" => Cow::Owned(bracketed(values.peer.server.ip())),
        host => Cow::Borrowed(host),
    };
    let port = if port == own { String::new() } else { format!(":{port}") };
    let path = to.path.as_ref().map(|edit| forward.edited(edit, prefix));
    format!("{scheme}://{host}{port}{}", forward.redirected(path.as_deref()))
}

/// An address as it stands in a URL (RFC 3986 section 3.2.2).
fn bracketed(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
