//! Counts of several threads -> the lines of a scrape.

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::cell::{BOUNDS, Observed};
use super::*;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// What is served: these Apps, with these rules and backends.
#[derive(Debug)]
struct Serving(&'static [(&'static str, &'static str)]);

impl Served for Serving {
    fn has_rule(&self, app: &str, rule: &str) -> bool {
        self.0.contains(&(app, rule))
    }

    fn has_backend(&self, app: &str, backend: &str) -> bool {
        self.has_rule(app, backend)
    }
}

fn scrape(metrics: &Metrics, serving: &'static [(&'static str, &'static str)]) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metrics.collector(Arc::new(Serving(serving)))));
    let mut page = String::new();
    text::encode(&mut page, &registry).unwrap();
    page
}

/// The value of the sample that is written so.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_scrape_sums_over_the_threads() {
    let metrics = Metrics::default();
    let count = |shard: &Shard| {
        let app = shard.app("app");
        app.route(0, "main").count(200, 3 * MS, 10, 100);
        app.route(0, "main").count(404, 20 * MS, 0, 1);
        app.backend(1, "web").count(Fault::ConnectRefused);
        app.backend(1, "web").retried();
        app.backend(1, "web").complained(100);
        app.backend(1, "web").unheard(7);
        shard.held().set(3);
        app.route(0, "main").count_held_up(HeldUp::QueueFull);
        shard.turned_away(TurnedAway::ClientLimit);
        std::mem::forget(shard.connected());
        drop(shard.connected());
        shard.idle_http().set(4);
        shard.unmatched().count(404, MS, 0, 7);
    };
    let here = metrics.shard();
    count(&here);
    let shared = metrics.clone();
    std::thread::spawn(move || count(&shared.shard())).join().unwrap();
    let page = scrape(&metrics, &[("app", "main"), ("app", "web")]);
    for (series, expected) in [
        ("lxcproxy_http_requests_total{app=\"app\",rule=\"main\",code=\"2xx\"}", 2.0),
        ("lxcproxy_http_requests_total{app=\"app\",rule=\"main\",code=\"4xx\"}", 2.0),
        ("lxcproxy_http_requests_total{app=\"app\",rule=\"main\",code=\"5xx\"}", 0.0),
        ("lxcproxy_http_requests_total{app=\"\",rule=\"\",code=\"4xx\"}", 2.0),
        ("lxcproxy_http_request_body_bytes_total{app=\"app\",rule=\"main\"}", 20.0),
        ("lxcproxy_http_response_body_bytes_total{app=\"app\",rule=\"main\"}", 202.0),
        ("lxcproxy_http_request_duration_seconds_count{app=\"app\",rule=\"main\"}", 4.0),
        ("lxcproxy_http_request_duration_seconds_sum{app=\"app\",rule=\"main\"}", 0.046),
        ("lxcproxy_http_request_duration_seconds_bucket{le=\"0.0025\",app=\"app\",rule=\"main\"}", 0.0),
        ("lxcproxy_http_request_duration_seconds_bucket{le=\"0.005\",app=\"app\",rule=\"main\"}", 2.0),
        ("lxcproxy_http_request_duration_seconds_bucket{le=\"+Inf\",app=\"app\",rule=\"main\"}", 4.0),
        ("lxcproxy_backend_errors_total{app=\"app\",backend=\"web\",reason=\"connect_refused\"}", 2.0),
        ("lxcproxy_backend_errors_total{app=\"app\",backend=\"web\",reason=\"closed\"}", 0.0),
        ("lxcproxy_backend_retries_total{app=\"app\",backend=\"web\"}", 2.0),
        ("lxcproxy_fastcgi_stderr_bytes_total{app=\"app\",backend=\"web\"}", 200.0),
        ("lxcproxy_fastcgi_stderr_dropped_bytes_total{app=\"app\",backend=\"web\"}", 14.0),
        ("lxcproxy_requests_held", 6.0),
        ("lxcproxy_http_requests_refused_total{app=\"app\",rule=\"main\",reason=\"queue_full\"}", 2.0),
        ("lxcproxy_connections_total", 4.0),
        ("lxcproxy_connections_refused_total{reason=\"client_limit\"}", 2.0),
        ("lxcproxy_connections_refused_total{reason=\"proxy_header\"}", 0.0),
        ("lxcproxy_connections_active", 2.0),
        ("lxcproxy_backend_connections_idle{protocol=\"http\"}", 8.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series} in\n{page}");
    }
    assert!(!page.contains("rate_limit"), "what never was has no series");
}

