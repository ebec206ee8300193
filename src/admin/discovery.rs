//! What there is to ask -> the lists that clients of Kubernetes ask for first.
//!
//! In: nothing. Out: `APIGroupList`, `APIGroup`, `APIResourceList`, `version.Info`. Never: what is not answered.

use schemars::JsonSchema;
use serde::Serialize;

use super::objects::Kind;
use crate::api::v1::API_VERSION;

/// The name of our API group.
pub(super) const GROUP: &str = "lxcproxy.dev";
/// The one version of it.
pub(super) const VERSION: &str = "v1";

/// Every API group that there is (Kubernetes `metav1.APIGroupList`).
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "APIGroupList")]
pub(super) struct ApiGroupList {
    /// Always `APIGroupList`.
    kind: &'static str,
    /// Always `v1`.
    api_version: &'static str,
    /// The groups: one.
    groups: Vec<ApiGroup>,
}

/// An API group and its versions (Kubernetes `metav1.APIGroup`).
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "APIGroup")]
pub(super) struct ApiGroup {
    /// Always `APIGroup`.
    kind: &'static str,
    /// Always `v1`.
    api_version: &'static str,
    /// Its name.
    name: &'static str,
    /// Its versions: one.
    versions: Vec<GroupVersion>,
    /// The version to use.
    preferred_version: GroupVersion,
}

/// A version of a group (Kubernetes `metav1.GroupVersionForDiscovery`).
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GroupVersionForDiscovery")]
pub(super) struct GroupVersion {
    /// `GROUP/VERSION`
    group_version: &'static str,
    /// `VERSION`
    version: &'static str,
}

/// The resources of a version (Kubernetes `metav1.APIResourceList`).
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "APIResourceList")]
pub(super) struct ApiResourceList {
    /// Always `APIResourceList`.
    kind: &'static str,
    /// Always `v1`.
    api_version: &'static str,
    /// `GROUP/VERSION`
    group_version: &'static str,
    /// The resources.
    resources: Vec<ApiResource>,
}

/// A resource (Kubernetes `metav1.APIResource`).
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "APIResource")]
pub(super) struct ApiResource {
    /// As paths have it.
    name: &'static str,
    /// One of them.
    singular_name: String,
    /// Always false: there are no namespaces.
    namespaced: bool,
    /// The kind of its objects.
    kind: &'static str,
    /// What can be done with it.
    verbs: Vec<&'static str>,
}

/// Which program answers (Kubernetes `version.Info`).
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Version")]
pub(super) struct Info {
    /// The first number of the version.
    major: &'static str,
    /// The second.
    minor: &'static str,
    /// All of it, after a `v`.
    git_version: &'static str,
    /// What it was built for: `linux/x86_64`.
    platform: String,
}

impl ApiGroupList {
    /// As it is.
    pub(super) fn now() -> Self {
        Self { kind: "APIGroupList", api_version: "v1", groups: vec![ApiGroup::now()] }
    }
}

impl ApiGroup {
    /// As it is.
    pub(super) fn now() -> Self {
        let version = || GroupVersion { group_version: API_VERSION, version: VERSION };
        Self { kind: "APIGroup", api_version: "v1", name: GROUP, versions: vec![version()], preferred_version: version() }
    }
}

impl ApiResourceList {
    /// As it is.
    pub(super) fn now() -> Self {
        let resource = |kind: Kind| ApiResource {
            name: kind.plural(),
            singular_name: kind.name().to_lowercase(),
            namespaced: false,
            kind: kind.name(),
            verbs: if kind.is_watched() { vec!["get", "list", "watch"] } else { vec!["get", "list"] },
        };
        let resources = Kind::ALL.map(resource).into();
        Self { kind: "APIResourceList", api_version: "v1", group_version: API_VERSION, resources }
    }
}

impl Info {
    /// As it is.
    pub(super) fn now() -> Self {
        Self {
            major: env!("CARGO_PKG_VERSION_MAJOR"),
            minor: env!("CARGO_PKG_VERSION_MINOR"),
            git_version: concat!("v", env!("CARGO_PKG_VERSION")),
            platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}
