//! Metrics: their text is what the format says, and their numbers are what has happened.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use lxcproxy::api::v1::{
    AppResource, AppStatus, Condition, ConditionStatus, ConditionType, Event, EventMetadata, EventType, ObjectReference, Reason,
    ResourceMetadata, SourceResource, SourceSpec, SourceStatus,
};
use lxcproxy::metrics::{Fault, Metrics};
use lxcproxy::snapshot::{self, Snapshot};
use lxcproxy::telemetry::{self, exposition};

use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::openmetrics::Exposition;
use crate::support::recorder::Recorder;
use crate::support::soon;

fn condition(type_: ConditionType, status: ConditionStatus) -> Condition {
    let (message, last_transition_time) = (String::new(), "2026-01-01T00:00:00Z".to_owned());
    Condition { type_, status, reason: Reason::Ready, message, observed_generation: 1, last_transition_time }
}

fn app(name: &str, accepted: ConditionStatus) -> Arc<AppResource> {
    Arc::new(AppResource {
        api_version: "lxcproxy.dev/v1".to_owned(),
        kind: "App".to_owned(),
        metadata: ResourceMetadata { name: name.to_owned(), generation: 2, ..ResourceMetadata::default() },
        spec: None,
        status: AppStatus {
            served_generation: Some(1),
            conditions: [condition(ConditionType::Accepted, accepted), condition(ConditionType::Ready, ConditionStatus::Unknown)].into(),
            ..AppStatus::default()
        },
    })
}

fn picture(accepted: ConditionStatus) -> Snapshot {
    let mut picture = Snapshot::default();
    picture.apps.insert("wiki".to_owned(), app("wiki", accepted));
    // A manifest that wants a name that another has.
    picture.apps.insert("wiki b.yaml 0".to_owned(), app("wiki", ConditionStatus::False));
    let status =
        SourceStatus { files: 3, conditions: vec![condition(ConditionType::Watching, ConditionStatus::True)], ..SourceStatus::default() };
    picture.sources.insert(
        "manifests".to_owned(),
        Arc::new(SourceResource {
            api_version: "lxcproxy.dev/v1".to_owned(),
            kind: "Source".to_owned(),
            metadata: ResourceMetadata::default(),
            spec: Some(SourceSpec { path: "/etc/lxcproxy.d".into() }),
            status,
        }),
    );
    picture.events.push_back(Arc::new(Event {
        api_version: "lxcproxy.dev/v1".to_owned(),
        kind: "Event".to_owned(),
        metadata: EventMetadata { name: "wiki.1".to_owned(), resource_version: "1".to_owned() },
        involved_object: ObjectReference { kind: "App".to_owned(), name: "wiki".to_owned() },
        type_: EventType::Warning,
        reason: Reason::Invalid,
        message: String::new(),
        count: 1,
        first_timestamp: String::new(),
        last_timestamp: String::new(),
    }));
    picture
}

