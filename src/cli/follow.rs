//! A resource of the daemon -> every change of its objects, across restarts of the daemon.
//!
//! In: lists and watch streams. Out: changes; first each object as added. Never: an object again that has not changed.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::client::{self, Change, Client};
use super::{Silent, warn_user};
use crate::api::v1::List;

/// How long a daemon may be away: a restart takes less.
const ABSENCE: Duration = Duration::from_secs(30);
/// The pause before the daemon is asked again, and how long it becomes when nothing comes of it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What is known of the objects that are followed.
#[derive(Debug, Default)]
struct Known {
    objects: HashMap<String, Value>,
}

/// Tells of every change until `tell` says that nobody listens any more, or the user ends it with Ctrl-C.
///
/// # Errors
/// The daemon was not there at the start, or is away for too long; [`Silent`] after Ctrl-C, since kubectl exits with 1 then.
pub(super) async fn follow(
    client: &Client,
    resource: &str,
    query: &[(&str, &str)],
    tell: impl FnMut(Vec<Change<Value>>) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut following = pin!(changes(client, resource, query, tell));
    tokio::select! {
        ended = &mut following => ended,
        _ = interrupt.recv() => Err(Silent.into()),
    }
}

async fn changes(
    client: &Client,
    resource: &str,
    query: &[(&str, &str)],
    mut tell: impl FnMut(Vec<Change<Value>>) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut known = Known::default();
    let mut list: List<Value> = client.list(resource, query).await?;
    let mut pause = FIRST_PAUSE;
    loop {
        let changes = known.replace(list.items);
        pause = if changes.is_empty() { (2 * pause).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        if !tell(changes)? {
            return Ok(());
        }
        match stream(client, resource, query, &list.metadata.resource_version, &mut known, &mut tell).await {
            Ok(End::Unheard) => return Ok(()),
            Ok(End::Stream { heard }) => pause = if heard { FIRST_PAUSE } else { pause },
            Err(error) if passes(&error) => {}
            Err(error) => return Err(error),
        }
        sleep(pause).await;
        list = again(client, resource, query).await?;
    }
}

/// How a stream ends that is no failure.
enum End {
    /// Nobody listens any more.
    Unheard,
    /// The daemon has ended it, after changes or without.
    Stream { heard: bool },
}

/// Tells what one stream says.
async fn stream(
    client: &Client,
    resource: &str,
    query: &[(&str, &str)],
    revision: &str,
    known: &mut Known,
    tell: &mut impl FnMut(Vec<Change<Value>>) -> anyhow::Result<bool>,
) -> anyhow::Result<End> {
    let mut watch = client.watch::<Value>(resource, query, Some(revision)).await?;
    let mut heard = false;
    while let Some(change) = watch.next().await? {
        heard = true;
        if let Some(change) = known.apply(change)
            && !tell(vec![change])?
        {
            return Ok(End::Unheard);
        }
    }
    Ok(End::Stream { heard })
}

/// A new list, from a daemon that may have to come back first.
async fn again(client: &Client, resource: &str, query: &[(&str, &str)]) -> anyhow::Result<List<Value>> {
    let deadline = Instant::now() + ABSENCE;
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        let error = match client.list(resource, query).await {
            Ok(list) => return Ok(list),
            Err(error) => anyhow::Error::from(error),
        };
        if !passes(&error) || Instant::now() + pause > deadline {
            return Err(error);
        }
        if !std::mem::replace(&mut told, true) {
            warn_user("warning: the daemon is away; waiting for it to come back");
        }
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Whether an error is of a daemon that restarts, or of a picture that is too old.
fn passes(error: &anyhow::Error) -> bool {
    use client::Error::{Body, Broken, Expired, Late, NoDaemon, Refused};
    match error.downcast_ref() {
        Some(NoDaemon { .. } | Broken(_) | Body(_) | Late | Expired(_)) => true,
        // It has nothing to say yet.
        Some(Refused(status)) => status.code == StatusCode::SERVICE_UNAVAILABLE.as_u16(),
        _ => false,
    }
}

impl Known {
    /// Takes a new list; the changes are what is different in it.
    fn replace(&mut self, list: Vec<Value>) -> Vec<Change<Value>> {
        let mut before = std::mem::take(&mut self.objects);
        let mut changes = Vec::new();
        for object in list {
            match before.remove(&key(&object)) {
                None => changes.push(Change::Added(object.clone())),
                Some(old) if !alike(&old, &object) => changes.push(Change::Modified(object.clone())),
                Some(_) => {}
            }
            self.objects.insert(key(&object), object);
        }
        let mut gone: Vec<_> = before.into_iter().collect();
        gone.sort_by(|(one, _), (other, _)| one.cmp(other));
        changes.extend(gone.into_iter().map(|(_, object)| Change::Deleted(object)));
        changes
    }

    /// Takes one change; none if there is nothing new in it.
    fn apply(&mut self, change: Change<Value>) -> Option<Change<Value>> {
        match change {
            Change::Added(object) | Change::Modified(object) => match self.objects.insert(key(&object), object.clone()) {
                None => Some(Change::Added(object)),
                Some(old) => (!alike(&old, &object)).then_some(Change::Modified(object)),
            },
            Change::Deleted(object) => {
                self.objects.remove(&key(&object));
                Some(Change::Deleted(object))
            }
            Change::Bookmark(_) => None,
        }
    }
}

/// What an object is known by: its name, or for a manifest that wants the name of another one, its file as well.
pub(super) fn key(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if takes_a_name(object) { format!("{name} {}", object["status"]["file"].as_str().unwrap_or_default()) } else { name.to_owned() }
}

/// Whether it is a manifest whose name another one has.
pub(super) fn takes_a_name(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Accepted" && condition["reason"] == "NameConflict")
}

/// Whether two states of an object differ in their revision at most.
fn alike(one: &Value, other: &Value) -> bool {
    let without_revision = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.shift_remove("resourceVersion");
        }
        object
    };
    without_revision(one) == without_revision(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, revision: &str, message: &str) -> Value {
        json!({"metadata": {"name": name, "resourceVersion": revision}, "status": {"file": "x.yaml", "message": message}})
    }

    #[test]
    fn a_list_after_a_restart_tells_only_what_is_different() {
        let mut known = Known::default();
        let first = known.replace(vec![object("a", "1", ""), object("b", "1", ""), object("c", "1", "")]);
        assert!(first.iter().all(|change| matches!(change, Change::Added(_))) && first.len() == 3);
        let second = known.replace(vec![object("a", "9", ""), object("b", "9", "new"), object("d", "9", "")]);
        let expected =
            [Change::Modified(object("b", "9", "new")), Change::Added(object("d", "9", "")), Change::Deleted(object("c", "1", ""))];
        assert_eq!(second, expected);
    }

    #[test]
    fn a_change_of_the_revision_alone_is_none() {
        let mut known = Known::default();
        known.replace(vec![object("a", "1", "")]);
        assert_eq!(known.apply(Change::Modified(object("a", "2", ""))), None);
        assert_eq!(known.apply(Change::Bookmark("3".to_owned())), None);
        assert_eq!(known.apply(Change::Added(object("a", "4", "new"))), Some(Change::Modified(object("a", "4", "new"))));
        assert_eq!(known.apply(Change::Deleted(object("a", "5", "new"))), Some(Change::Deleted(object("a", "5", "new"))));
        assert_eq!(known.apply(Change::Modified(object("a", "6", ""))), Some(Change::Added(object("a", "6", ""))));
    }

    #[test]
    fn two_manifests_of_one_name_are_two_objects() {
        let mut second = object("a", "1", "");
        second["status"]["conditions"] = json!([{"type": "Accepted", "reason": "NameConflict"}]);
        let mut known = Known::default();
        known.replace(vec![object("a", "1", ""), second.clone()]);
        assert_eq!(known.objects.len(), 2);
        assert_eq!(known.apply(Change::Deleted(second.clone())), Some(Change::Deleted(second)));
        assert!(known.objects.contains_key("a"));
    }
}
