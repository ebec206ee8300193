//! `Compression`: an answer in a content coding that the client accepts (RFC 9110 sections 8.4 and 12.5.3).
//!
//! In: the filter, a request on its way; then its answer. Out: the same answer, encoded as it comes. Never: what is encoded already,
//! a part of something, what may not be transformed.

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body;

use crate::backend::ResponseBody;
use crate::proxy::coding;
use crate::proxy::forward::Forward;
use crate::route::{Coding, Compression};

/// Digests of the bytes as they were (RFC 1864, RFC 3230, RFC 9530).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// What a client accepts.
pub(in crate::proxy) struct Accepted<'f> {
    compression: &'f Compression,
    /// The coding that it likes best; `None`: none of those that there are.
    coding: Option<Coding>,
    /// It refuses what is not encoded.
    always: bool,
    /// There will be fields, but no body.
    head: bool,
    /// What the client has already.
    known: Vec<HeaderValue>,
}

impl<'f> Accepted<'f> {
    /// What the client of this request accepts. `None`: it speaks HTTP/1.0, where nothing tells the end of what was not measured.
    pub(super) fn by(compression: &'f Compression, forward: &Forward<'_>) -> Option<Self> {
        let fields = forward.headers();
        if forward.version() < Version::HTTP_11 || forbids(fields) {
            return None;
        }
        let known = fields.get_all(IF_NONE_MATCH).iter().cloned().collect();
        let coding::Accepted { codings, always } = coding::accepted(fields, &compression.codings);
        Some(Self { compression, coding: codings.iter().next(), always, head: forward.method() == Method::HEAD, known })
    }

    /// Encodes the answer, if it is one that is worth it. `Vary` is told also to who gets it as it is.
    pub(super) fn apply(&self, answer: &mut Response<ResponseBody>) {
        if answer.status() == StatusCode::NOT_MODIFIED {
            return self.not_modified(answer.headers_mut());
        }
        let length = self.length(answer);
        if !self.is_worth_it(answer, length) {
            return;
        }
        coding::vary(answer.headers_mut());
        let Some(coding) = self.coding else { return };
        if !self.head {
            match std::mem::take(answer.body_mut()).encoded(coding, length) {
                Ok(body) => *answer.body_mut() = body,
                Err(body) => {
                    *answer.body_mut() = body;
                    return;
                }
            }
        }
        let headers = answer.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        for name in [CONTENT_LENGTH, ACCEPT_RANGES].iter().chain(&DIGESTS) {
            headers.remove(name);
        }
        weaken(headers);
    }

    /// How long the answer is in bytes, if that is known.
    fn length(&self, answer: &Response<ResponseBody>) -> Option<u64> {
        match answer.headers().get(CONTENT_LENGTH) {
            Some(length) => length.to_str().ok()?.parse().ok(),
            None if self.head => None,
            None => answer.body().size_hint().exact(),
        }
    }

    fn is_worth_it(&self, answer: &Response<ResponseBody>, length: Option<u64>) -> bool {
        let headers = answer.headers();
        let minimum = if self.always { 1 } else { self.compression.minimum.max(1) };
        // As nginx: other statuses are short, or are no document.
        matches!(answer.status(), StatusCode::OK | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
            && !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(CONTENT_RANGE)
            && !forbids(headers)
            && length.is_none_or(|length| length >= minimum)
            && headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| self.compression.covers(value))
    }

    /// The client asked with a tag that we have weakened: it is told that one, so that its cache knows what is meant.
    fn not_modified(&self, headers: &mut HeaderMap) {
        let Some(tag) = headers.get(ETAG).map(|tag| [b"W/", tag.as_bytes()].concat()) else { return };
        if self.known.iter().flat_map(|known| known.as_bytes().split(|byte| *byte == b',')).any(|known| known.trim_ascii() == tag) {
            weaken(headers);
            coding::vary(headers);
        }
    }
}

/// `no-transform` (RFC 9111 sections 5.2.1.6 and 5.2.2.6).
fn forbids(headers: &HeaderMap) -> bool {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    directives.map(str::trim).any(|directive| directive.eq_ignore_ascii_case("no-transform"))
}

/// The same content in other bytes: a strong tag would be a lie (RFC 9110 section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get(ETAG)
        && tag.as_bytes().starts_with(b"\"")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
}
