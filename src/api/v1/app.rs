//! `kind: App`: one application in one container, and the requests that it answers.

use std::borrow::Cow;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{ApiVersion, Backend, ByteSize, Duration, Files, Filter, Metadata, RouteMatch, SessionPersistence};
use crate::names::{AppName, ContainerName, ContainerPath, HostPattern, SectionName};

/// One application: the hostnames and rules that it claims, and the backends that answer them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// Always `lxcproxy.dev/v1`.
    pub api_version: ApiVersion,
    /// Always `App`.
    pub kind: AppKind,
    /// Name and labels.
    pub metadata: Metadata,
    /// What should be: container, hostnames, backends, rules.
    // Shared with the resource that is shown and with the record on disk.
    pub spec: Arc<AppSpec>,
    /// Accepted and ignored: status is never read from a file.
    #[serde(default, skip_serializing)]
    #[schemars(with = "serde_json::Value")]
    pub status: IgnoredAny,
}

/// The one value of `kind` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum AppKind {
    /// `App`
    App,
}

/// What an App should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSpec {
    /// The container that the application lives in: its name, or an object. Omitted: the host itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerRef>,
    /// The Gateways and listeners that it attaches to. Omitted: every Gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent_refs: Vec<ParentRef>,
    /// Hosts that it answers for, exact or `*.suffix`. Omitted: any host.
    #[serde(default)]
    pub hostnames: Vec<HostPattern>,
    /// Where requests can be sent; referred to by name.
    #[serde(default)]
    pub backends: Vec<Backend>,
    /// Which requests are answered, and how.
    #[schemars(length(min = 1))]
    pub rules: Vec<Rule>,
    /// Pages of its own for the errors that lxcproxy answers in its stead (what a backend answers is not touched).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub error_pages: Vec<ErrorPage>,
}

/// A file of the container in place of lxcproxy's own error answer (nginx `error_page`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErrorPage {
    /// Which answers. The status stays.
    #[schemars(length(min = 1, max = 64), extend("items" = {"type": "integer", "minimum": 400, "maximum": 599}))]
    pub statuses: Vec<u16>,
    /// The page, a path inside the container; its name tells the media type. While it is missing, lxcproxy's own page is sent.
    pub file: ContainerPath,
}

/// A container by name and runtime. In a manifest a plain string is short for `{name: ...}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "ContainerForm", rename_all = "camelCase")]
pub struct ContainerRef {
    /// The name that the runtime knows it by. Needed by every runtime but `Directory`; beside a `pidFile` it is a name for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ContainerName>,
    /// What runs it. `Auto`, the default, asks LXC, Incus, LXD and systemd-machined, in this order, for the name.
    pub runtime: Runtime,
    /// Where the runtime keeps its containers (`lxc.lxcpath`; `INCUS_DIR`, `LXD_DIR`; for `Nspawn` what stands for `/var/lib/machines`), if
    /// not the runtime's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For `Directory` the root; beside a `pidFile` the root on disk, for the files while the container is stopped. A host path, relative
    /// to the manifest's file if not absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<String>,
    /// A file of the host that holds the pid of the container's init, for what no runtime here knows; relative to the manifest's file if not
    /// absolute. While it is missing or empty, or its process has ended, the container is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<String>,
}

/// The two ways of writing a container.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ContainerForm {
    /// The container's name.
    Name(ContainerName),
    /// Name, runtime and places.
    Object(ContainerObject),
}

/// A container, in full.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ContainerObject {
    /// The name that the runtime knows it by. Needed by every runtime but `Directory`; beside a `pidFile` it is a name for readers.
    #[serde(default)]
    #[schemars(skip_serializing_if = "Option::is_none")]
    name: Option<ContainerName>,
    /// What runs it. `Auto`, the default, asks LXC, Incus, LXD and systemd-machined, in this order, for the name.
    #[serde(default)]
    runtime: Runtime,
    /// Where the runtime keeps its containers (`lxc.lxcpath`; `INCUS_DIR`, `LXD_DIR`; for `Nspawn` what stands for `/var/lib/machines`), if
    /// not the runtime's default.
    #[serde(default)]
    #[schemars(extend("format" = "host-path"), skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// For `Directory` the root; beside a `pidFile` the root on disk, for the files while the container is stopped. A host path, relative
    /// to the manifest's file if not absolute.
    #[serde(default)]
    #[schemars(extend("format" = "host-path"), skip_serializing_if = "Option::is_none")]
    rootfs: Option<String>,
    /// A file of the host that holds the pid of the container's init, for what no runtime here knows; relative to the manifest's file if not
    /// absolute. While it is missing or empty, or its process has ended, the container is stopped.
    #[serde(default)]
    #[schemars(extend("format" = "host-path"), skip_serializing_if = "Option::is_none")]
    pid_file: Option<String>,
}