#[test]
fn a_bucket_holds_what_is_no_longer_than_its_end() {
    let histogram = Histogram::default();
    for took in [Duration::ZERO, BOUNDS[0], BOUNDS[0] + Duration::from_nanos(1), BOUNDS[15], BOUNDS[15] + MS, Duration::MAX] {
        histogram.observe(took);
    }
    let mut observed = Observed::default();
    histogram.add_to(&mut observed);
    assert_eq!((observed.buckets[0], observed.buckets[1], observed.buckets[15], observed.buckets[16]), (2, 1, 1, 2));
    assert_eq!(observed.buckets.iter().sum::<u64>(), 6);
    assert!(BOUNDS.is_sorted());
}

#[test]
fn counts_outlive_a_generation_and_follow_the_name_of_a_rule() {
    let metrics = Metrics::default();
    let shard = metrics.shard();
    shard.app("app").route(0, "old").count(200, MS, 0, 0);
    shard.app("app").route(0, "new").count(200, MS, 0, 0);
    shard.app("app").route(1, "old").count(200, MS, 0, 0);
    let page = scrape(&metrics, &[("app", "old"), ("app", "new")]);
    assert_eq!(value(&page, "lxcproxy_http_requests_total{app=\"app\",rule=\"old\",code=\"2xx\"}"), Some(2.0));
    assert_eq!(value(&page, "lxcproxy_http_requests_total{app=\"app\",rule=\"new\",code=\"2xx\"}"), Some(1.0));
}

#[test]
fn series_of_what_is_gone_are_left_out_and_then_forgotten() {
    let metrics = Metrics::default();
    let shard = metrics.shard();
    for number in 0..200 {
        shard.app(&format!("app{number}")).route(0, "0").count(200, MS, 0, 0);
        shard.app(&format!("app{number}")).backend(0, "web").count(Fault::Closed);
    }
    let kept = &[("app7", "0"), ("app7", "web")];
    let page = scrape(&metrics, kept);
    assert!(page.contains("app=\"app7\"") && !page.contains("app=\"app8\""));
    assert!(shard.is_crowded());
    shard.forget(&Serving(kept));
    assert!(!shard.is_crowded());
    assert_eq!(shard.shared().cells().routes.len(), 2, "that of no rule, and the one that is served");
    shard.app("app7").route(0, "0").count(200, MS, 0, 0);
    let page = scrape(&metrics, kept);
    assert_eq!(value(&page, "lxcproxy_http_requests_total{app=\"app7\",rule=\"0\",code=\"2xx\"}"), Some(2.0));
}

#[test]
fn a_request_in_flight_counts_even_if_its_thread_has_forgotten_meanwhile() {
    let metrics = Metrics::default();
    let shard = metrics.shard();
    let route = shard.app("app").route(0, "0");
    shard.forget(&Serving(&[("app", "0")]));
    route.count(500, MS, 0, 0);
    let page = scrape(&metrics, &[("app", "0")]);
    assert_eq!(value(&page, "lxcproxy_http_requests_total{app=\"app\",rule=\"0\",code=\"5xx\"}"), Some(1.0));
}

#[test]
fn label_values_are_escaped() {
    let metrics = Metrics::default();
    metrics.shard().app("a\"b\\c\nd").route(0, "0").count(200, MS, 0, 0);
    let page = scrape(&metrics, &[("a\"b\\c\nd", "0")]);
    assert!(page.contains("app=\"a\\\"b\\\\c\\nd\""), "{page}");
}

#[test]
fn every_fault_counts_under_its_own_name() {
    let metrics = Metrics::default();
    let shard = metrics.shard();
    for (times, fault) in (1..).zip(Fault::ALL) {
        (0..times).for_each(|_| shard.app("app").backend(0, "web").count(fault));
    }
    let page = scrape(&metrics, &[("app", "web")]);
    for (times, fault) in (1_u8..).zip(Fault::ALL) {
        let series = format!("lxcproxy_backend_errors_total{{app=\"app\",backend=\"web\",reason=\"{}\"}}", fault.as_str());
        assert_eq!(value(&page, &series), Some(f64::from(times)), "{series}");
    }
}
