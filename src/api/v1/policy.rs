//! lxcproxy's own filters, beside the Gateway API's: who may ask, how often, and how answers are sent.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteSize, Duration, Precompressed};
use crate::names::{ContainerPath, SectionName};

/// Name and password, as RFC 7617 has it. Exactly one of `file` and `hostFile` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicAuth {
    /// The `htpasswd` file (bcrypt or argon2), a path inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ContainerPath>,
    /// The same, an absolute path of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "host-path"))]
    pub host_file: Option<String>,
    /// What the client is told that the password is for. Default: the App's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("format" = "header-value"))]
    pub realm: Option<String>,
}

/// A backend is asked first: 2xx lets the request pass, anything else is the answer (Gateway API `HTTPExternalAuthFilter`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForwardAuth {
    /// The name of one of `spec.backends`, of protocol `http`.
    pub backend_ref: SectionName,
    /// What it is asked for. Default: the path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("format" = "request-path"))]
    pub path: Option<String>,
    /// Fields of the request that it sees, beside `Authorization` and `Cookie`. Omitted: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("items" = {"type": "string", "format": "header-name"}))]
    pub allowed_headers: Vec<String>,
    /// Fields of its answer that the request goes on with, in place of the client's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("items" = {"type": "string", "format": "header-name"}))]
    pub allowed_response_headers: Vec<String>,
}

/// Clients by address: refused if one of `deny` has it, or if there is an `allow` and none of it has. At least one is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IpAccess {
    /// Networks (CIDR) that may ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("items" = {"type": "string", "format": "cidr"}))]
    pub allow: Vec<String>,
    /// Networks (CIDR) that may not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("items" = {"type": "string", "format": "cidr"}))]
    pub deny: Vec<String>,
}

/// Each client address (of IPv6 its /64) gets `requests` in `interval`, evenly; more are answered 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// How many.
    pub requests: NonZeroU32,
    /// In how long. Default 1s.
    #[serde(default = "second")]
    pub interval: Duration,
    /// How many may come at once before they are counted evenly. Default: `requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
}

fn second() -> Duration {
    Duration::from_secs(1)
}

/// Answers are compressed for clients that accept it (RFC 9110 section 12.5.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Compression {
    /// Content codings, the best first. Default `[zstd, br, gzip]`.
    #[schemars(length(min = 1, max = 3))]
    pub algorithms: Vec<Precompressed>,
    /// Media types that are worth it; `text/*` is all of a type. What its own format compresses never is. Default: text, JSON, XML, YAML,
    /// JavaScript, WebAssembly, SVG, and fonts and icons that are not compressed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("items" = {"type": "string", "format": "media-range"}))]
    pub types: Vec<String>,
    /// Shorter answers are sent as they are; one whose length is not known beforehand is not short. Default `1Ki`.
    pub minimum_size: ByteSize,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            algorithms: vec![Precompressed::Zstd, Precompressed::Br, Precompressed::Gzip],
            types: Vec::new(),
            minimum_size: ByteSize::Bytes(1 << 10),
        }
    }
}

/// So many requests of the App at once, over all of its rules with this filter; others wait in a queue, first come first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaxConnections {
    /// How many are in flight.
    pub connections: NonZeroU32,
    /// How many may wait; more are answered 503. Default 0.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub queue: u32,
    /// How long one may wait, until it is answered 503. Default 10s.
    #[serde(default = "ten_seconds")]
    pub queue_timeout: Duration,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
