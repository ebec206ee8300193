//! `ForwardAuth`: a backend is asked whether a request may pass (nginx `auth_request`; Gateway API `HTTPExternalAuthFilter`).
//!
//! In: a request. Out: nothing, and the request goes on; or the backend's answer in its stead. Never: a request that passes without a
//! yes; the request's body; a field of the client in place of one of the answer.

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
    TRANSFER_ENCODING,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::Chain;
use crate::backend::{Error, RequestBody, ResponseBody, http as http_backend};
use crate::proxy::balance::{self, Client, Tried};
use crate::proxy::forward::{self, Forward};
use crate::proxy::hop;
use crate::proxy::offload;
use crate::proxy::record::fault;
use crate::proxy::rescue::Cause;
use crate::route::{ForwardAuth, HttpSettings, Protocol};

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// The most of a refusal's body.
const LARGEST: usize = 256 * 1024;

/// Fields that are about the client's own request, not about the question: with them it could be answered by half, or not at all.
const ITS_OWN: [HeaderName; 7] = [CONTENT_LENGTH, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];

/// Asks. `Some`: the answer is no, and this is for the client.
pub(super) async fn ask(chain: &Chain<'_>, auth: &ForwardAuth, forward: &mut Forward<'_>) -> Result<Option<Response<ResponseBody>>, Cause> {
    let asked = exchange(chain, auth, forward).await;
    let answer = asked.map_err(|error| {
        if let (Some(counts), Some(fault)) = (forward.record().counts(chain.app, auth.backend), fault(&error)) {
            counts.count(fault);
        }
        Cause::Backend(error)
    })?;
    if answer.status().is_success() {
        take(&auth.taken, answer.headers(), forward.headers_mut());
        return Ok(None);
    }
    Ok(Some(answer))
}

/// The question and its answer: of a yes the head, of a no all.
async fn exchange(chain: &Chain<'_>, auth: &ForwardAuth, forward: &Forward<'_>) -> Result<Response<ResponseBody>, Error> {
    let backend = &chain.app.backends[auth.backend];
    let endpoint = balance::choose(&chain.proxy.turns, chain.app, auth.backend, Client::of(forward).wish(backend), Tried::default());
    let address = backend.endpoints[endpoint].address.as_ref().ok_or(Error::Unavailable)?;
    let Protocol::Http(settings) = &backend.protocol else { return Err(Error::Protocol("it does not speak HTTP")) };
    let request = question(auth, settings, forward).ok_or(Error::Protocol("it can't be asked for this path"))?;
    let call = http_backend::Call { address, timeouts: chain.timeouts, keep: backend.keep, protocol: settings.protocol };
    let mut answer =
        chain.proxy.http.send(call, &http_backend::Head::of(&request), RequestBody::empty()).await.map_err(|failed| failed.error)?;
    hop::clean(answer.headers_mut());
    let (mut head, body) = answer.into_parts();
    if head.status.is_success() {
        // The request need not wait for what comes with a yes, and nobody reads it. If much of that is under way, the connection goes.
        if !body.is_end_stream()
            && let Some(counted) = chain.proxy.leftovers.begin()
        {
            drop(tokio::task::spawn_local(super::mirror::forget(body, counted)));
        }
        return Ok(Response::from_parts(head, ResponseBody::Empty));
    }
    match Limited::new(body, LARGEST).collect().await {
        Ok(body) => {
            head.headers.remove(CONTENT_LENGTH);
            // No file of ours answers for an authority, and its own are nobody's business.
            offload::forget(&mut head.headers);
            Ok(Response::from_parts(head, ResponseBody::Full(body.to_bytes())))
        }
        Err(error) if error.is::<LengthLimitError>() => Err(Error::Protocol("its refusal is longer than 256 KiB")),
        Err(error) => Err(error.downcast::<Error>().map_or(Error::Closed(None), |error| *error)),
    }
}

/// A GET without a body, for what the client asks for.
fn question(auth: &ForwardAuth, settings: &HttpSettings, forward: &Forward<'_>) -> Option<Request<()>> {
    let wanted = forward.wanted();
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    let path = auth.path.as_deref().unwrap_or(&wanted);
    *request.uri_mut() = PathAndQuery::try_from(path).map(Uri::from).ok()?;
    let headers = request.headers_mut();
    headers.clone_from(forward.headers());
    if let Some(shown) = &auth.shown {
        keep_only(shown, headers);
    }
    for name in &ITS_OWN {
        headers.remove(name);
    }
    forward::address(headers, forward.values().peer, settings.host.as_ref());
    headers.insert(X_FORWARDED_METHOD, HeaderValue::from_str(forward.method().as_str()).ok()?);
    headers.insert(X_FORWARDED_URI, HeaderValue::from_str(&wanted).ok()?);
    Some(request)
}

fn keep_only(shown: &[HeaderName], headers: &mut HeaderMap) {
    let stays = |name: &HeaderName| shown.contains(name) || [AUTHORIZATION, COOKIE, HOST].contains(name);
    let others: Vec<HeaderName> = headers.keys().filter(|name| !stays(name)).cloned().collect();
    for name in others {
        headers.remove(name);
    }
}

/// Replaces the client's fields by those of the answer, also where the answer has none. `_` counts as `-`: many applications take one
/// for the other.
fn take(names: &[HeaderName], answer: &HeaderMap, headers: &mut HeaderMap) {
    for name in names.iter().filter(|name| **name != TRANSFER_ENCODING) {
        let aliases: Vec<HeaderName> = headers.keys().filter(|known| is_alias(known.as_str(), name.as_str())).cloned().collect();
        for alias in aliases {
            headers.remove(alias);
        }
        for value in answer.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
}

fn is_alias(known: &str, name: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte };
    known.bytes().map(fold).eq(name.bytes().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn no_field_of_the_client_stands_in_for_one_of_the_answer() {
        let names = [HeaderName::from_static("x-user"), HeaderName::from_static("x-mail")];
        let mut request = headers(&[("x-user", "root"), ("x_user", "root"), ("x-mail", "root@a"), ("x-other", "1")]);
        take(&names, &headers(&[("x-user", "bob"), ("x-secret", "1")]), &mut request);
        assert_eq!(request, headers(&[("x-other", "1"), ("x-user", "bob")]));
    }

    #[test]
    fn what_is_not_shown_stays_here() {
        let mut asked = headers(&[("x-a", "1"), ("x-b", "1"), ("cookie", "c"), ("authorization", "a"), ("host", "h")]);
        keep_only(&[HeaderName::from_static("x-b")], &mut asked);
        assert_eq!(asked, headers(&[("x-b", "1"), ("cookie", "c"), ("authorization", "a"), ("host", "h")]));
    }
}
