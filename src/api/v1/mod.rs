//! `lxcproxy.dev/v1`: objects as people write them, and the status that is written back.
//!
//! Field names follow the Gateway API (HTTPRoute, Gateway) wherever it has one. The JSON Schemas in `schemas/` are generated from here.

mod app;
mod backend;
mod backend_status;
mod balance;
mod diagnostic;
mod event;
mod files;
mod filter;
mod gateway;
mod matches;
mod meta;
mod policy;
mod resource;
mod scalar;
mod session;
mod status;
mod watch;

pub use app::{App, AppKind, AppSpec, BackendRef, ContainerRef, ErrorPage, Limits, ParentRef, Retry, Rule, Runtime, Timeouts};
pub use backend::{Backend, BackendTls, Endpoint, FastcgiBackend, HttpBackend, HttpProtocol, InternalFiles, Param};
pub use backend_status::{BackendResource, BackendSpec, BackendStatus, CheckStatus, EndpointState, EndpointStatus};
pub use balance::{ActiveHealthCheck, ConsistentHash, ConsistentHashType, HealthCheck, LoadBalancer, LoadBalancerType, PassiveHealthCheck};
pub use diagnostic::{Diagnostic, Excerpt};
pub use event::{Event, EventMetadata, EventType, ObjectReference};
pub use files::{Files, Hidden, Precompressed, Script, Symlinks};
pub use filter::{
    Cors, Filter, FilterType, Fraction, Header, HeaderModifier, PathModifier, PathModifierType, RequestMirror, RequestRedirect, UrlRewrite,
};
pub use gateway::{Gateway, GatewayKind, GatewayLimits, GatewaySpec, Listener, ListenerProtocol};
pub use matches::{MatchType, PathMatch, PathMatchType, RouteMatch, ValueMatch};
pub use meta::{ApiVersion, Metadata};
pub use policy::{BasicAuth, Compression, ForwardAuth, IpAccess, MaxConnections, RateLimit};
pub use resource::{
    AppResource, AppStatus, Conditions, GatewayResource, GatewayStatus, List, ListMetadata, ListenerStatus, Resource, ResourceMetadata,
    SourceResource, SourceSpec, SourceStatus,
};
pub use scalar::{ByteSize, Duration, ScalarError};
pub use session::{CookieConfig, CookieLifetimeType, SessionPersistence, SessionPersistenceType};
pub use status::{Condition, ConditionStatus, ConditionType, Reason};
pub use watch::{Bookmark, WatchEvent, WatchType};

/// The group of every kind here.
pub const API_GROUP: &str = "lxcproxy.dev";
/// The `apiVersion` of every object here.
pub const API_VERSION: &str = "lxcproxy.dev/v1";
