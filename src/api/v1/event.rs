//! What happened, as `kubectl get events` shows it (Kubernetes core/v1 `Event`). Kept in memory, a bounded number of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;

/// Something that happened to an object: a condition that changed, its end, or that it can't be kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Always `lxcproxy.dev/v1`.
    pub api_version: String,
    /// Always `Event`.
    pub kind: String,
    /// Identity.
    pub metadata: EventMetadata,
    /// Whom it happened to.
    pub involved_object: ObjectReference,
    /// Whether somebody should look.
    #[serde(rename = "type")]
    pub type_: EventType,
    /// In one word.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
    /// How often it happened.
    pub count: u64,
    /// When it happened first, RFC 3339.
    pub first_timestamp: String,
    /// When it happened last, RFC 3339.
    pub last_timestamp: String,
}

/// Identity of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventMetadata {
    /// Unique while the daemon runs: the object's name, a dot, a number that rises.
    pub name: String,
    /// The revision of the snapshot that showed it last; a text, as in Kubernetes.
    pub resource_version: String,
}

/// An object, named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// `App`, `Gateway` or `Source`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Whether somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}
