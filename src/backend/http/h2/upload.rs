//! The body of a request, watched while hyper takes it.
//!
//! In: the body as the proxy gives it. Out: the same frames, and how they fare. Never: an error that is lost because hyper hides it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::backend::{Error, RequestBody};

/// How the request's body fares; shared by the connection's task, which sends it, and by who waits for the answer.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// When the backend last took a part.
    pub(super) moved: Cell<Option<Instant>>,
    /// The next part has to come from the client: the backend's silence is no fault.
    pub(super) awaits_client: Cell<bool>,
    /// Why the body broke off.
    pub(super) failure: RefCell<Option<Error>>,
}

/// The body of a request inside hyper. hyper hides the errors of bodies, so they are put aside in [`Progress`].
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) body: RequestBody,
    pub(super) progress: Rc<Progress>,
}

/// Stands for the error in [`Progress::failure`].
#[derive(Debug, thiserror::Error)]
#[error("the request's body broke off")]
pub(super) struct Broken;

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.body).poll_frame(cx);
        this.progress.awaits_client.set(poll.is_pending());
        poll.map(|frame| {
            this.progress.moved.set(Some(Instant::now()));
            frame.map(|frame| {
                frame.map_err(|error| {
                    this.progress.failure.replace(Some(error));
                    Broken
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.progress.awaits_client.set(false);
    }
}
