//! A value or a failure -> an HTTP response.
//!
//! In: anything that serialises, lines as they come, or what went wrong. Out: JSON; failures as the `Status` object of Kubernetes. Never: a
//! decision.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// What JSON is sent as.
pub(super) const JSON: &str = "application/json";
/// What lines of JSON are sent as, as by Kubernetes.
pub(super) const LINES: &str = "application/json;stream=watch";
/// What a line of text is sent as.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// A failure, in the words of Kubernetes' `metav1.Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    field: Option<(HeaderName, HeaderValue)>,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// All of it; none: it is sent, or there is none.
    Whole(Option<Bytes>),
    /// What comes, until the sender is dropped; the place is given back when nobody reads any more.
    Stream { lines: mpsc::Receiver<Bytes>, _place: OwnedSemaphorePermit },
}

impl Failure {
    /// There is nothing here by that name.
    pub(super) fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// The query asks for what there is not.
    pub(super) fn bad_request(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// Whoever asks may not.
    pub(super) fn forbidden(message: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// Something else than a look was asked for.
    pub(super) fn method_not_allowed(method: &Method) -> Self {
        let message = format!("only GET and HEAD are answered, not {method}: manifests are changed in their directory");
        let field = (ALLOW, HeaderValue::from_static("GET, HEAD"));
        Self { field: Some(field), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message) }
    }

    /// The revision that is to be watched from is not the one of now.
    pub(super) fn expired(known: u64, now: u64) -> Self {
        let message = format!("the resource version {known} is not that of now, {now}; list again, and watch from there");
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// As many as there may be are at it.
    pub(super) fn too_many_requests(message: String) -> Self {
        let field = (RETRY_AFTER, HeaderValue::from_static("1"));
        Self { field: Some(field), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message) }
    }

    /// It is too early, or too late.
    pub(super) fn unavailable(message: String) -> Self {
        let field = (RETRY_AFTER, HeaderValue::from_static("1"));
        Self { field: Some(field), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message) }
    }

    /// A fault of ours.
    pub(super) fn internal_error(message: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    fn new(code: StatusCode, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, field: None }
    }

    /// The object that says so.
    pub(super) fn status(self) -> Status {
        Status {
            api_version: "v1".to_owned(),
            kind: "Status".to_owned(),
            status: "Failure".to_owned(),
            message: self.message,
            reason: self.reason.to_owned(),
            code: self.code.as_u16(),
        }
    }

    /// The response that says so.
    pub(super) fn response(mut self) -> Response<Answer> {
        let (code, field) = (self.code, self.field.take());
        // Texts and a number: there is nothing in it that JSON can't say.
        let body = serde_json::to_vec(&self.status()).unwrap_or_default();
        let mut response = response(code, JSON, with_line_end(body));
        response.headers_mut().extend(field);
        response
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Stream { lines, .. } => lines.poll_recv(cx),
        };
        data.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}

/// 200 with a JSON body and a line end after it, for terminals.
pub(super) fn json(value: &impl Serialize) -> Result<Response<Answer>, Failure> {
    let body = serde_json::to_vec(value).map_err(|error| Failure::internal_error(error.to_string()))?;
    Ok(response(StatusCode::OK, JSON, with_line_end(body)))
}

/// A line of plain text.
pub(super) fn text(code: StatusCode, line: &str) -> Response<Answer> {
    response(code, TEXT, format!("{line}\n").into_bytes())
}

/// 200 with lines of JSON as they come. `place` is given back when the answer is over.
pub(super) fn stream(lines: mpsc::Receiver<Bytes>, place: OwnedSemaphorePermit) -> Response<Answer> {
    finished(StatusCode::OK, LINES, Answer::Stream { lines, _place: place })
}

/// All of an answer.
pub(super) fn response(code: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Answer> {
    finished(code, content_type, Answer::Whole(Some(Bytes::from(body)).filter(|body| !body.is_empty())))
}

fn finished(code: StatusCode, content_type: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let fields = [(CONTENT_TYPE, HeaderValue::from_static(content_type)), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    *response.headers_mut() = HeaderMap::from_iter(fields);
    response
}

fn with_line_end(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}
