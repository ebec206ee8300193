//! The admin API of the real daemon, as `curl --unix-socket` sees it.

mod strangers;
mod watches;

use std::fs;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::support::cli::repository;
use crate::support::curl::{Curl, Response};
use crate::support::daemon::{Daemon, PATIENCE};

/// Where the objects are.
const API: &str = "/apis/lxcproxy.dev/v1";

/// A manifest of an application that is nothing but files.
fn site(name: &str, host: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {name}}}
spec:
  container: {{runtime: Directory, rootfs: ..}}
  hostnames: [{host}]
  rules:
  - files: {{root: /manifests}}
"
    )
}

/// A request to the admin socket.
fn curl(daemon: &Daemon, path: &str) -> Curl {
    Curl::new(&format!("http://lxcproxy{path}"), None).arg("--unix-socket").arg(daemon.admin().to_str().unwrap())
}

fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

fn names(daemon: &Daemon, question: &str) -> Vec<String> {
    let list = json(&curl(daemon, &format!("{API}/{question}")).send());
    let items = list["items"].as_array().unwrap_or_else(|| panic!("{question}: {list}"));
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// A schema of the committed document.
fn schema(name: &str) -> Validator {
    let document: Value = serde_json::from_str(&fs::read_to_string(repository().join("schemas/openapi.v1.json")).unwrap()).unwrap();
    let root = json!({"$ref": format!("#/components/schemas/{name}"), "components": document["components"]});
    jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap()
}

fn hold(schema: &Validator, body: &Value) {
    let problems: Vec<_> = schema.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{problems:#?}\n{body:#}");
}

/// One App that is well and has labels, one that an older one answers for, one that is broken.
fn daemon() -> Daemon {
    let labelled = site("blog", "blog.example.org").replace("{name: blog}", "{name: blog, labels: {tier: web, env: live}}");
    let daemon = Daemon::builder().manifest("blog.yaml", &labelled).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    daemon.manifest("copy.yaml", &site("copy", "blog.example.org"));
    daemon.wait_condition("copy", "Conflicted", PATIENCE);
    daemon.manifest("broken.yaml", &site("broken", "broken.example.org").replace("hostnames", "hostname"));
    daemon.wait_reason("broken", "Accepted", "Invalid", PATIENCE);
    daemon
}

#[test]
fn lists_single_objects_and_selections_are_those_of_the_document() {
    let daemon = daemon();
    let list = json(&curl(&daemon, &format!("{API}/apps")).send());
    hold(&schema("AppList"), &list);
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    for name in ["blog", "broken", "copy"] {
        let one = json(&curl(&daemon, &format!("{API}/apps/{name}")).send());
        hold(&schema("App"), &one);
        assert_eq!(one["metadata"]["name"], name);
    }
    assert_eq!(names(&daemon, "apps?labelSelector=tier%3Dweb"), ["blog"]);
    assert_eq!(names(&daemon, "apps?labelSelector=tier+in+(web,db),env!=test"), ["blog"]);
    assert_eq!(names(&daemon, "apps?labelSelector=!tier"), ["broken", "copy"]);
    assert_eq!(names(&daemon, "apps?fieldSelector=metadata.name%3Dcopy"), ["copy"]);
    for (plural, kind) in [("gateways", "GatewayList"), ("sources", "SourceList"), ("events", "EventList")] {
        let list = json(&curl(&daemon, &format!("{API}/{plural}")).send());
        hold(&schema(kind), &list);
        assert_eq!(list["kind"], kind);
    }
}

#[test]
fn the_document_that_is_answered_is_the_one_that_is_committed() {
    let daemon = Daemon::builder().start();
    let answered = curl(&daemon, "/openapi/v3").send();
    assert_eq!((answered.status, answered.header("content-type")), (200, "application/json"));
    assert_eq!(answered.text(), fs::read_to_string(repository().join("schemas/openapi.v1.json")).unwrap());
    assert_eq!(json(&curl(&daemon, "/apis").send())["groups"][0]["name"], "lxcproxy.dev");
}

#[test]
fn what_is_not_there_is_said_as_kubernetes_says_it() {
    let daemon = Daemon::builder().start();
    let status = schema("Status");
    for (path, method, code, reason) in [
        ("/apis/lxcproxy.dev/v1/apps/nobody", "GET", 404, "NotFound"),
        ("/apis/lxcproxy.dev/v2/apps", "GET", 404, "NotFound"),
        ("/apis/lxcproxy.dev/v1/apps?limit=1", "GET", 400, "BadRequest"),
        ("/apis/lxcproxy.dev/v1/apps/nobody", "DELETE", 405, "MethodNotAllowed"),
        ("/apis/lxcproxy.dev/v1/apps?watch=true&resourceVersion=999999", "GET", 410, "Expired"),
    ] {
        let response = curl(&daemon, path).method(method).send();
        let body = json(&response);
        hold(&status, &body);
        assert_eq!((response.status, body["reason"].as_str()), (code, Some(reason)), "{path}");
    }
}

#[test]
fn health_and_metrics_are_answered_on_the_socket_and_on_a_port_of_their_own() {
    let daemon = Daemon::builder().arg("--metrics-listen").arg("127.0.0.1:0").start();
    let line = daemon.wait_log(PATIENCE, |line| line.contains("metrics are answered"));
    let event: Value = serde_json::from_str(&line).unwrap();
    let fields = if event["fields"].is_object() { &event["fields"] } else { &event };
    let port = format!("http://{}", fields["address"].as_str().unwrap());
    for path in ["/healthz", "/readyz"] {
        for response in [curl(&daemon, path).send(), Curl::new(&format!("{port}{path}"), None).send()] {
            assert_eq!((response.status, response.text().as_str()), (200, "ok\n"), "{path}");
        }
    }
    let wanted = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for request in [curl(&daemon, "/metrics"), Curl::new(&format!("{port}/metrics"), None)] {
        let response = request.header("Accept", "application/openmetrics-text").send();
        assert_eq!((response.status, response.header("content-type")), (200, wanted));
        assert!(response.text().ends_with("# EOF\n"), "{}", response.text());
    }
    assert_eq!(Curl::new(&format!("{port}{API}/apps"), None).send().status, 404);
}

#[test]
fn a_port_for_metrics_is_never_open_to_the_net() {
    let said = crate::support::cli::lxcproxy(&["run", "--metrics-listen", "0.0.0.0:9090"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("0.0.0.0 is not a loopback address") && said.err.contains("127.0.0.1:9090"), "{}", said.err);
}
