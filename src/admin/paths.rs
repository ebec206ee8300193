//! A path -> what it leads to.
//!
//! In: the path of a request, and where it came in. Out: [`Target`], or what there is instead. Never: a path that only looks like one of ours.

use super::answer::Failure;
use super::discovery::{GROUP, VERSION};
use super::objects::Kind;
use super::query::unescape;
use crate::api::v1::API_VERSION;

/// Where the objects are: `API/apps`, `API/apps/NAME` and so on.
pub const API: &str = "/apis/lxcproxy.dev/v1";
/// 200 while the process answers.
pub const HEALTH: &str = "/healthz";
/// 200 once a snapshot is being served.
pub const READINESS: &str = "/readyz";
/// All metrics, for Prometheus.
pub const METRICS: &str = "/metrics";

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Health,
    Readiness,
    Metrics,
    OpenApi,
    Version,
    Groups,
    Group,
    Resources,
    List(Kind),
    One(Kind, String),
}

/// The paths that are as they are; those of objects come on top.
pub(super) const FIXED: [(&str, Target); 8] = [
    (HEALTH, Target::Health),
    (READINESS, Target::Readiness),
    (METRICS, Target::Metrics),
    ("/openapi/v3", Target::OpenApi),
    ("/version", Target::Version),
    ("/apis", Target::Groups),
    ("/apis/lxcproxy.dev", Target::Group),
    (API, Target::Resources),
];

/// What may be asked where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The admin socket: everything.
    Socket,
    /// The port for metrics: they, and health.
    Port,
}

/// What a path leads to.
pub(super) fn target(path: &str, door: Door) -> Result<Target, Failure> {
    let fixed = FIXED.into_iter().find(|(fixed, _)| *fixed == path).map(|(_, target)| target);
    if door == Door::Port {
        let open = fixed.filter(|target| matches!(target, Target::Metrics | Target::Health | Target::Readiness));
        return open.ok_or_else(|| Failure::not_found(format!("only {METRICS}, {HEALTH} and {READINESS} are here; ask the admin socket")));
    }
    fixed.or_else(|| of_objects(path)).ok_or_else(|| Failure::not_found(missing(path)))
}

/// `API/PLURAL` or `API/PLURAL/NAME`.
fn of_objects(path: &str) -> Option<Target> {
    let rest = path.strip_prefix(API)?.strip_prefix('/')?;
    let (plural, name) = rest.split_once('/').map_or((rest, None), |(plural, name)| (plural, Some(name)));
    let kind = Kind::ALL.into_iter().find(|kind| kind.plural() == plural)?;
    match name {
        None => Some(Target::List(kind)),
        Some(name) => Some(Target::One(kind, unescape(name).filter(|name| !name.is_empty())?.into_owned())),
    }
}

/// What is wrong with a path, and what there is instead.
fn missing(path: &str) -> String {
    let mut parts = path.strip_prefix("/apis/").unwrap_or_default().split('/');
    match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
        ("", ..) => format!("there is nothing at {path}; see /apis and /openapi/v3"),
        (GROUP, Some(VERSION), Some(plural)) => {
            let plurals = Kind::ALL.map(Kind::plural).join(", ");
            format!("there is no resource `{plural}`, or no name behind it; there are {plurals}")
        }
        (GROUP, Some(version), _) => format!("there is no version `{version}` of {GROUP}; there is {API_VERSION}"),
        (group, ..) => format!("there is no API group `{group}`; there is {GROUP}"),
    }
}
