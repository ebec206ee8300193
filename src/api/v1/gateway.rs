//! `kind: Gateway`: where lxcproxy listens (Gateway API `Gateway`).

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{ApiVersion, ByteSize, Duration, Metadata};
use crate::names::{HostPattern, SectionName};

/// A set of listeners that Apps attach to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gateway {
    /// Always `lxcproxy.dev/v1`.
    pub api_version: ApiVersion,
    /// Always `Gateway`.
    pub kind: GatewayKind,
    /// Name and labels.
    pub metadata: Metadata,
    /// What should be: listeners and limits.
    pub spec: GatewaySpec,
    /// Accepted and ignored: status is never read from a file.
    #[serde(default, skip_serializing)]
    #[schemars(with = "serde_json::Value")]
    pub status: IgnoredAny,
}

/// The one value of `kind` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum GatewayKind {
    /// `Gateway`
    Gateway,
}

/// What a Gateway should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewaySpec {
    /// The ports that are opened.
    #[schemars(length(min = 1, max = 64))]
    pub listeners: Vec<Listener>,
    /// Networks (CIDR) of proxies that are believed: the client is who they say in `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, or where
    /// none of these is there, in `Forwarded` (RFC 7239). What anybody else says of this is replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = {"type": "string", "format": "cidr"}))]
    pub trusted_proxies: Vec<String>,
    /// How much is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<GatewayLimits>,
}

/// A port, its protocol and the hosts that it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// The name that `parentRefs[].sectionName` uses.
    pub name: SectionName,
    /// The address. Omitted: every address, IPv4 and IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "ip"))]
    pub address: Option<String>,
    /// The port.
    pub port: NonZeroU16,
    /// What is spoken on it.
    pub protocol: ListenerProtocol,
    /// Hosts that it is for. Omitted: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<HostPattern>,
    /// Every connection begins with a header of the PROXY protocol (v1 or v2), which says who the client is; others are refused. With
    /// `trustedProxies` only those may connect. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy_protocol: bool,
    /// Certificates, for `HTTPS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ListenerProtocol {
    /// HTTP without TLS.
    #[serde(rename = "HTTP")]
    Http,
    /// HTTP over TLS.
    #[serde(rename = "HTTPS")]
    Https,
}

/// How much a Gateway accepts, on each address and port of its listeners. Zero means: no limit. New connections have new limits. Where two
/// Gateways share a port the stricter limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayLimits {
    /// The largest request head, from `1Ki` to `1Mi`. Default `32Ki`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_head: Option<ByteSize>,
    /// Connections at once, over all threads; others wait. Default 10,000 per thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Connections at once of one client address (of IPv6 its /64), trusted proxies left out; others are closed. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_per_client: Option<u32>,
    /// Until a request's head is whole: from the connection's first moment, or the first byte of a later request. Default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_timeout: Option<Duration>,
    /// How long a client may be silent inside a request's body. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_timeout: Option<Duration>,
    /// How long a client may take none of the bytes that wait for it. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_timeout: Option<Duration>,
    /// How long a connection may rest between two requests. Default 75s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
}
