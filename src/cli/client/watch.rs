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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::Client;
    use super::*;
    use crate::admin::{self, Listener, MetricsText};
    use crate::api::v1::AppResource;
    use crate::snapshot::{Snapshot, channel};

    fn of(name: &str) -> Snapshot {
        let app: AppResource = serde_json::from_value(json!({
            "apiVersion": "lxcproxy.dev/v1", "kind": "App", "metadata": {"name": name}, "status": {"file": "f", "conditions": []}
        }))
        .unwrap();
        Snapshot { apps: [(name.to_owned(), Arc::new(app))].into_iter().collect(), ..Snapshot::default() }
    }

    #[tokio::test]
    async fn a_watch_goes_on_where_the_list_ended_and_one_from_long_ago_is_expired() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client { socket: dir.path().join("admin.sock") };
        let (mut publisher, reader) = channel();
        let listener = Listener::bind(&client.socket).unwrap();
        tokio::spawn(admin::serve(listener, None, reader, MetricsText::new(String::new), std::future::pending()));
        publisher.publish(of("blog"));
        let revision = client.list::<Value>("apps", &[]).await.unwrap().metadata.resource_version;
        let mut watch = client.watch::<AppResource>("apps", &[("labelSelector", "!a, !b")], Some(&revision)).await.unwrap();
        publisher.publish(of("wiki"));
        let mut next = async || watch.next().await.unwrap().unwrap();
        assert!(matches!(next().await, Change::Deleted(app) if app.metadata.name == "blog"));
        assert!(matches!(next().await, Change::Added(app) if app.metadata.name == "wiki"));
        let late = client.watch::<Value>("apps", &[], Some(&revision)).await;
        assert!(matches!(late, Err(Error::Expired(_))), "{late:?}");
    }

    #[test]
    fn a_line_is_a_change_a_bookmark_or_the_end() {
        let line = |value: Value| change::<Value>(value.to_string().as_bytes());
        let bookmark = json!({"apiVersion": "lxcproxy.dev/v1", "kind": "App", "metadata": {"resourceVersion": "7"}});
        assert_eq!(line(json!({"type": "BOOKMARK", "object": bookmark})).unwrap(), Change::Bookmark("7".to_owned()));
        assert_eq!(line(json!({"type": "MODIFIED", "object": 1})).unwrap(), Change::Modified(json!(1)));
        let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "m", "reason": "Expired", "code": 410});
        assert!(matches!(line(json!({"type": "ERROR", "object": status})), Err(Error::Expired(_))));
        assert!(matches!(line(json!({"type": "GONE", "object": 1})), Err(Error::Foreign(_))));
    }
}
