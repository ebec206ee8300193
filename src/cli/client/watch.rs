//! The body of a watch -> changes, one at a time.
//!
//! In: lines of JSON, in pieces of any size. Out: [`Change`]. Never: a line without a bound; a silence without an end.

use std::marker::PhantomData;

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::{ANSWER, Error, refusal};
use crate::admin::KEEP_ALIVE;
use crate::api::v1::{Bookmark, WatchEvent, WatchType};

/// One thing that a watch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change<T> {
    /// It is there, or fits the selectors now.
    Added(T),
    /// It has changed.
    Modified(T),
    /// It is gone, or does not fit the selectors any more; as it was last.
    Deleted(T),
    /// All that happened up to this revision has been said. It comes after what is there at the start, and now and then.
    Bookmark(String),
}

/// A stream of changes. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch<T> {
    body: Incoming,
    /// What has come and is not a whole line yet.
    buffer: BytesMut,
    /// How much of the buffer holds no line end.
    searched: usize,
    objects: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Watch<T> {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0, objects: PhantomData }
    }

    /// The next change; none: the daemon has ended the stream, since it stops or the time is over. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Change<T>>, Error> {
        loop {
            if let Some(line) = self.line() {
                return change(&line).map(Some);
            }
            // The daemon says something now and then, even if nothing happens.
            let frame = timeout(2 * KEEP_ALIVE, self.body.frame()).await.map_err(|_| Error::Late)?;
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
            if self.buffer.len() > ANSWER {
                return Err(Error::Body("a line does not end".into()));
            }
        }
    }

    fn line(&mut self) -> Option<BytesMut> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + end);
        self.buffer.advance(1);
        self.searched = 0;
        Some(line)
    }
}

fn change<T: DeserializeOwned>(line: &[u8]) -> Result<Change<T>, Error> {
    let WatchEvent { type_, object } = serde_json::from_slice::<WatchEvent<Value>>(line)?;
    Ok(match type_ {
        WatchType::Added => Change::Added(serde_json::from_value(object)?),
        WatchType::Modified => Change::Modified(serde_json::from_value(object)?),
        WatchType::Deleted => Change::Deleted(serde_json::from_value(object)?),
        WatchType::Bookmark => Change::Bookmark(serde_json::from_value::<Bookmark>(object)?.metadata.resource_version),
        WatchType::Error => return Err(refusal(object.to_string().as_bytes())),
    })
}
