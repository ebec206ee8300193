//! What is: conditions and reasons, as the admin socket shows them. Never written in a manifest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AppSpec;

/// A list of objects, as Kubernetes writes one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMetadata {
    /// The revision of the snapshot; a text, as in Kubernetes.
    pub resource_version: String,
}

/// An App with its status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppResource {
    /// Always `lxcproxy.dev/v1`.
    pub api_version: String,
    /// Always `App`.
    pub kind: String,
    /// Identity.
    pub metadata: ResourceMetadata,
    /// The newest spec that is valid; none if there never was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<AppSpec>,
    /// What is.
    pub status: AppStatus,
}

/// Identity of an object, as Kubernetes' ObjectMeta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceMetadata {
    /// `metadata.name`; the file's path if no name could be read from it.
    pub name: String,
    /// Stays with the object for its life; empty if there never was a valid one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Rises when the defaulted spec changes; 0 if there never was a valid one.
    #[serde(default)]
    pub generation: u64,
    /// When it was first seen, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub creation_timestamp: String,
    /// As written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// As written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What is, for one App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// The file that it comes from, relative to the manifest directory.
    pub file: String,
    /// The generation that is being served; none if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_generation: Option<u64>,
    /// What holds, by type.
    pub conditions: Vec<Condition>,
}

impl AppStatus {
    /// The condition of this type, if it is present.
    #[must_use]
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }
}

/// One statement about an object (Kubernetes `metav1.Condition`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is stated.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// The generation that was looked at.
    pub observed_generation: u64,
    /// When `status` last changed, RFC 3339.
    pub last_transition_time: String,
}

/// What a condition states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// It decodes, and passes the schema and the semantic checks.
    Accepted,
    /// Container, sockets, roots, certificates are there.
    ResolvedRefs,
    /// A snapshot that is being served holds this generation.
    Programmed,
    /// All three.
    Ready,
    /// Another App has one of its matches. Present only when true.
    Conflicted,
    /// Some rules can be answered and some can't. Present only when true.
    PartiallyResolved,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known yet.
    Unknown,
}

/// Why a condition has its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The condition's own name: it is true, and that is all.
    Accepted,
    /// All references are resolved.
    ResolvedRefs,
    /// This generation is being served.
    Programmed,
    /// Everything is in order.
    Ready,
    /// The manifest does not decode, or fails a check.
    Invalid,
    /// It asks for what this version does not do.
    UnsupportedValue,
    /// An older App has the name.
    NameConflict,
    /// No Gateway or listener fits its `parentRefs`.
    NoMatchingParent,
    /// No runtime knows the container.
    ContainerNotFound,
    /// The container does not run.
    ContainerStopped,
    /// There is nothing at the socket's path.
    SocketNotFound,
    /// There is something else at the socket's path.
    NotASocket,
    /// Nobody listens.
    ConnectionRefused,
    /// lxcproxy may not enter the container, or may not use the socket.
    PermissionDenied,
    /// The document root is not there, or is no directory.
    RootNotFound,
    /// A certificate is not there, or can't be used.
    CertificateNotFound,
    /// Seen, not looked at yet.
    Pending,
    /// An older generation is being served.
    LastKnownGood,
    /// An older App has the same match.
    Conflicted,
    /// Some backends are there, some are not.
    PartiallyResolved,
}

/// Enums whose name in JSON is their name here.
macro_rules! display_as_debug {
    ($($name:ty),*) => {
        $(impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self, f)
            }
        })*
    };
}
display_as_debug!(ConditionType, ConditionStatus, Reason);

impl std::str::FromStr for ConditionType {
    type Err = serde::de::value::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::deserialize(serde::de::value::StrDeserializer::new(text))
    }
}
