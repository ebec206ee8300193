//! What a watch stream says: one line of JSON for each change (Kubernetes `metav1.WatchEvent`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ListMetadata;

/// A change of an object, a bookmark, or why the stream ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchEvent<T> {
    /// What has happened.
    #[serde(rename = "type")]
    pub type_: WatchType,
    /// The object as it is now; of one that is gone, as it was last. Of a bookmark: how far the stream is; of an error: a `Status`.
    pub object: T,
}

/// What has happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WatchType {
    /// It is there, or fits the selectors now.
    Added,
    /// It has changed.
    Modified,
    /// It is gone, or does not fit the selectors any more.
    Deleted,
    /// Nothing: all that has happened up to this revision has been said.
    Bookmark,
    /// The watch can't go on.
    Error,
}

/// The object of a bookmark: no object, only how far the stream is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bookmark {
    /// Always `lxcproxy.dev/v1`.
    pub api_version: String,
    /// The kind of the objects that are watched.
    pub kind: String,
    /// How far the stream is.
    pub metadata: ListMetadata,
}
