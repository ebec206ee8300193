//! A request that was not answered, and what is left of it.

use super::Error;

/// Why there is no answer; and the request, or its body, if none of it was sent.
#[derive(Debug)]
pub struct Failed<T> {
    /// Why.
    pub error: Error,
    /// What may be sent elsewhere; `None`: the backend may have seen it.
    pub unsent: Option<T>,
}

impl<T> Failed<T> {
    /// Nothing was sent.
    pub(super) fn unsent(error: Error, request: T) -> Self {
        Self { error, unsent: Some(request) }
    }
}

impl<T> From<Error> for Failed<T> {
    fn from(error: Error) -> Self {
        Self { error, unsent: None }
    }
}
