//! Objects as the daemon shows them -> manifests as people write them.
//!
//! In: documents, some of which `get -o yaml` or `get -o json` has printed. Out: documents without what only the daemon sets; of a list its
//! objects, each where it stands. Never: a document in the manifest directory, which is read as it is written.

use super::node::{Cursor, Data, Node};

/// What the daemon adds to `metadata`, as Kubernetes' API server does.
const METADATA: [&str; 4] = ["uid", "generation", "creationTimestamp", "resourceVersion"];

/// Whether a field of this path is there because the daemon has shown the object.
pub(super) fn is_set_by_daemon(path: &str) -> bool {
    path.strip_prefix("metadata.").is_some_and(|name| METADATA.contains(&name))
}

/// Takes lists apart, and what the daemon adds out. Returns whether there was any of it.
pub(super) fn undo(documents: Vec<Node>) -> (Vec<Node>, bool) {
    let mut printed = false;
    let mut objects = Vec::with_capacity(documents.len());
    for document in documents {
        match items(document) {
            Ok(items) => {
                printed = true;
                objects.extend(items);
            }
            Err(document) => objects.push(document),
        }
    }
    for object in &mut objects {
        printed |= strip(object);
    }
    (objects, printed)
}

/// The objects of a list (`AppList`, `GatewayList`, `List`); anything else as it is.
fn items(mut document: Node) -> Result<Vec<Node>, Node> {
    let is_list = Cursor::root(&document).text_of("kind").is_some_and(|kind| ["List", "AppList", "GatewayList"].contains(&kind));
    if let Data::Map(entries) = &mut document.data
        && is_list
        && let Some(Data::List(items)) = entries.iter_mut().find(|entry| entry.key == "items").map(|entry| &mut entry.value.data)
    {
        return Ok(std::mem::take(items));
    }
    Err(document)
}

fn strip(object: &mut Node) -> bool {
    let Data::Map(entries) = &mut object.data else { return false };
    let Some(Data::Map(metadata)) = entries.iter_mut().find(|entry| entry.key == "metadata").map(|entry| &mut entry.value.data) else {
        return false;
    };
    let written = metadata.len();
    metadata.retain(|entry| !METADATA.contains(&entry.key.as_str()));
    let printed = metadata.len() < written;
    // A status alone may have been written by hand: it is ignored where it stands.
    entries.retain(|entry| !printed || entry.key != "status");
    printed
}