#[test]
fn the_text_is_strict_and_tells_what_the_snapshot_says() {
    let (metrics, (mut publisher, reader)) = (Metrics::default(), snapshot::channel());
    let shard = metrics.shard();
    shard.unmatched().count(404, Duration::from_millis(3), 0, 10);
    // Nothing that is served has this name: it leaves no series.
    shard.app("gone").route(0, "0").count(200, Duration::from_secs(70), 1, 10);
    shard.app("gone").backend(0, "web").count(Fault::Closed);
    let before = Exposition::parse(&exposition::text(&metrics, &reader));
    publisher.publish(picture(ConditionStatus::True));
    shard.unmatched().count(200, Duration::from_secs(61), 0, 10);
    let after = Exposition::parse(&exposition::text(&metrics, &reader));
    after.assert_later_than(&before);
    for (series, expected) in [
        ("lxcproxy_snapshot_revision", 1.0),
        ("lxcproxy_snapshot_swaps_total", 1.0),
        ("lxcproxy_config_last_reload_successful", 0.0),
        ("lxcproxy_manifests{result=\"accepted\"}", 1.0),
        ("lxcproxy_manifests{result=\"refused\"}", 1.0),
        ("lxcproxy_condition{kind=\"App\",name=\"wiki\",status=\"true\",type=\"Accepted\"}", 1.0),
        ("lxcproxy_condition{kind=\"App\",name=\"wiki\",status=\"false\",type=\"Accepted\"}", 0.0),
        ("lxcproxy_condition{kind=\"App\",name=\"wiki\",status=\"unknown\",type=\"Ready\"}", 1.0),
        ("lxcproxy_condition{kind=\"Source\",name=\"manifests\",status=\"true\",type=\"Watching\"}", 1.0),
        ("lxcproxy_generation{kind=\"App\",name=\"wiki\"}", 2.0),
        ("lxcproxy_served_generation{kind=\"App\",name=\"wiki\"}", 1.0),
        ("lxcproxy_source_files{source=\"manifests\"}", 3.0),
        ("lxcproxy_source_watching{source=\"manifests\"}", 1.0),
        ("lxcproxy_events{type=\"warning\"}", 1.0),
        ("lxcproxy_http_requests_total{app=\"\",code=\"4xx\",rule=\"\"}", 1.0),
        ("lxcproxy_http_request_duration_seconds_bucket{app=\"\",le=\"0.005\",rule=\"\"}", 1.0),
        ("lxcproxy_http_request_duration_seconds_count{app=\"\",rule=\"\"}", 2.0),
    ] {
        assert_eq!(after.value(series), Some(expected), "{series} in {:#?}", after.samples);
    }
    assert!(!after.samples.keys().any(|series| series.contains("gone")));
    for name in
        ["process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"]
    {
        assert!(after.types.contains_key(name), "{name}");
    }
    let open = after.value("process_open_fds").unwrap();
    assert!(open > 2.0 && after.value("process_max_fds").unwrap() >= open);
}

