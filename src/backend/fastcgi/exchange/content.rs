//! The body of a request -> what an upload sends, once its length is known.
//!
//! In: a body. Out: pieces, whose number of bytes is known before the first. Never: a piece before the backend has been reached, but to
//! measure it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body;

use super::spool::{SpoolFile, Spooled, spool};
use crate::backend::{Error, RequestBody};

/// A request's body.
#[derive(Debug)]
pub struct Content {
    source: Source,
    /// In bytes; `None`: not known yet.
    length: Option<u64>,
}

/// Where it comes from.
#[derive(Debug)]
enum Source {
    /// The client, or what was kept of it.
    Client(RequestBody),
    /// Memory.
    Memory(Bytes),
    /// A temporary file.
    File(SpoolFile),
    /// There is nothing, or all of it has been taken.
    Taken,
}

impl From<RequestBody> for Content {
    fn from(body: RequestBody) -> Self {
        match body.length() {
            Some(0) => Self { source: Source::Taken, length: Some(0) },
            length => Self { source: Source::Client(body), length },
        }
    }
}

impl Content {
    /// The same with a known length: if nobody announced it, it is read to its end first.
    pub(super) async fn measured(self) -> Result<Self, Error> {
        let body = match self {
            Self { source: Source::Client(body), length: None } => body,
            content => return Ok(content),
        };
        let spooled = spool(body).await?;
        let length = Some(spooled.length());
        let source = match spooled {
            Spooled::Memory(bytes) => Source::Memory(bytes),
            Spooled::File(file) => Source::File(file),
        };
        Ok(Self { source, length })
    }

    /// Its length in bytes; 0 if it is not measured.
    pub(super) fn length(&self) -> u64 {
        self.length.unwrap_or(0)
    }

    /// Its length is known.
    pub(super) fn is_measured(&self) -> bool {
        self.length.is_some()
    }

    /// The next piece; `None` at the end.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        match &mut self.source {
            Source::Client(body) => Pin::new(body).poll_frame(cx).map_ok(|frame| frame.into_data().unwrap_or_default()),
            Source::Memory(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
            }
            Source::File(file) => file.poll_chunk(cx),
            Source::Taken => Poll::Ready(None),
        }
    }
}
