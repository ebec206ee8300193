//! What is: conditions and reasons. Never written in a manifest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One statement about an object (Kubernetes `metav1.Condition`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
    /// Of a source: events tell of changes; else it is looked at every few seconds.
    Watching,
}

impl ConditionType {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Accepted, Self::ResolvedRefs, Self::Programmed, Self::Ready, Self::Conflicted, Self::PartiallyResolved, Self::Watching];
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known yet.
    Unknown,
}

/// Why a condition has its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
    /// A file that a filter needs is not there, or is no regular file.
    FileNotFound,
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
    /// Of a listener: its address and port can't be listened on (Gateway API).
    PortUnavailable,
    /// Of a listener: an older one has the same port and hostname, or speaks another protocol there (Gateway API `HostnameConflict`).
    ListenerConflict,
    /// Of a source: events come.
    Watching,
    /// Of a source: no events come, it is polled.
    Polling,
    /// Of a source: the directory does not exist.
    DirectoryNotFound,
    /// Of a source: the directory can't be read, or not all of it.
    DirectoryUnreadable,
    /// Of a source: the directory has become empty, which is no deletion.
    DirectoryEmpty,
    /// Of an event: its manifest is gone, and so is it.
    Removed,
    /// Of an event: its state can't be kept on disk, so that a restart would not know of the last change.
    StateNotKept,
    /// Of an event: what could not be kept on disk is kept now.
    StateKept,
    /// A fault of lxcproxy itself; what was served is served on.
    InternalError,
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
