//! Objects with their status, as the admin socket shows them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AppSpec, Condition, ConditionType, Diagnostic, GatewaySpec};

/// A list of objects, as Kubernetes writes one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// Always `lxcproxy.dev/v1`.
    pub api_version: String,
    /// The objects' kind, followed by `List`.
    pub kind: String,
    /// Which picture the list was taken from.
    pub metadata: ListMetadata,
    /// The objects, by name.
    pub items: Vec<T>,
}

/// Where a list comes from, as Kubernetes' ListMeta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListMetadata {
    /// The revision of the snapshot; a text, as in Kubernetes.
    pub resource_version: String,
}

/// An object: what should be, and what is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resource<Spec, Status> {
    /// Always `lxcproxy.dev/v1`.
    pub api_version: String,
    /// `App`, `Gateway`, `Source` or `Backend`.
    pub kind: String,
    /// Identity.
    pub metadata: ResourceMetadata,
    /// The newest spec that is valid; none if there never was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<Spec>,
    /// What is.
    pub status: Status,
}

/// An App with its status.
pub type AppResource = Resource<Arc<AppSpec>, AppStatus>;
/// A Gateway with its status.
pub type GatewayResource = Resource<GatewaySpec, GatewayStatus>;
/// A place that manifests come from, with its status.
pub type SourceResource = Resource<SourceSpec, SourceStatus>;

/// Identity of an object, as Kubernetes' ObjectMeta.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceMetadata {
    /// `metadata.name`; the file's path if no name could be read from it.
    pub name: String,
    /// Stays with the object for its life; empty if there never was a valid one.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    // Shared with the record on disk.
    pub uid: Arc<str>,
    /// Rises when the defaulted spec changes; 0 if there never was a valid one.
    #[serde(default)]
    pub generation: u64,
    /// When it was first seen, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub creation_timestamp: String,
    /// The revision of the snapshot in which it last changed; a text, as in Kubernetes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// As written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// As written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What is, for one App.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// The file that it comes from, relative to the manifest directory.
    pub file: String,
    /// The generation that is being served; none if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_generation: Option<u64>,
    /// The listeners that lead to what is served, `GATEWAY/LISTENER`; `--listen` is the one of the command line.
    // As the conditions it is the same for very many Apps, which share it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub listeners: Arc<[String]>,
    /// What holds, by type.
    pub conditions: Arc<[Condition]>,
    /// Everything that is wrong with the manifest as it is now, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Diagnostic>,
}

fn is_empty(list: &[String]) -> bool {
    list.is_empty()
}

/// What is, for one Gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// The file that it comes from, relative to the manifest directory.
    pub file: String,
    /// The generation that is being served; none if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_generation: Option<u64>,
    /// What holds, by type.
    pub conditions: Vec<Condition>,
    /// Its listeners, of the generation that is served; of the newest if none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerStatus>,
    /// Everything that is wrong with the manifest as it is now, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Diagnostic>,
}

/// What is, for one listener (Gateway API `ListenerStatus`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The address that it is bound to, `ADDRESS:PORT`.
    pub address: String,
    /// How many Apps are served through it (Gateway API `attachedRoutes`).
    pub attached_apps: u64,
    /// What holds, by type: `Accepted`, `Programmed`.
    pub conditions: Vec<Condition>,
}

/// A place that manifests come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceSpec {
    /// The directory.
    pub path: PathBuf,
}

/// What is, for one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// What was read: where the directory's link leads (git-sync: the commit), else a hash over names and contents.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// When the directory was read last with something new in it, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_change: String,
    /// How many manifest files it holds.
    #[serde(default)]
    pub files: u64,
    /// Subdirectories that could not be read, by relative path, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, String>,
    /// What holds, by type: `Ready` (it can be read), `Watching` (events come; else it is polled).
    pub conditions: Vec<Condition>,
}

/// What every status has.
pub trait Conditions {
    /// What holds, by type.
    fn conditions(&self) -> &[Condition];

    /// The condition of this type, if it is present.
    fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions().iter().find(|condition| condition.type_ == type_)
    }
}

macro_rules! has_conditions {
    ($($status:ty),*) => {
        $(impl Conditions for $status {
            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }
        })*
    };
}
has_conditions!(AppStatus, GatewayStatus, ListenerStatus, SourceStatus);
