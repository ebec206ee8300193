//! What filters know of clients and of requests, over generations.

use std::path::PathBuf;
use std::sync::Arc;

use crate::compile::{Identity, compile};
use crate::resolve::ResolvedApp;
use crate::route::{CompiledApp, Filter, MaxConnections, RateLimit};

fn app(rules: &str, before: Option<&CompiledApp>) -> CompiledApp {
    let text = format!(
        "{{apiVersion: lxcproxy.dev/v1, kind: App, metadata: {{name: a}}, spec: {{backends: [{{name: web, http: {{port: 80}}}}], rules: {rules}}}}}"
    );
    let resolved = ResolvedApp::unseen(Arc::new(serde_yaml::from_str(&text).unwrap()), PathBuf::from("/"));
    compile(&resolved, Identity { name: &"a".parse().unwrap(), uid: "uid-1", generation: 1, first_seen: 1 }, &Arc::default(), before)
        .unwrap()
}

fn filters(app: &CompiledApp) -> impl Iterator<Item = &Filter> {
    app.rules.iter().flat_map(|rule| rule.filters.iter().chain(rule.backends.iter().flat_map(|share| &share.filters)))
}

fn rates(app: &CompiledApp) -> Vec<&RateLimit> {
    filters(app)
        .filter_map(|filter| match filter {
            Filter::RateLimit(limit) => Some(limit),
            _ => None,
        })
        .collect()
}

fn limits(app: &CompiledApp) -> Vec<&MaxConnections> {
    filters(app)
        .filter_map(|filter| match filter {
            Filter::MaxConnections(limit) => Some(limit),
            _ => None,
        })
        .collect()
}

#[test]
fn a_rate_limit_is_handed_on_to_the_rule_of_its_name_if_it_is_the_same() {
    let rule = |name: &str, requests: u32| {
        let filter = format!("{{type: RateLimit, rateLimit: {{requests: {requests}}}}}");
        format!("{{name: {name}, filters: [{filter}], backendRefs: [{{name: web, filters: [{filter}]}}]}}")
    };
    let before = app(&format!("[{}, {}]", rule("one", 1), rule("two", 2)), None);
    let after = app(&format!("[{}, {}, {}]", rule("new", 1), rule("two", 2), rule("one", 3)), Some(&before));
    let (before, after) = (rates(&before), rates(&after));
    assert_eq!((before.len(), after.len()), (4, 6));
    let from = |limit: &RateLimit| before.iter().position(|before| Arc::ptr_eq(&before.table, &limit.table));
    assert_eq!(after.iter().map(|limit| from(limit)).collect::<Vec<_>>(), [None, None, Some(2), Some(3), None, None]);
    assert_eq!((after[0].burst.get(), after[2].burst.get()), (1, 2), "the burst is as many as the requests");
}

#[test]
fn an_app_has_one_set_of_slots_whatever_changes() {
    let rules = |connections: u32| {
        let filter = format!("{{type: MaxConnections, maxConnections: {{connections: {connections}}}}}");
        format!("[{{filters: [{filter}]}}, {{matches: [{{path: {{value: /b}}}}], backendRefs: [{{name: web, filters: [{filter}]}}]}}]")
    };
    let before = app(&rules(1), None);
    let after = app(&rules(2), Some(&before));
    let [all, limit] = [limits(&before), limits(&after)];
    assert!([all[1], limit[0], limit[1]].iter().all(|limit| Arc::ptr_eq(&limit.slots, &all[0].slots)));
    assert_eq!((all[0].connections, limit[0].connections), (1, 2));
    assert!(!Arc::ptr_eq(&limits(&app(&rules(1), None))[0].slots, &all[0].slots), "another App has its own");
}
