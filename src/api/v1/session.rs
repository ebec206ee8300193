//! `rules[].sessionPersistence`: a client stays with the endpoint that it had first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// Keeps a client with one endpoint (Gateway API `SessionPersistence`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionPersistence {
    /// The cookie's name. Default: one of its own for each rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub session_name: Option<String>,
    /// How long a session lasts in all. Omitted: as long as the client keeps the cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_timeout: Option<Duration>,
    /// How long a session lasts without a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// What a session is known by. Default `Cookie`.
    #[serde(rename = "type", default)]
    pub type_: SessionPersistenceType,
    /// The cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie_config: Option<CookieConfig>,
}

/// What a session is known by (Gateway API `SessionPersistenceType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SessionPersistenceType {
    /// A cookie of lxcproxy's own.
    #[default]
    Cookie,
    /// A field of the head.
    Header,
}

/// The cookie of a session (Gateway API `CookieConfig`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CookieConfig {
    /// How long the client keeps it. Default `Session`.
    #[serde(default)]
    pub lifetime_type: CookieLifetimeType,
}

/// How long a client keeps a cookie (Gateway API `CookieLifetimeType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CookieLifetimeType {
    /// As long as the browser runs.
    #[default]
    Session,
    /// For `absoluteTimeout`.
    Permanent,
}
