//! Why there is no answer -> the answer that says so. The one place that turns an error into a status.
//!
//! In: [`Failure`]. Out: a small response that names the App and the request. Never: a path, an address, an error's text.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::id::RequestId;
use crate::backend::{Error, Phase, ResponseBody};
use crate::route::path::PathError;
use crate::route::{CompiledApp, Miss};

/// Seconds after which a client may try again: what is missing heals by itself.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// The App that was matched, if one was.
    pub(super) app: Option<Arc<CompiledApp>>,
    /// Why.
    pub(super) cause: Cause,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    /// The head is not acceptable.
    #[error("{0}")]
    Head(&'static str),
    /// The path is not acceptable.
    #[error(transparent)]
    Path(PathError),
    /// The server did not let it through, for this reason; it has the status that goes with it.
    #[error("{1}")]
    Refused(StatusCode, String),
    /// No App, or no rule of it, is for this request.
    #[error("no route ({0:?})")]
    NoRoute(Miss),
    /// The rule serves files, and has none for this request.
    #[error("no such file")]
    NoFile,
    /// The rule has neither files nor a backend with a weight.
    #[error("the rule has no backend")]
    NoBackend,
    /// The backend, or what is between.
    #[error(transparent)]
    Backend(Error),
}

impl Failure {
    fn is_of_ending_container(&self) -> bool {
        self.app.as_ref().and_then(|app| app.init.as_ref()).is_some_and(|init| init.is_ending())
    }
}

/// The answer.
pub(super) fn answer(failure: &Failure, id: RequestId) -> Response<ResponseBody> {
    let status = status(failure);
    let app = failure.app.as_ref().map(|app| app.name.as_str());
    // Whoever can connect can be refused, as often as he likes.
    if status.is_server_error() && !matches!(failure.cause, Cause::Refused(..)) {
        let source = failure.cause.source().map(|source| format!(": {}", chain(source))).unwrap_or_default();
        tracing::warn!(app, request = %id, status = status.as_u16(), "{}{source}", failure.cause);
    } else {
        tracing::debug!(app, request = %id, status = status.as_u16(), "{}", failure.cause);
    }
    let name = app.map(|app| format!("app: {app}\n")).unwrap_or_default();
    let text = format!("{status}\n{name}request: {id}\n");
    let mut answer = Response::new(ResponseBody::Full(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    }
    if let Cause::NoRoute(Miss::Listener) = failure.cause {
        // The listener may be gone while its connections last: the next request is better off on a new one.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

fn status(failure: &Failure) -> StatusCode {
    match &failure.cause {
        Cause::Head(_) | Cause::Path(_) => StatusCode::BAD_REQUEST,
        Cause::Refused(status, _) => *status,
        Cause::NoRoute(Miss::Listener | Miss::Host | Miss::Rule) | Cause::NoFile => StatusCode::NOT_FOUND,
        Cause::NoBackend => StatusCode::INTERNAL_SERVER_ERROR,
        Cause::Backend(error) => match error {
            Error::Unavailable | Error::Connect(_) | Error::Local(_) => StatusCode::SERVICE_UNAVAILABLE,
            // It did not break off: it was killed with its container, and will be back with it.
            Error::Protocol(_) | Error::Closed(_) | Error::Http(_) if failure.is_of_ending_container() => StatusCode::SERVICE_UNAVAILABLE,
            Error::Protocol(_) | Error::Closed(_) | Error::Http(_) => StatusCode::BAD_GATEWAY,
            Error::Timeout(Phase::Connect | Phase::Backend | Phase::Request) => StatusCode::GATEWAY_TIMEOUT,
            Error::Timeout(Phase::Client) => StatusCode::REQUEST_TIMEOUT,
            Error::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Downstream(_) => StatusCode::BAD_REQUEST,
            Error::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// An error and what is below it, each level once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::id::RequestIds;
    use super::*;

    #[test]
    fn who_asks_where_no_listener_is_any_more_has_to_connect_anew() {
        for (miss, connection) in [(Miss::Listener, Some("close")), (Miss::Host, None), (Miss::Rule, None)] {
            let failure = Failure { app: None, cause: Cause::NoRoute(miss) };
            let answer = answer(&failure, RequestIds::new().next());
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            assert_eq!(answer.headers().get(CONNECTION).map(|value| value.to_str().unwrap()), connection, "{miss:?}");
        }
    }
}
