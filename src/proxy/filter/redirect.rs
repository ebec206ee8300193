//! `RequestRedirect`: where the client is sent.

use crate::proxy::forward::Forward;
use crate::route::Redirect;

/// `Location` of a redirect (Gateway API `HTTPRequestRedirectFilter`): a port that is the scheme's own is left out.
pub(super) fn location(to: &Redirect, prefix: Option<usize>, forward: &Forward<'_>) -> String {
    let values = forward.values();
    let scheme = to.scheme.as_deref().unwrap_or(values.peer.scheme);
    let own = if scheme == "https" { 443 } else { 80 };
    let port = to.port.unwrap_or_else(|| if to.scheme.is_some() { own } else { values.peer.port });
    let host = to.hostname.as_deref().unwrap_or(&values.host);
    let port = if port == own { String::new() } else { format!(":{port}") };
    let path = to.path.as_ref().map(|edit| forward.edited(edit, prefix));
    format!("{scheme}://{host}{port}{}", forward.path_and_query(path.as_deref()))
}
