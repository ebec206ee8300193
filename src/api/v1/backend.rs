//! `spec.backends`: the protocol and the address of what answers.

use std::fmt;
use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, HealthCheck, LoadBalancer};
use crate::names::{ContainerPath, SectionName};

/// A named backend. Exactly one of `http` and `fastcgi` is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backend {
    /// The name that `backendRefs` and `scripts` use.
    pub name: SectionName,
    /// An HTTP server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpBackend>,
    /// A FastCGI application server, such as php-fpm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fastcgi: Option<Box<FastcgiBackend>>,
    /// How long a request waits for a backend that is away (its container restarts), instead of being answered 503. At most
    /// `10m`. Default 0s: not at all.
    #[serde(default = "no_hold", skip_serializing_if = "is_zero")]
    pub hold: Duration,
    /// Which of several endpoints a request goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<Box<LoadBalancer>>,
    /// How endpoints that fail are noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<Box<HealthCheck>>,
    /// Files that the backend may have sent in its stead, by `X-Accel-Redirect` or `X-Sendfile`. Omitted: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub internal_files: Vec<InternalFiles>,
}

fn no_hold() -> Duration {
    Duration::ZERO
}

fn is_zero(duration: &Duration) -> bool {
    *duration == Duration::ZERO
}

impl Backend {
    /// Its addresses: the one of `unix`, `tcp` or `port`, or all of `endpoints`.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let (unix, tcp, port, endpoints) = match (&self.http, &self.fastcgi) {
            (Some(http), _) => (&http.unix, &http.tcp, http.port, &http.endpoints),
            (None, Some(fastcgi)) => (&fastcgi.unix, &fastcgi.tcp, fastcgi.port, &fastcgi.endpoints),
            (None, None) => return Vec::new(),
        };
        if endpoints.is_empty() { vec![Endpoint { unix: unix.clone(), tcp: tcp.clone(), port }] } else { endpoints.clone() }
    }
}

/// Files of the container that a backend may have sent: `X-Accel-Redirect: <path>/x` and `X-Sendfile: <root>/x` both send `<root>/x`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InternalFiles {
    /// The prefix of `X-Accel-Redirect` that stands for `root`. Omitted: only `X-Sendfile` names these files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("format" = "request-path"))]
    pub path: Option<String>,
    /// The directory as the container sees it.
    pub root: ContainerPath,
}

/// An HTTP server. Exactly one of `unix`, `tcp`, `port` and `endpoints` is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpBackend {
    /// A unix socket: its path inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix: Option<ContainerPath>,
    /// `host:port`, dialled from the host's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "host-port"))]
    pub tcp: Option<String>,
    /// A port on the container's own loopback, reached through its network namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// Several addresses to balance over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub endpoints: Vec<Endpoint>,
    /// The protocol spoken. Default `HTTP1`.
    #[serde(default)]
    pub protocol: HttpProtocol,
    /// The `Host` that the backend sees: `Preserve` (default) the client's, or a value.
    #[serde(default = "preserve")]
    #[schemars(extend("format" = "http-host"))]
    pub host: String,
    /// TLS towards the backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTls>,
}

fn preserve() -> String {
    "Preserve".to_owned()
}

/// The protocol spoken with an HTTP backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HttpProtocol {
    /// HTTP/1.1
    #[default]
    #[serde(rename = "HTTP1")]
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    #[serde(rename = "H2C")]
    H2c,
}

/// TLS towards a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackendTls {
    /// PEM file with the authorities that are trusted, a path inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<ContainerPath>,
    /// The name in the backend's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Accept any certificate.
    #[serde(default)]
    pub insecure: bool,
}

/// A FastCGI application server. Exactly one of `unix`, `tcp`, `port` and `endpoints` is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FastcgiBackend {
    /// A unix socket: its path inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix: Option<ContainerPath>,
    /// `host:port`, dialled from the host's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "host-port"))]
    pub tcp: Option<String>,
    /// A port on the container's own loopback, reached through its network namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// Several addresses to balance over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub endpoints: Vec<Endpoint>,
    /// The document root as the container sees it: gives `DOCUMENT_ROOT` and `SCRIPT_FILENAME`. Omitted: `files.root` of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<ContainerPath>,
    /// The script for a path that ends in `/` (nginx `fastcgi_index`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "file-name"))]
    pub index: Option<String>,
    /// Parameters that are set, or replaced, in this order. Values may hold placeholders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Param>,
    /// Idle connections kept per thread. Default 0: kept ones pin php-fpm's workers.
    #[serde(default)]
    #[schemars(range(max = 1024))]
    pub keep_connections: u32,
}

/// One of several addresses. Exactly one field is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// A unix socket: its path inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix: Option<ContainerPath>,
    /// `host:port`, dialled from the host's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "host-port"))]
    pub tcp: Option<String>,
    /// A port on the container's own loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
}

impl fmt::Display for Endpoint {
    /// As people know it: a path, `host:port`, or `port N`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { unix: Some(path), .. } => path.fmt(f),
            Self { tcp: Some(target), .. } => target.fmt(f),
            Self { port, .. } => write!(f, "port {}", port.map_or(0, NonZeroU16::get)),
        }
    }
}

/// A FastCGI parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Param {
    /// Letters, digits and `_`; not a digit first.
    #[schemars(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// The value; placeholders such as `{path}` are filled in.
    #[schemars(extend("format" = "template"))]
    pub value: String,
}
