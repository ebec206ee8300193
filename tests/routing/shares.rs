//! Backends of a rule: none, one, several by weight.

use std::collections::BTreeMap;

use super::echo::Echoes;
use super::table::hold;
use crate::support::daemon::Daemon;
use crate::support::keepalive::Agent;

/// How often each backend was asked in so many requests, and what `X-Who` it saw each time.
fn count(daemon: &Daemon, path: &str, requests: usize) -> BTreeMap<(String, String), usize> {
    let mut agent = Agent::connect(daemon.address());
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        let (status, head) = agent.get(path, "host.test");
        assert_eq!(status, 200, "{head}");
        let seen = head.lines().find_map(|line| line.strip_prefix("x-seen: ")).unwrap();
        let seen: serde_json::Value = serde_json::from_str(seen).unwrap();
        let who = seen["fields"]["x-who"][0].as_str().unwrap_or_default().to_owned();
        *counts.entry((seen["backend"].as_str().unwrap().to_owned(), who)).or_default() += 1;
    }
    counts
}

#[test]
fn requests_are_shared_by_weight_each_with_the_filters_of_its_reference() {
    let filters =
        |who: &str| format!("filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: X-Who, value: {who}}}]}}}}]");
    let spec = format!(
        "
rules:
- matches: [{{path: {{value: /weights}}}}]
  backendRefs: [{{name: one, weight: 70}}, {{name: two, weight: 30}}, {{name: three, weight: 0}}]
- matches: [{{path: {{value: /filters}}}}]
  backendRefs: [{{name: one, {}}}, {{name: two, {}}}]
- matches: [{{path: {{value: /large}}}}]
  backendRefs: [{{name: one, weight: 1000000}}, {{name: two, weight: 1000000}}]
",
        filters("one"),
        filters("two")
    );
    let daemon = Echoes::new().daemon_of(Daemon::builder().arg("--threads").arg("1"), &[("app", &spec)]);
    let key = |name: &str, who: &str| (name.to_owned(), who.to_owned());
    // Seven standard deviations: it fails once in 10^11 runs.
    let weights = count(&daemon, "/weights", 1000);
    assert_eq!(weights.len(), 2, "{weights:?}");
    assert!((600..=800).contains(&weights[&key("one", "")]), "{weights:?}");
    let filtered = count(&daemon, "/filters", 200);
    assert_eq!(filtered.keys().cloned().collect::<Vec<_>>(), [key("one", "one"), key("two", "two")], "{filtered:?}");
    assert_eq!(count(&daemon, "/large", 200).len(), 2);
}

#[test]
fn a_rule_without_a_backend_is_500() {
    let spec = "
rules:
- matches: [{path: {type: Exact, value: /omitted}}]
- matches: [{path: {type: Exact, value: /empty}}]
  backendRefs: []
- matches: [{path: {type: Exact, value: /zero}}]
  backendRefs: [{name: one, weight: 0}]
- matches: [{path: {type: Exact, value: /zeros}}]
  backendRefs: [{name: one, weight: 0}, {name: two, weight: 0}]
- matches: [{path: {value: /named}}]
  name: named-rule
  backendRefs: [{name: one}]
- matches: [{path: {value: /some-zero}}]
  backendRefs: [{name: one, weight: 0}, {name: two, weight: 1}, {name: three, weight: 0}]
- backendRefs: [{name: three}]
";
    let table = "
        GET /omitted        => 500
        GET /empty          => 500
        GET /zero           => 500
        GET /zeros          => 500
        POST /zeros         => 500
        GET /named          => one
        GET /unnamed        => three
        GET /some-zero      => two
        GET /forward        => three
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}
