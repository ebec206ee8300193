//! A value or a failure -> an HTTP response.
//!
//! In: anything that serialises, or what went wrong. Out: JSON; failures as the `Status` object of Kubernetes. Never: a decision.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

/// A failure, in the words of Kubernetes' `metav1.Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Always `v1`.
    pub api_version: String,
    /// Always `Status`.
    pub kind: String,
    /// Always `Failure`: successes answer with the object itself.
    pub status: String,
    /// What went wrong, in a sentence.
    pub message: String,
    /// What went wrong, in one word.
    pub reason: String,
    /// The HTTP status code.
    pub code: u16,
}

/// What went wrong, before it is written as a [`Status`].
#[derive(Debug)]
pub(super) struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
}

impl Failure {
    /// There is nothing here by that name.
    pub(super) fn not_found(message: String) -> Self {
        Self { code: StatusCode::NOT_FOUND, reason: "NotFound", message }
    }

    /// The query asks for what there is not.
    pub(super) fn bad_request(message: String) -> Self {
        Self { code: StatusCode::BAD_REQUEST, reason: "BadRequest", message }
    }

    /// Something else than a look was asked for.
    pub(super) fn method_not_allowed(method: &Method) -> Self {
        let message = format!("only GET and HEAD are answered, not {method}: manifests are changed in their directory");
        Self { code: StatusCode::METHOD_NOT_ALLOWED, reason: "MethodNotAllowed", message }
    }

    /// The response that says so.
    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut response = json(&Status {
            api_version: "v1".to_owned(),
            kind: "Status".to_owned(),
            status: "Failure".to_owned(),
            message: self.message,
            reason: self.reason.to_owned(),
            code: self.code.as_u16(),
        });
        *response.status_mut() = self.code;
        if self.code == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

/// 200 with a JSON body and a line end after it, for terminals.
pub(super) fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            response(StatusCode::OK, "application/json", body)
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A line of plain text.
pub(super) fn text(code: StatusCode, line: &str) -> Response<Full<Bytes>> {
    response(code, "text/plain; charset=utf-8", format!("{line}\n").into_bytes())
}

fn response(code: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