#[tokio::test]
async fn the_time_of_the_last_reload_is_that_of_a_change_that_left_all_valid() {
    let (metrics, (mut publisher, reader)) = (Metrics::default(), snapshot::channel());
    let read = || {
        let page = Exposition::parse(&exposition::text(&metrics, &reader));
        page.value("lxcproxy_config_last_reload_success_timestamp_seconds").unwrap()
    };
    let follower = tokio::spawn(telemetry::follow(reader.clone(), metrics.control().clone()));
    let valid = |generation| {
        let mut picture = Snapshot::default();
        let mut app = Arc::unwrap_or_clone(app("wiki", ConditionStatus::True));
        app.metadata.generation = generation;
        picture.apps.insert("wiki".to_owned(), Arc::new(app));
        picture
    };
    publisher.publish(picture(ConditionStatus::True));
    assert!(read().abs() < f64::EPSILON, "one manifest of it is refused");
    publisher.publish(valid(2));
    let first = soon("the time is told", async {
        loop {
            match read() {
                time if time > 0.0 => return time,
                _ => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - first).abs() < 60.0, "{first}");
    // Nothing has changed: the follower reads this one, and then the next.
    publisher.publish(valid(2));
    tokio::task::yield_now().await;
    publisher.publish(picture(ConditionStatus::True));
    drop(publisher);
    follower.await.unwrap();
    assert!((read() - first).abs() < f64::EPSILON);
}

/// What the admin socket says.
pub fn scrape(daemon: &Daemon) -> Exposition {
    let socket = daemon.admin();
    let ask = Curl::new("http://lxcproxy/metrics", None).arg("--unix-socket").arg(socket.to_str().unwrap());
    let answer = ask.header("Accept", "application/openmetrics-text; version=1.0.0").send();
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"), "{answer:?}");
    Exposition::parse(&answer.text())
}

/// Scrapes until a sample is as expected.
pub fn wait_value(daemon: &Daemon, series: &str, expected: f64) -> Exposition {
    daemon.eventually(PATIENCE, || {
        let page = scrape(daemon);
        let value = page.value(series);
        if value.is_some_and(|value| (value - expected).abs() < f64::EPSILON) { Ok(page) } else { Err(format!("{series} is {value:?}")) }
    })
}

#[test]
fn requests_errors_and_connections_are_counted() {
    let backend = Recorder::answering(|request, stream| match request.line() {
        line if line.contains("/close") => false,
        line if line.contains("/silent") => std::io::copy(stream, &mut std::io::sink()).is_ok(),
        _ => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").is_ok(),
    });
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("name: main")).arg("--threads").arg("1").start();
    let before = scrape(&daemon);
    for _ in 0..3 {
        assert_eq!(daemon.request("/").body("12345").send().status, 200);
    }
    wait_value(&daemon, "lxcproxy_backend_connections_idle{protocol=\"http\"}", 1.0);
    assert_eq!(daemon.get("/close").status, 502);
    let mut client = TcpStream::connect(daemon.address()).unwrap();
    client.write_all(b"GET /silent HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    while !backend.next().line().contains("/silent") {}
    assert_eq!(scrape(&daemon).value("lxcproxy_connections_active"), Some(1.0));
    drop(client);
    let of = |class: &str| format!("lxcproxy_http_requests_total{{app=\"app\",code=\"{class}\",rule=\"main\"}}");
    let page = wait_value(&daemon, &of("4xx"), 1.0);
    page.assert_later_than(&before);
    for (series, expected) in [
        (of("2xx").as_str(), 3.0),
        (&of("5xx"), 1.0),
        ("lxcproxy_http_request_body_bytes_total{app=\"app\",rule=\"main\"}", 15.0),
        ("lxcproxy_http_request_duration_seconds_count{app=\"app\",rule=\"main\"}", 5.0),
        ("lxcproxy_backend_errors_total{app=\"app\",backend=\"web\",reason=\"closed\"}", 1.0),
        ("lxcproxy_connections_total", 5.0),
        ("lxcproxy_backend_connections_idle{protocol=\"http\"}", 0.0),
        ("lxcproxy_config_last_reload_successful", 1.0),
        ("lxcproxy_condition{kind=\"App\",name=\"app\",status=\"true\",type=\"Ready\"}", 1.0),
    ] {
        assert_eq!(page.value(series), Some(expected), "{series} in {:#?}", page.samples);
    }
    assert!(page.value("lxcproxy_http_response_body_bytes_total{app=\"app\",rule=\"main\"}").unwrap() > 9.0);
    assert!(page.value("lxcproxy_config_last_reload_success_timestamp_seconds").unwrap() > 0.0);
    assert!(page.value("lxcproxy_reconcile_duration_seconds_count{step=\"look\"}").unwrap() > 0.0);
}

#[test]
fn counts_outlive_a_new_generation_and_go_with_their_app() {
    let backend = Recorder::new();
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("name: main")).start();
    assert_eq!(daemon.get("/").status, 200);
    let requests = "lxcproxy_http_requests_total{app=\"app\",code=\"2xx\",rule=\"main\"}";
    let before = wait_value(&daemon, requests, 1.0);
    daemon.manifest("app.yaml", &backend.manifest("name: main\n    timeouts: {backendRead: 9s}"));
    wait_value(&daemon, "lxcproxy_served_generation{kind=\"App\",name=\"app\"}", 2.0);
    assert_eq!(daemon.get("/").status, 200);
    let page = wait_value(&daemon, requests, 2.0);
    page.assert_later_than(&before);
    assert!(page.value("lxcproxy_change_to_served_seconds_count") > before.value("lxcproxy_change_to_served_seconds_count"));
    daemon.manifest("other.yaml", &backend.manifest("").replace("name: app", "name: other"));
    daemon.remove_manifest("app.yaml");
    daemon.eventually(PATIENCE, || {
        let page = scrape(&daemon);
        let left: Vec<_> = page.samples.keys().filter(|series| series.contains("\"app\"")).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

#[test]
fn a_manifest_that_is_refused_shows_as_a_reload_that_failed() {
    let backend = Recorder::new();
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("")).start();
    wait_value(&daemon, "lxcproxy_config_last_reload_successful", 1.0);
    daemon.manifest("app.yaml", &backend.manifest("nonsense: 1"));
    let page = wait_value(&daemon, "lxcproxy_config_last_reload_successful", 0.0);
    assert_eq!(page.value("lxcproxy_manifests{result=\"refused\"}"), Some(1.0));
    assert_eq!(page.value("lxcproxy_condition{kind=\"App\",name=\"app\",status=\"false\",type=\"Accepted\"}"), Some(1.0));
    assert!(page.value("lxcproxy_config_last_reload_success_timestamp_seconds").unwrap() > 0.0);
}
