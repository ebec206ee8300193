//! The backends of what is served -> objects that say how their endpoints are, now.
//!
//! In: a snapshot, and what all threads know of its endpoints. Out: objects, by name. Never: a watch: what they say changes with every
//! request.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use imbl::OrdMap;

use crate::api::v1::{
    API_VERSION, BackendResource, BackendSpec, BackendStatus, CheckStatus, EndpointState, EndpointStatus, LoadBalancerType,
    ResourceMetadata,
};
use crate::metrics::uptime;
use crate::route::{Backend, Balance, Checked, CompiledApp, Protocol, State};
use crate::snapshot::Snapshot;

/// Every backend, by name; only the one of this name, if one is asked for.
pub(super) fn of(snapshot: &Snapshot, name: Option<&str>) -> OrdMap<String, Arc<BackendResource>> {
    let one_app = name.and_then(|name| name.split_once('.')).map_or(name, |(app, _)| Some(app));
    let apps: Box<dyn Iterator<Item = &Arc<CompiledApp>>> = match one_app {
        Some(app) => Box::new(snapshot.listeners.app(app).into_iter()),
        None => Box::new(snapshot.listeners.apps()),
    };
    let all = apps.flat_map(|app| app.backends.iter().map(|backend| resource(snapshot, app, backend)));
    let wanted = all.filter(|backend| name.is_none_or(|name| backend.metadata.name == name));
    wanted.map(|backend| (backend.metadata.name.clone(), Arc::new(backend))).collect()
}

fn resource(snapshot: &Snapshot, app: &CompiledApp, backend: &Backend) -> BackendResource {
    let endpoints: Vec<_> = (0..backend.endpoints.len()).map(|endpoint| status(backend, endpoint)).collect();
    let ready = endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Ready).count();
    let metadata = ResourceMetadata {
        name: format!("{}.{}", app.name, backend.name),
        generation: app.generation,
        labels: snapshot.apps.get(app.name.as_str()).map(|app| app.metadata.labels.clone()).unwrap_or_default(),
        ..ResourceMetadata::default()
    };
    let protocol = match backend.protocol {
        Protocol::Http(_) => "HTTP",
        Protocol::Fastcgi(_) => "FastCGI",
    };
    let load_balancer = match backend.balance {
        Balance::RoundRobin => LoadBalancerType::RoundRobin,
        Balance::LeastRequest => LoadBalancerType::LeastRequest,
        Balance::ConsistentHash { .. } => LoadBalancerType::ConsistentHash,
    };
    let (app, name) = (app.name.to_string(), backend.name.to_string());
    BackendResource {
        api_version: API_VERSION.to_owned(),
        kind: "Backend".to_owned(),
        metadata,
        spec: Some(BackendSpec { app, backend: name, protocol: protocol.to_owned(), load_balancer }),
        status: BackendStatus { ready_endpoints: ready as u64, endpoints },
    }
}

fn status(backend: &Backend, endpoint: usize) -> EndpointStatus {
    let state = match backend.state(endpoint, uptime) {
        State::Ready => EndpointState::Ready,
        State::Ejected => EndpointState::Ejected,
        State::Unhealthy => EndpointState::Unhealthy,
        State::Unavailable => EndpointState::Unavailable,
    };
    let endpoint = &backend.endpoints[endpoint];
    let until = endpoint.health.ejected_until().filter(|_| state == EndpointState::Ejected);
    EndpointStatus {
        name: endpoint.name.to_string(),
        state,
        in_flight: (backend.endpoints.len() > 1).then(|| endpoint.health.in_flight()),
        consecutive_errors: endpoint.health.errors(),
        ejected_until: until.map(|until| written(SystemTime::now() + Duration::from_millis(until.saturating_sub(uptime())))),
        last_check: endpoint.health.checked().map(check),
    }
}

fn check(checked: Checked) -> CheckStatus {
    let time = written(UNIX_EPOCH + Duration::from_millis(checked.at));
    CheckStatus { passed: checked.passed, message: checked.finding.to_string(), time }
}

/// RFC 3339.
fn written(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
