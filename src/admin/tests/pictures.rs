//! Snapshots that are made by hand: every kind of object, well and not well.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::v1::{API_VERSION, AppResource, Event, GatewayResource, SourceResource};
use crate::dial::Address;
use crate::manifest::{self, Object};
use crate::metrics::uptime;
use crate::route::{
    Backend, Balance, Check, Checked, CompiledApp, Ejection, Endpoint, FastcgiSettings, Finding, HttpSettings, Listeners, Protocol,
};
use crate::snapshot::Snapshot;

/// An App of which nothing is known but its name.
pub(super) fn app(name: &str) -> AppResource {
    of_json(json!({
        "apiVersion": API_VERSION, "kind": "App", "metadata": {"name": name, "generation": 1},
        "status": {"file": format!("{name}.yaml"), "conditions": []}
    }))
}

/// [`app`], with labels.
pub(super) fn labelled(name: &str, labels: &[(&str, &str)]) -> AppResource {
    let mut app = app(name);
    app.metadata.labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    app
}

/// An event about an object, as often as that.
pub(super) fn event(kind: &str, name: &str, number: u64, count: u64) -> Arc<Event> {
    Arc::new(of_json(json!({
        "apiVersion": API_VERSION, "kind": "Event", "metadata": {"name": format!("{name}.{number}"), "resourceVersion": "1"},
        "involvedObject": {"kind": kind, "name": name}, "type": "Warning", "reason": "SocketNotFound", "message": "no socket",
        "count": count, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:01Z"
    })))
}

/// A picture with these Apps.
pub(super) fn of_apps(apps: impl IntoIterator<Item = AppResource>) -> Snapshot {
    let apps = apps.into_iter().map(|app| (app.metadata.name.clone(), Arc::new(app))).collect();
    Snapshot { apps, ..Snapshot::default() }
}

/// A picture with these events.
pub(super) fn of_events(events: impl IntoIterator<Item = Arc<Event>>) -> Snapshot {
    Snapshot { events: events.into_iter().collect(), ..Snapshot::default() }
}

