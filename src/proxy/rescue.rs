//! Why there is no answer -> the answer that says so. The one place that turns an error into a status.
//!
//! In: [`Cause`]. Out: a small response, with the [`super::page`] of its status. Never: a path, an address, an error's text.

use std::error::Error as _;
use std::time::Duration;

use http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::page::{self, Asked};
use crate::backend::{Error, Phase, ResponseBody, files};
use crate::metrics::HeldUp;
use crate::route::path::PathError;
use crate::route::{CompiledApp, Miss};

/// Seconds after which a client may try again: what is missing heals by itself.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

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
    /// A file is only read.
    #[error("a file is only read")]
    ReadOnly,
    /// The rule has neither files nor a backend with a weight.
    #[error("the rule has no backend")]
    NoBackend,
    /// Name and password are missing, or wrong; with the challenge.
    #[error("name and password are missing or wrong")]
    NotAuthenticated(HeaderValue),
    /// The file with the passwords is not there.
    #[error("the file with the passwords is not there")]
    NoPasswords,
    /// Too many passwords wait to be checked.
    #[error("too many passwords wait to be checked")]
    PasswordsBusy,
    /// A filter did not let it pass; the client may try again after this time, if that is known.
    #[error("held up by a filter ({why})", why = .0.as_str())]
    HeldUp(HeldUp, Option<Duration>),
    /// The backend, or what is between.
    #[error(transparent)]
    Backend(Error),
}

/// The answer, with the page of the App that was matched.
pub(super) async fn answer(app: &CompiledApp, cause: &Cause, asked: &Asked) -> Response<ResponseBody> {
    let status = status(Some(app), cause);
    // What does not answer is not asked again.
    let own = if let Cause::Backend(Error::Timeout(Phase::Files)) = cause { None } else { page::own(app, status, asked.id()).await };
    say(Some(app), cause, asked, status, own)
}

/// The answer where no App was matched.
pub(super) fn answer_of_ours(cause: &Cause, asked: &Asked) -> Response<ResponseBody> {
    say(None, cause, asked, status(None, cause), None)
}

fn say(
    app: Option<&CompiledApp>,
    cause: &Cause,
    asked: &Asked,
    status: StatusCode,
    own: Option<Response<ResponseBody>>,
) -> Response<ResponseBody> {
    let (name, id) = (app.map(|app| app.name.as_str()), asked.id());
    // Whoever can connect can be refused or held up as often as he likes: that is counted.
    if status.is_server_error() && !matches!(cause, Cause::Refused(..) | Cause::HeldUp(..)) {
        let source = cause.source().map(|source| format!(": {}", chain(source))).unwrap_or_default();
        tracing::warn!(app = name, request_id = %id, status = status.as_u16(), "{cause}{source}");
    } else {
        tracing::debug!(app = name, request_id = %id, status = status.as_u16(), "{cause}");
    }
    let mut answer = page::page(own, app, status, asked);
    let headers = answer.headers_mut();
    if let Cause::HeldUp(_, Some(wait)) = cause {
        // Whole seconds, and not too early.
        headers.insert(RETRY_AFTER, (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1).into());
    } else if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    }
    if let Cause::NotAuthenticated(challenge) = cause {
        headers.insert(WWW_AUTHENTICATE, challenge.clone());
    }
    if let Cause::NoRoute(Miss::Listener) = cause {
        // The listener may be gone while its connections last: the next request is better off on a new one.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Cause::ReadOnly = cause {
        headers.insert(ALLOW, files::ALLOWED);
    }
    answer
}

fn status(app: Option<&CompiledApp>, cause: &Cause) -> StatusCode {
    match cause {
        Cause::Head(_) | Cause::Path(_) => StatusCode::BAD_REQUEST,
        Cause::Refused(status, _) => *status,
        Cause::NoRoute(Miss::Listener | Miss::Host | Miss::Rule) | Cause::NoFile => StatusCode::NOT_FOUND,
        Cause::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
        Cause::NoBackend => StatusCode::INTERNAL_SERVER_ERROR,
        Cause::NotAuthenticated(_) => StatusCode::UNAUTHORIZED,
        Cause::NoPasswords | Cause::PasswordsBusy => StatusCode::SERVICE_UNAVAILABLE,
        Cause::HeldUp(why, _) => match why {
            HeldUp::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            HeldUp::IpAccess => StatusCode::FORBIDDEN,
            HeldUp::QueueFull | HeldUp::QueueTimeout => StatusCode::SERVICE_UNAVAILABLE,
        },
        Cause::Backend(error) => match error {
            Error::Unavailable | Error::Connect(_) | Error::Refused | Error::Local(_) => StatusCode::SERVICE_UNAVAILABLE,
            // It did not break off: it was killed with its container, and will be back with it.
            Error::Protocol(_) | Error::Closed(_) | Error::Http(_) if is_ending(app) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Protocol(_) | Error::Closed(_) | Error::Http(_) => StatusCode::BAD_GATEWAY,
            Error::Timeout(Phase::Connect | Phase::Backend | Phase::Request | Phase::Files) => StatusCode::GATEWAY_TIMEOUT,
            Error::Timeout(Phase::Client) => StatusCode::REQUEST_TIMEOUT,
            Error::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Downstream(_) => StatusCode::BAD_REQUEST,
            Error::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// The App's container is being stopped.
fn is_ending(app: Option<&CompiledApp>) -> bool {
    app.and_then(|app| app.init.as_ref()).is_some_and(|init| init.is_ending())
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
    use http::HeaderMap;

    use super::super::fields::Seen;
    use super::super::id::RequestIds;
    use super::*;

    #[test]
    fn who_asks_where_no_listener_is_any_more_has_to_connect_anew() {
        for (miss, connection) in [(Miss::Listener, Some("close")), (Miss::Host, None), (Miss::Rule, None)] {
            let asked = Asked::by(RequestIds::new().next(), Seen::default(), &HeaderMap::new());
            let answer = answer_of_ours(&Cause::NoRoute(miss), &asked);
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            assert_eq!(answer.headers().get(CONNECTION).map(|value| value.to_str().unwrap()), connection, "{miss:?}");
        }
    }
}
