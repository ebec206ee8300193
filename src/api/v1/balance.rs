//! `spec.backends[]` with several endpoints: which of them a request goes to, and which are fit for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// Which of several endpoints a request goes to (Envoy Gateway `LoadBalancer`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadBalancer {
    /// How it is chosen.
    #[serde(rename = "type")]
    pub type_: LoadBalancerType,
    /// For `ConsistentHash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistent_hash: Option<ConsistentHash>,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LoadBalancerType {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastRequest,
    /// The same one for the same key, as long as it is there.
    ConsistentHash,
}

/// The key of a consistent hash (Envoy Gateway `ConsistentHash`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsistentHash {
    /// What the key is.
    #[serde(rename = "type")]
    pub type_: ConsistentHashType,
    /// The name of the header or cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "header-name"))]
    pub name: Option<String>,
}

/// What the key of a consistent hash is. A request without it goes to any endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConsistentHashType {
    /// The client's address.
    #[serde(rename = "SourceIP")]
    SourceIp,
    /// A field of the head.
    Header,
    /// A cookie.
    Cookie,
}

/// How endpoints that fail are noticed (Envoy Gateway `HealthCheck`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// By asking them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveHealthCheck>,
    /// By what happens to requests. Omitted: the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passive: Option<PassiveHealthCheck>,
}

/// Each endpoint is asked now and then (Envoy Gateway `ActiveHealthCheck`). Of FastCGI backends only the connection is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ActiveHealthCheck {
    /// What is asked for by GET; HTTP backends only. Omitted: a connection is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "request-path"))]
    pub path: Option<String>,
    /// The `Host` of the question. Default: the name of the App.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "hostname-exact"))]
    pub hostname: Option<String>,
    /// Answers that are good. Default: 200 to 399.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = {"type": "integer", "minimum": 200, "maximum": 599}))]
    pub expected_statuses: Vec<u16>,
    /// Between two questions. Default 5s.
    pub interval: Duration,
    /// Until the answer. Default 1s.
    pub timeout: Duration,
    /// Good answers in a row that bring an endpoint back. Default 1.
    #[schemars(range(min = 1, max = 100))]
    pub healthy_threshold: u32,
    /// Bad answers in a row that take it out. Default 3.
    #[schemars(range(min = 1, max = 100))]
    pub unhealthy_threshold: u32,
}

impl Default for ActiveHealthCheck {
    fn default() -> Self {
        Self {
            path: None,
            hostname: None,
            expected_statuses: Vec::new(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            healthy_threshold: 1,
            unhealthy_threshold: 3,
        }
    }
}

/// An endpoint that fails requests gets none for a while (Envoy Gateway `PassiveHealthCheck`). The last one is never taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PassiveHealthCheck {
    /// Failures in a row (no connection, no answer, 502, 503, 504) that take an endpoint out; 0: never. Default 3.
    #[schemars(range(max = 1000))]
    pub consecutive_errors: u32,
    /// How long it is out; longer each time, up to ten times. Default 10s.
    pub base_ejection_time: Duration,
}

impl Default for PassiveHealthCheck {
    fn default() -> Self {
        Self { consecutive_errors: 3, base_ejection_time: Duration::from_secs(10) }
    }
}