/// A picture with objects of every kind, and all that can be said of them.
pub(super) fn of_everything() -> Snapshot {
    let mut apps = Vec::new();
    for file in ["gitlab", "seafile", "ttrss", "minimal"] {
        let text = std::fs::read(format!("{}/manifests/{file}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for document in manifest::parse(file, &text).documents {
            let Ok(Object::App(written)) = document.result else { continue };
            let mut shown = app(written.metadata.name.as_str());
            (shown.spec, shown.metadata.uid) = (Some(written.spec.clone()), "0-1".into());
            shown.metadata.creation_timestamp = "2026-01-01T00:00:00Z".to_owned();
            shown.metadata.resource_version = "1".to_owned();
            (shown.status.served_generation, shown.status.listeners) = (Some(1), ["web/http".to_owned()].into());
            shown.status.conditions = serde_json::from_value(json!([
                condition("Ready", "True", "Ready"),
                condition("Conflicted", "True", "Conflicted"),
                condition("PartiallyResolved", "True", "PartiallyResolved"),
            ]))
            .unwrap();
            apps.push(shown);
        }
    }
    assert!(apps.len() >= 4, "the samples were read");
    let mut invalid = labelled("invalid", &[("tier", "web")]);
    invalid.metadata.annotations.insert("note".to_owned(), "n".to_owned());
    invalid.status.conditions = serde_json::from_value(json!([condition("Accepted", "False", "Invalid")])).unwrap();
    invalid.status.errors = serde_json::from_value(json!([
        {"file": "a.yaml", "line": 3, "column": 7, "field": "spec.rule", "message": "unknown field", "hint": "did you mean `rules`?",
         "unsupported": true, "excerpt": {"text": "  rule: []", "start": 2, "width": 4}},
        {"file": "a.yaml", "line": 1, "column": 1, "message": "bad"},
    ]))
    .unwrap();
    apps.push(invalid);
    let gateways = [("web".to_owned(), Arc::new(gateway()))].into_iter().collect();
    let sources = [("manifests".to_owned(), Arc::new(source()))].into_iter().collect();
    let mut listeners = Listeners::default();
    listeners.insert(&Arc::new(backends()));
    Snapshot { listeners, gateways, sources, events: [event("App", "ttrss", 1, 3)].into_iter().collect(), ..of_apps(apps) }
}

/// An App whose endpoints are in every state there is.
fn backends() -> CompiledApp {
    let endpoint = |number: usize| Endpoint {
        name: format!("127.0.0.1:{number}").into(),
        address: (number < 3).then(|| Address::Tcp("127.0.0.1:1".into())),
        health: Arc::default(),
    };
    let ejection = Ejection { errors: 2, base: Duration::from_secs(3600) };
    let check = Check { question: None, interval: Duration::from_secs(1), timeout: Duration::from_secs(1), healthy: 1, unhealthy: 1 };
    let backend = |name: &str, protocol, endpoints: usize| Backend {
        name: name.parse().unwrap(),
        endpoints: (0..endpoints).map(endpoint).collect(),
        protocol,
        keep: 0,
        internal_files: Box::default(),
        hold: None,
        balance: Balance::LeastRequest,
        ejection: Some(ejection),
        check: Some(check.clone().into()),
    };
    let web = backend("web", Protocol::Http(HttpSettings { host: None, protocol: crate::api::v1::HttpProtocol::Http1 }), 4);
    let php = backend("php", Protocol::Fastcgi(FastcgiSettings { root: None, index: None, params: Vec::new(), stderr: Arc::default() }), 1);
    let health = |endpoint: usize| &web.endpoints[endpoint].health;
    std::mem::forget(health(0).begin());
    for (endpoint, failures) in [(0, 1), (1, 2)] {
        for _ in 0..failures {
            let _ = health(endpoint).note_failure(ejection, uptime(), || true);
        }
    }
    health(2).note_check(Checked { passed: false, finding: Finding::Answered(500), at: 1_767_225_600_000 }, (1, 1));
    CompiledApp {
        name: "gitlab".parse().unwrap(),
        generation: 1,
        first_seen: 1,
        parents: Box::default(),
        hostnames: Box::default(),
        rules: Box::default(),
        backends: [web, php].into(),
        root: None,
        init: None,
        error_pages: Box::default(),
    }
}

fn gateway() -> GatewayResource {
    of_json(json!({
        "apiVersion": API_VERSION, "kind": "Gateway", "metadata": {"name": "web", "generation": 1},
        "spec": {
            "listeners": [{"name": "http", "address": "127.0.0.1", "port": 80, "protocol": "HTTP", "hostname": "*.example.org"}],
            "trustedProxies": ["192.0.2.0/24"], "limits": {"requestHead": "32Ki"}
        },
        "status": {
            "file": "web.yaml", "servedGeneration": 1, "conditions": [condition("Programmed", "True", "Programmed")],
            "listeners": [{"name": "http", "address": "127.0.0.1:80", "attachedApps": 2,
                           "conditions": [condition("Programmed", "False", "PortUnavailable")]}],
            "errors": [{"file": "web.yaml", "line": 1, "column": 1, "message": "bad"}]
        }
    }))
}

fn source() -> SourceResource {
    of_json(json!({
        "apiVersion": API_VERSION, "kind": "Source", "metadata": {"name": "manifests", "generation": 1},
        "spec": {"path": "/etc/lxcproxy.d"},
        "status": {"revision": "0123abcd", "lastChange": "2026-01-01T00:00:00Z", "files": 3, "unread": {"sub": "Permission denied"},
                   "conditions": [condition("Watching", "False", "Polling")]}
    }))
}

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": "m", "observedGeneration": 1,
           "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn of_json<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
