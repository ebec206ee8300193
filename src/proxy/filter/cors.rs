//! `CORS`: preflights are answered here, and answers say who may read them (Fetch standard, "CORS protocol"; Gateway API).
//!
//! In: a request, or an answer. Out: the answer to a preflight; fields. Never: a field of the backend's own beside ours; a request that
//! is refused: it is the browser that refuses.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::backend::ResponseBody;
use crate::proxy::forward::Forward;
use crate::route::{Allowed, Cors, Origins};

/// What a backend may have said itself.
const FIELDS: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// `Access-Control-Allow-Origin` of answers to this request; none: its origin may not read them.
pub(super) fn allowed_origin(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    if is_same_for_all(cors) {
        return Some(HeaderValue::from_static("*"));
    }
    headers.get(ORIGIN).filter(|origin| cors.origins.allow(origin)).cloned()
}

/// The answer, if the request is a preflight.
pub(super) fn preflight(cors: &Cors, forward: &Forward<'_>) -> Option<Response<ResponseBody>> {
    let asked = forward.headers();
    if *forward.method() != Method::OPTIONS || !asked.contains_key(ORIGIN) {
        return None;
    }
    let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    let origin = allowed_origin(cors, asked);
    let allowed = origin.is_some();
    tell(cors, origin, headers);
    if allowed {
        let values = [
            (ACCESS_CONTROL_ALLOW_METHODS, value(&cors.methods, Some(method))),
            (ACCESS_CONTROL_ALLOW_HEADERS, value(&cors.headers, asked.get(ACCESS_CONTROL_REQUEST_HEADERS))),
            (ACCESS_CONTROL_MAX_AGE, Some(cors.max_age.clone())),
        ];
        headers.extend(values.into_iter().filter_map(|(name, value)| Some((name, value?))));
    }
    Some(answer)
}

/// Says who may read an answer, in place of what the backend says.
pub(super) fn tell(cors: &Cors, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
    for name in &FIELDS {
        headers.remove(name);
    }
    if !is_same_for_all(cors) && !varies_by_origin(headers) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    let Some(origin) = origin else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if let Some(exposed) = &cors.exposed {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
    }
}

/// Where cookies and passwords may be sent, `*` is no answer.
fn is_same_for_all(cors: &Cors) -> bool {
    matches!(cors.origins, Origins::Any) && !cors.credentials
}

fn varies_by_origin(headers: &HeaderMap) -> bool {
    let names = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names.map(str::trim).any(|name| name == "*" || name.eq_ignore_ascii_case("origin"))
}

/// A list that was asked for is repeated: `*` would not stand for `Authorization`.
fn value(allowed: &Allowed, asked: Option<&HeaderValue>) -> Option<HeaderValue> {
    let is_list =
        |value: &&HeaderValue| value.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(byte));
    match allowed {
        Allowed::Nothing => None,
        Allowed::Asked => asked.filter(is_list).cloned(),
        Allowed::These(list) => Some(list.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_repeated_only_if_it_is_a_list_of_names() {
        let asked = HeaderValue::from_static("X-A, authorization");
        assert_eq!(value(&Allowed::Asked, Some(&asked)), Some(asked));
        for odd in ["a;b", "a\"b", "a<b>"] {
            assert_eq!(value(&Allowed::Asked, Some(&HeaderValue::from_str(odd).unwrap())), None, "{odd}");
        }
        assert_eq!(value(&Allowed::Asked, None), None);
    }

    #[test]
    fn vary_is_told_once() {
        for (there, tells) in [("Accept, origin", true), ("*", true), ("Accept", false), ("X-Origin", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(VARY, HeaderValue::from_static(there));
            assert_eq!(varies_by_origin(&headers), tells, "{there}");
        }
    }
}
