//! Filters, applied in the order of the manifest.
//!
//! In: filters, a request on its way or an answer. Out: the same, changed; or a redirect. Never: a filter that sees another request.

use http::{HeaderMap, HeaderValue, Response};

use super::forward::{Forward, redirect};
use super::rescue::Cause;
use super::values::Values;
use crate::backend::ResponseBody;
use crate::route::{Filter, HeaderEdit, Redirect};

/// Changes a request; `Some`: the answer is there already. `prefix`: length of the prefix that matched.
pub(super) fn request(
    filters: &[Filter],
    prefix: Option<usize>,
    forward: &mut Forward<'_>,
) -> Option<Result<Response<ResponseBody>, Cause>> {
    for filter in filters {
        match filter {
            Filter::RequestHeaders(edit) => {
                let values = forward.values().clone();
                apply(edit, forward.headers_mut(), &values);
            }
            Filter::Rewrite(rewrite) => {
                if let Some(host) = &rewrite.hostname {
                    forward.set_host(host.clone());
                }
                if let Some(edit) = &rewrite.path {
                    let path = forward.edited(edit, prefix);
                    forward.set_path(&path);
                }
            }
            Filter::Redirect(to) => return Some(redirect(to.status, &location(to, prefix, forward))),
            Filter::ResponseHeaders(_) => {}
        }
    }
    None
}

/// Changes an answer.
pub(super) fn response(filters: &[Filter], answer: &mut Response<ResponseBody>, values: &Values<'_>) {
    for filter in filters {
        if let Filter::ResponseHeaders(edit) = filter {
            apply(edit, answer.headers_mut(), values);
        }
    }
}

fn apply(edit: &HeaderEdit, headers: &mut HeaderMap, values: &Values<'_>) {
    let fill = |template: &crate::route::Template| HeaderValue::from_str(&values.fill(template)).ok();
    for (name, value) in &edit.set {
        if let Some(value) = fill(value) {
            headers.insert(name.clone(), value);
        }
    }
    for (name, value) in &edit.add {
        if let Some(value) = fill(value) {
            headers.append(name.clone(), value);
        }
    }
    for name in &edit.remove {
        headers.remove(name);
    }
}

/// `Location` of a redirect (Gateway API `HTTPRequestRedirectFilter`): a port that is the scheme's own is left out.
fn location(to: &Redirect, prefix: Option<usize>, forward: &Forward<'_>) -> String {
    let values = forward.values();
    let scheme = to.scheme.as_deref().unwrap_or(values.peer.scheme);
    let own = if scheme == "https" { 443 } else { 80 };
    let port = to.port.unwrap_or_else(|| if to.scheme.is_some() { own } else { values.peer.server.port() });
    let host = to.hostname.as_deref().unwrap_or(&values.host);
    let port = if port == own { String::new() } else { format!(":{port}") };
    let path = to.path.as_ref().map(|edit| forward.edited(edit, prefix));
    format!("{scheme}://{host}{port}{}", forward.path_and_query(path.as_deref()))
}
