//! `rules[].filters`: changes to requests and responses (Gateway API `HTTPRouteFilter`).

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BasicAuth, Compression, ForwardAuth, IpAccess, MaxConnections, RateLimit};
use crate::names::SectionName;

/// One change. `type` names the field that is set beside it.
// What is large and rare is boxed: else the room of all kinds is kept for each filter, 900 bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Which filter this is.
    #[serde(rename = "type")]
    pub type_: FilterType,
    /// For `RequestHeaderModifier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_header_modifier: Option<Box<HeaderModifier>>,
    /// For `ResponseHeaderModifier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_header_modifier: Option<Box<HeaderModifier>>,
    /// For `RequestRedirect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_redirect: Option<Box<RequestRedirect>>,
    /// For `URLRewrite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_rewrite: Option<Box<UrlRewrite>>,
    /// For `RequestMirror`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_mirror: Option<Box<RequestMirror>>,
    /// For `CORS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Box<Cors>>,
    /// For `BasicAuth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<Box<BasicAuth>>,
    /// For `ForwardAuth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_auth: Option<Box<ForwardAuth>>,
    /// For `IPAccess`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_access: Option<Box<IpAccess>>,
    /// For `RateLimit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Box<RateLimit>>,
    /// For `Compression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Box<Compression>>,
    /// For `MaxConnections`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<MaxConnections>,
}

/// The filters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FilterType {
    /// Fields of the request are set, added, removed.
    RequestHeaderModifier,
    /// Fields of the response are set, added, removed.
    ResponseHeaderModifier,
    /// The client is sent elsewhere.
    RequestRedirect,
    /// Host or path are replaced before the request is sent on.
    #[serde(rename = "URLRewrite")]
    UrlRewrite,
    /// A copy goes to another backend.
    RequestMirror,
    /// Cross-origin requests are allowed.
    #[serde(rename = "CORS")]
    Cors,
    /// Name and password are asked for.
    BasicAuth,
    /// A backend is asked whether the request may pass.
    ForwardAuth,
    /// Clients are let in by their address.
    #[serde(rename = "IPAccess")]
    IpAccess,
    /// Each client gets so many requests in a time.
    RateLimit,
    /// Answers are compressed.
    Compression,
    /// So many requests at once; others wait.
    MaxConnections,
}

/// Fields that are set, added, removed (Gateway API `HTTPHeaderFilter`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeaderModifier {
    /// Fields that replace all of the same name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Header>,
    /// Fields that are added to those that are there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Header>,
    /// Names that are taken away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = {"type": "string", "format": "header-name"}))]
    pub remove: Vec<String>,
}

/// A field of the head. Its value may hold placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// The field's name (RFC 9110 section 5.1).
    #[schemars(extend("format" = "header-name"))]
    pub name: String,
    /// The field's value (RFC 9110 section 5.5). Placeholders such as `{host}` are filled in.
    #[schemars(extend("format" = "header-template"))]
    pub value: String,
}

/// The client is sent elsewhere (Gateway API `HTTPRequestRedirectFilter`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestRedirect {
    /// `http` or `https`. Default: as the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^https?$"))]
    pub scheme: Option<String>,
    /// The host. Default: as the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "hostname-exact"))]
    pub hostname: Option<String>,
    /// The path. Default: as the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathModifier>,
    /// The port. Default: the scheme's own if `scheme` is set, else the listener's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// 301, 302, 303, 307 or 308. Default 302.
    #[serde(default = "found")]
    #[schemars(extend("enum" = [301, 302, 303, 307, 308]))]
    pub status_code: u16,
}

fn found() -> u16 {
    302
}

/// Host or path are replaced (Gateway API `HTTPURLRewriteFilter`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UrlRewrite {
    /// The `Host` that the backend sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "hostname-exact"))]
    pub hostname: Option<String>,
    /// The path that files and backends see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathModifier>,
}

/// A new path (Gateway API `HTTPPathModifier`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PathModifier {
    /// Which of the two is set.
    #[serde(rename = "type")]
    pub type_: PathModifierType,
    /// The whole path is replaced by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("format" = "request-path"))]
    pub replace_full_path: Option<String>,
    /// The prefix that matched is replaced by this; empty is the same as `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), extend("format" = "request-path"))]
    pub replace_prefix_match: Option<String>,
}

/// How a path is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathModifierType {
    /// The whole of it.
    ReplaceFullPath,
    /// The prefix that matched; only with matches of type `PathPrefix`.
    ReplacePrefixMatch,
}

/// A copy of requests goes to another backend (Gateway API `HTTPRequestMirrorFilter`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestMirror {
    /// The name of one of `spec.backends`.
    pub backend_ref: SectionName,
    /// Percentage of requests. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub percent: Option<u32>,
    /// Fraction of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Fraction>,
}

/// `numerator / denominator`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fraction {
    /// How many.
    pub numerator: u32,
    /// Of how many. Default 100.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub denominator: u32,
}

fn hundred() -> u32 {
    100
}

/// Cross-origin requests (Gateway API `HTTPCORSFilter`). A `*` stands alone in its list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cors {
    /// Origins that may ask: `https://example.org`, `https://*.example.org`, `*`. At least one.
    #[schemars(length(max = 64), extend("items" = {"type": "string", "format": "cors-origin"}))]
    pub allow_origins: Vec<String>,
    /// Whether cookies and passwords may be sent. Default false.
    pub allow_credentials: bool,
    /// Methods that may be used beside `GET`, `HEAD` and `POST`; `*`: all.
    #[schemars(length(max = 64), extend("items" = {"type": "string", "pattern": "^([A-Z]+|\\*)$"}))]
    pub allow_methods: Vec<String>,
    /// Request fields that may be sent; `*`: all.
    #[schemars(length(max = 64), extend("items" = {"type": "string", "format": "header-name"}))]
    pub allow_headers: Vec<String>,
    /// Response fields that scripts may read; `*`: all.
    #[schemars(length(max = 64), extend("items" = {"type": "string", "format": "header-name"}))]
    pub expose_headers: Vec<String>,
    /// Seconds that a preflight answer may be kept. Default 5.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_age: Option<u32>,
}
