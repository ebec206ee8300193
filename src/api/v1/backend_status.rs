//! A backend with what is known of its endpoints, as the admin socket shows it: looked up when it is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LoadBalancerType, Resource};

/// A backend of an App that is served; its name is `APP.BACKEND`.
pub type BackendResource = Resource<BackendSpec, BackendStatus>;

/// Which backend it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendSpec {
    /// The App's name.
    pub app: String,
    /// The backend's name in it.
    pub backend: String,
    /// `HTTP` or `FastCGI`.
    pub protocol: String,
    /// Which of its endpoints a request goes to.
    pub load_balancer: LoadBalancerType,
}

/// What is, for one backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendStatus {
    /// How many of its endpoints get requests.
    pub ready_endpoints: u64,
    /// In the order of the manifest.
    pub endpoints: Vec<EndpointStatus>,
}

/// What is known of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// A path inside the container, `host:port`, or `port N`.
    pub name: String,
    /// Whether it gets requests. If none of a backend does, all of them do.
    pub state: EndpointState,
    /// Requests that it has now; omitted of a backend with one endpoint, where they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// Failures in a row, since it was last taken out.
    #[serde(default)]
    pub consecutive_errors: u32,
    /// Of one that is `Ejected`: when it gets requests again, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected_until: Option<String>,
    /// The last health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check: Option<CheckStatus>,
}

/// Whether an endpoint gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EndpointState {
    /// It does.
    Ready,
    /// Too many of its requests have failed: not for a while.
    Ejected,
    /// It fails its health checks.
    Unhealthy,
    /// It has no address: its container does not run.
    Unavailable,
}

/// A health check that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckStatus {
    /// Whether what was found is good.
    pub passed: bool,
    /// What was found, in words.
    pub message: String,
    /// When, RFC 3339.
    pub time: String,
}
