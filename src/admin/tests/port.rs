//! Metrics: on the socket, and on a port that answers nothing else.

use bytes::Bytes;
use http::{Method, Response};

use super::super::API;
use super::{House, METRICS};

const CLASSIC: &str = "# TYPE requests_total counter\nrequests_total 1\n";

fn seen(response: &Response<Bytes>) -> (u16, &str, &str) {
    (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap(), std::str::from_utf8(response.body()).unwrap())
}

#[tokio::test]
async fn metrics_come_in_the_form_that_is_asked_for() {
    let house = House::open().await;
    let classic = (200, "text/plain; version=0.0.4; charset=utf-8", CLASSIC);
    let openmetrics = (200, "application/openmetrics-text; version=1.0.0; charset=utf-8", METRICS);
    assert_eq!(seen(&house.ask(Method::GET, "/metrics").await), classic);
    assert_eq!(seen(&house.scrape("/metrics", None).await), classic);
    assert_eq!(seen(&house.scrape("/metrics", Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")).await), openmetrics);
}

#[tokio::test]
async fn the_port_knows_metrics_and_health_only() {
    let mut house = House::open().await;
    assert_eq!(seen(&house.scrape("/healthz", None).await).0, 200);
    assert_eq!(seen(&house.scrape("/readyz", None).await).0, 503);
    house.publish(&["blog"]);
    assert_eq!(seen(&house.scrape("/readyz", None).await).0, 200);
    for path in [API, "/apis", "/openapi/v3", "/version", "/", &format!("{API}/apps"), &format!("{API}/apps/blog")] {
        let response = house.scrape(path, None).await;
        let (status, _, body) = seen(&response);
        assert_eq!(status, 404, "{path}");
        assert!(body.contains("only /metrics, /healthz and /readyz are here"), "{body}");
    }
}
