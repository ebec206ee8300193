//! What can go wrong between a request and its answer, and whose fault it is. `proxy::rescue` turns it into a status.

use crate::dial;

/// What a time limit was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Connecting to the backend.
    Connect,
    /// Waiting for bytes from the backend, or for it to take ours.
    Backend,
    /// Waiting for bytes of the request's body from the client.
    Client,
    /// The whole transaction.
    Request,
    /// Waiting for a file system of the container.
    Files,
}

/// Why a request has no answer, or an answer breaks off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The backend's container does not run, or can't be entered.
    #[error("the container is not there, is stopped, or can't be entered")]
    Unavailable,
    /// The backend can't be reached.
    #[error("the backend can't be reached")]
    Connect(#[source] dial::Error),
    /// The backend says that it has not worked on the request, and would not when it was sent again.
    #[error("the backend refused the request")]
    Refused,
    /// The backend broke the protocol.
    #[error("the backend broke the protocol: {0}")]
    Protocol(&'static str),
    /// The backend closed the connection before the answer was whole.
    #[error("the backend closed the connection early")]
    Closed(#[source] Option<std::io::Error>),
    /// hyper's word for what the backend did.
    #[error("the backend's answer can't be read")]
    Http(#[source] hyper::Error),
    /// A time limit has passed.
    #[error("time limit passed ({0:?})")]
    Timeout(Phase),
    /// The request's body is larger than the rule accepts.
    #[error("the request's body is larger than {0} bytes")]
    BodyTooLarge(u64),
    /// The client went away, or broke the protocol inside its body.
    #[error("the client broke off")]
    Downstream(#[source] hyper::Error),
    /// A file could not be read after it was opened.
    #[error("a file can't be read")]
    File(#[source] std::io::Error),
    /// A local resource is missing: a temporary file, a descriptor.
    #[error("out of a local resource")]
    Local(#[source] std::io::Error),
}
