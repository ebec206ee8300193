//! What hyper's error means when HTTP/2 is spoken. The request's body put its own aside.

use std::error::Error as _;
use std::io;

use h2::Reason;

use super::upload::Progress;
use crate::backend::Error;

/// The error that the proxy knows.
pub(super) fn translate(error: hyper::Error, progress: &Progress) -> Error {
    if let Some(failure) = progress.failure.take() {
        return failure;
    }
    if error.is_canceled() || error.is_closed() {
        return Error::Closed(None);
    }
    let Some(cause) = error.source() else { return Error::Http(error) };
    if let Some(cause) = cause.downcast_ref::<io::Error>() {
        return Error::Closed(Some(cause.kind().into()));
    }
    match cause.downcast_ref::<h2::Error>() {
        Some(cause) if is_refusal(cause) => Error::Refused,
        Some(cause) if cause.is_io() => Error::Closed(cause.get_io().map(|error| error.kind().into())),
        _ => Error::Http(error),
    }
}

/// The backend says that it has not worked on the request: by `REFUSED_STREAM`, or by a `GOAWAY` whose last stream came before this one
/// (RFC 9113 section 8.7). h2 ends only those streams with the error of a `GOAWAY`.
fn is_refusal(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
}
