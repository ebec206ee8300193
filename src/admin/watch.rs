//! Snapshots as they come -> lines that say what has changed (Kubernetes "efficient detection of changes").
//!
//! In: a [`Reader`], what the client knows and wants. Out: lines of JSON, as fast as they are read. Never: a second snapshot waiting for a
//! slow reader: it is told of the newest one next, whatever lay between.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::answer::Failure;
use super::objects::{Change, Collection, Kind};
use super::query::Selection;
use crate::api::v1::{API_VERSION, Bookmark, ListMetadata, WatchEvent, WatchType};
use crate::snapshot::{Reader, Snapshot};

/// Lines are sent when there is so much of them, in bytes.
const CHUNK: usize = 64 * 1024;

/// A watch: what has been told, and what is to be.
#[derive(Debug)]
pub(super) struct Watcher<C> {
    pub(super) reader: Reader,
    pub(super) kind: Kind,
    /// Where the objects are.
    pub(super) of: fn(&Snapshot) -> &C,
    pub(super) selection: Selection,
    /// What has been told, or is known to the client; none: nothing yet.
    pub(super) told: Option<C>,
    /// The revision of `told`.
    pub(super) revision: u64,
    /// A bookmark is sent after this time.
    pub(super) keep_alive: Duration,
}

impl<C: Collection> Watcher<C> {
    /// Tells what is there and a bookmark, if the client knows nothing, then what happens. Does not end while somebody listens.
    pub(super) async fn run(mut self, lines: mpsc::Sender<Bytes>) {
        // An error here means that nobody listens any more.
        let _ = self.follow(&lines).await;
    }

    async fn follow(&mut self, lines: &mpsc::Sender<Bytes>) -> Result<(), mpsc::error::SendError<Bytes>> {
        if self.told.is_none() {
            self.catch_up(lines).await?;
            lines.send(self.bookmark()).await?;
        }
        loop {
            let due = Instant::now() + self.keep_alive;
            while let Ok(newer) = timeout_at(due, self.reader.newer_than(self.revision)).await {
                if newer.is_none() {
                    // Nobody publishes any more: there will be no news.
                    sleep_until(due).await;
                }
                self.catch_up(lines).await?;
            }
            lines.send(self.bookmark()).await?;
        }
    }

    /// Tells what differs between what has been told and what is.
    async fn catch_up(&mut self, lines: &mpsc::Sender<Bytes>) -> Result<(), mpsc::error::SendError<Bytes>> {
        let mut chunk = Vec::new();
        for change in self.look() {
            if let Some((type_, object)) = change.told(|object| self.selection.fits(object)) {
                write_line(&mut chunk, type_, &*object);
                if chunk.len() >= CHUNK {
                    lines.send(std::mem::take(&mut chunk).into()).await?;
                }
            }
        }
        if chunk.is_empty() { Ok(()) } else { lines.send(chunk.into()).await }
    }

    /// The changes up to now; the snapshot itself is let go of.
    fn look(&mut self) -> Vec<Change<C::Object>> {
        let snapshot = self.reader.load();
        let newer = (self.of)(&snapshot);
        let changes = self.told.take().unwrap_or_default().changes(newer);
        (self.told, self.revision) = (Some(newer.clone()), snapshot.revision);
        changes
    }

    fn bookmark(&self) -> Bytes {
        let metadata = ListMetadata { resource_version: self.revision.to_string() };
        let bookmark = Bookmark { api_version: API_VERSION.to_owned(), kind: self.kind.name().to_owned(), metadata };
        let mut line = Vec::new();
        write_line(&mut line, WatchType::Bookmark, &bookmark);
        line.into()
    }
}

/// Appends a line; one that can't be written says why.
fn write_line<T: Serialize>(out: &mut Vec<u8>, type_: WatchType, object: &T) {
    let start = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, &WatchEvent { type_, object }) {
        out.truncate(start);
        let object = Failure::internal_error(error.to_string()).status();
        // Texts and a number: there is nothing in it that JSON can't say.
        out.extend(serde_json::to_vec(&WatchEvent { type_: WatchType::Error, object }).unwrap_or_default());
    }
    out.push(b'\n');
}