impl ContainerRef {
    /// What it is called in messages and tables: its name, or else the file or directory that stands for it.
    #[must_use]
    pub fn called(&self) -> &str {
        let name = self.name.as_ref().map(ContainerName::as_str);
        name.or(self.pid_file.as_deref()).or(self.rootfs.as_deref()).unwrap_or_default()
    }

    /// The same with its `pidFile`, and the `rootfs` beside it, below `base` if they are relative.
    #[must_use]
    pub fn anchored(&self, base: &Path) -> Cow<'_, Self> {
        let Some(file) = &self.pid_file else { return Cow::Borrowed(self) };
        let below = |path: &String| base.join(path).to_string_lossy().into_owned();
        Cow::Owned(Self { pid_file: Some(below(file)), rootfs: self.rootfs.as_ref().map(below), ..self.clone() })
    }
}

impl From<ContainerForm> for ContainerRef {
    fn from(form: ContainerForm) -> Self {
        match form {
            ContainerForm::Name(name) => Self { name: Some(name), runtime: Runtime::Auto, path: None, rootfs: None, pid_file: None },
            ContainerForm::Object(ContainerObject { name, runtime, path, rootfs, pid_file }) => {
                Self { name, runtime, path, rootfs, pid_file }
            }
        }
    }
}

impl JsonSchema for ContainerRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ContainerRef".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        if generator.contract().is_serialize() {
            // The short way is read, never written.
            return ContainerObject::json_schema(generator);
        }
        ContainerForm::json_schema(generator)
    }
}

/// What runs a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Runtime {
    /// The first runtime that knows the name.
    #[default]
    Auto,
    /// Plain LXC (`lxc-start`).
    #[serde(rename = "LXC")]
    Lxc,
    /// Incus.
    Incus,
    /// LXD.
    #[serde(rename = "LXD")]
    Lxd,
    /// systemd-nspawn, registered with systemd-machined.
    Nspawn,
    /// A directory of the host, entered as a root: a chroot, or no container at all.
    Directory,
}

/// A Gateway, or one listener of it (Gateway API `ParentReference`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParentRef {
    /// The Gateway's name.
    pub name: AppName,
    /// One listener of it, by name. Omitted: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<SectionName>,
    /// Listeners on this port only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
}

/// Requests, by what they look like, and what is done with them (Gateway API `HTTPRouteRule`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// A name for conditions and logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SectionName>,
    /// Any of these has to match. Omitted: every path.
    #[serde(default = "RouteMatch::everything")]
    #[schemars(length(min = 1, max = 64))]
    pub matches: Vec<RouteMatch>,
    /// Changes to request and response, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Files of the container, tried before the backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Box<Files>>,
    /// The backends that answer, by weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backend_refs: Vec<BackendRef>,
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Whether and when a failed request is sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How much is accepted.
    #[serde(default)]
    pub limits: Limits,
    /// Keeps a client with one endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<Box<SessionPersistence>>,
}

/// A backend of this App and its share of the requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackendRef {
    /// The name of one of `spec.backends`.
    pub name: SectionName,
    /// Share of requests: this weight by the sum of weights; 0 gets none.
    #[serde(default = "one")]
    #[schemars(range(max = 1_000_000))]
    pub weight: u32,
    /// Changes for requests to this backend only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

fn one() -> u32 {
    1
}

/// How long things may take (Gateway API `HTTPRouteTimeouts`, and two of our own). Zero means: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// The whole transaction, from the head of the request to the last byte of the answer. Default: no limit.
    pub request: Duration,
    /// Until the backend has accepted the connection. Default 60s.
    pub backend_connect: Duration,
    /// Between two bytes from or to the backend: a stream that moves never dies of age. Default 60s.
    pub backend_read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { request: Duration::ZERO, backend_connect: Duration::from_secs(60), backend_read: Duration::from_secs(60) }
    }
}

/// How much is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// The largest request body: bytes (`1048576`, `10M`, `1Gi`), or `Unlimited`. Default `1Mi`, as nginx.
    pub request_body: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_body: ByteSize::Bytes(1 << 20) }
    }
}

/// Whether and when a failed request is sent again (Gateway API `HTTPRouteRetry`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Answers of a backend that are tried again, by status. Omitted: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("items" = {"type": "integer", "minimum": 400, "maximum": 599}))]
    pub codes: Vec<u16>,
    /// How often a request is sent again, at most. Default 1.
    #[serde(default = "one")]
    #[schemars(range(max = 100))]
    pub attempts: u32,
    /// The shortest wait before a request is sent again; each wait is about twice as long as the one before, up to ten times this. At most
    /// `1m`. Omitted: 25ms, and none before an endpoint that was not tried yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Duration>,
}
