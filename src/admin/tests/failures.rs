//! What is not answered: a `Status` with the code and the words that Kubernetes has for it.

use std::path::Path;

use http::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::API;
use super::{House, Lines, METRICS, SOON};
use crate::admin::WATCHES;

#[tokio::test]
async fn failures_are_status_objects() {
    let mut house = House::open().await;
    house.publish(&["blog"]);
    for (path, code, reason, words) in [
        ("/", 404, "NotFound", "there is nothing at /; see /apis and /openapi/v3"),
        ("/apis/apps/v1", 404, "NotFound", "there is no API group `apps`; there is lxcproxy.dev"),
        ("/apis/lxcproxy.dev/v2", 404, "NotFound", "there is no version `v2` of lxcproxy.dev; there is lxcproxy.dev/v1"),
        ("/apis/lxcproxy.dev/v2/apps", 404, "NotFound", "there is no version `v2` of lxcproxy.dev; there is lxcproxy.dev/v1"),
        (
            "/apis/lxcproxy.dev/v1/pods",
            404,
            "NotFound",
            "there is no resource `pods`, or no name behind it; there are apps, gateways, sources, events, backends",
        ),
        (
            "/apis/lxcproxy.dev/v1/apps/",
            404,
            "NotFound",
            "there is no resource `apps`, or no name behind it; there are apps, gateways, sources, events, backends",
        ),
        ("/apis/lxcproxy.dev/v1/apps/nobody", 404, "NotFound", "apps \"nobody\" not found"),
        ("/apis/lxcproxy.dev/v1/events/x.1", 404, "NotFound", "events \"x.1\" not found"),
        ("/healthz?verbose", 400, "BadRequest", "there is no parameter `verbose`; none is taken here"),
        ("/apis/lxcproxy.dev/v1/apps/blog?watch=true", 400, "BadRequest", "there is no parameter `watch`; none is taken here"),
        (
            "/apis/lxcproxy.dev/v1/apps?limit=5",
            400,
            "BadRequest",
            "there is no parameter `limit`; expected one of labelSelector, fieldSelector, watch, resourceVersion, timeoutSeconds",
        ),
        (
            "/apis/lxcproxy.dev/v1/apps?labelSelector=a+b",
            400,
            "BadRequest",
            "labelSelector: expected `=`, `==`, `!=`, `in`, `notin` or `,` after `a`, found `b`",
        ),
        (
            "/apis/lxcproxy.dev/v1/apps?watch=true&resourceVersion=7",
            410,
            "Expired",
            "the resource version 7 is not that of now, 1; list again, and watch from there",
        ),
    ] {
        let (status, body) = house.get(path).await;
        assert_eq!((status, body["reason"].as_str(), body["message"].as_str()), (code, Some(reason), Some(words)), "{path}");
        assert_eq!((&body["kind"], &body["status"], &body["code"]), (&"Status".into(), &"Failure".into(), &code.into()), "{path}");
    }
}

#[tokio::test]
async fn nothing_can_be_changed_and_head_is_a_get_without_its_body() {
    let mut house = House::open().await;
    house.publish(&["blog"]);
    for method in [Method::DELETE, Method::POST, Method::PUT, Method::PATCH, Method::OPTIONS] {
        let refused = house.ask(method.clone(), &format!("{API}/apps/blog")).await;
        assert_eq!((refused.status().as_u16(), &refused.headers()["allow"]), (405, &"GET, HEAD".parse().unwrap()), "{method}");
        assert_eq!(serde_json::from_slice::<Value>(refused.body()).unwrap()["reason"], "MethodNotAllowed");
    }
    for path in ["apps", "apps/blog", "apps/nobody", "apps?watch=true"] {
        let path = format!("{API}/{path}");
        let head = house.ask(Method::HEAD, &path).await;
        assert!(head.body().is_empty(), "{path}");
        if !path.contains("watch") {
            let get = house.ask(Method::GET, &path).await;
            assert_eq!((head.status(), &head.headers()["content-length"]), (get.status(), &get.headers()["content-length"]), "{path}");
        }
    }
}

#[tokio::test]
async fn heads_without_measure_are_refused_and_silence_is_not_waited_for() {
    let house = House::open().await;
    for (head, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000)), "HTTP/1.1 414 "),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(500)), "HTTP/1.1 431 "),
        ("GARBAGE\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
    ] {
        let mut stream = house.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("no end");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(status), "{status}: {answer}");
    }
}

#[tokio::test]
async fn watches_take_half_of_the_places_and_questions_have_the_rest() {
    let mut house = House::open().await;
    house.publish(&["blog"]);
    let mut open: Vec<Lines> = Vec::new();
    for _ in 0..WATCHES {
        open.push(house.watch("apps?watch=true").await);
    }
    let refused = house.ask(Method::GET, &format!("{API}/apps?watch=true")).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    assert_eq!(serde_json::from_slice::<Value>(refused.body()).unwrap()["reason"], "TooManyRequests");
    assert_eq!(house.names("apps").await, ["blog"], "a list is answered");
    for lines in &mut open {
        assert_eq!(lines.take::<2>().await, ["ADDED blog", "BOOKMARK 1"]);
    }
    drop(open.pop());
    // The daemon notices when it gets round to it.
    let again = async {
        while house.ask(Method::HEAD, &format!("{API}/apps?watch=true")).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, again).await.expect("the place is given back");
}

#[tokio::test]
async fn a_shutdown_ends_watches_well_and_removes_the_socket() {
    let mut house = House::open().await;
    house.publish(&["blog"]);
    let mut lines = house.watch("apps?watch=true").await;
    assert_eq!(lines.take::<2>().await, ["ADDED blog", "BOOKMARK 1"]);
    house.stop.send(()).unwrap();
    assert_eq!(lines.next().await, None);
    tokio::time::timeout(SOON, house.served).await.unwrap().unwrap();
    assert!(!Path::new(&house.dir.path().join("admin.sock")).exists());
    assert!(tokio::net::TcpStream::connect(house.port).await.is_err(), "{METRICS} are not answered any more");
}

#[tokio::test]
async fn a_question_before_the_first_snapshot_waits_for_it() {
    let mut house = House::open().await;
    let early = house.connect().await;
    let asked = tokio::spawn(async move { super::whole(super::send(early, Method::GET, &format!("{API}/apps"), None).await).await });
    // Health is answered at once, meanwhile.
    assert_eq!(house.ask(Method::GET, "/healthz").await.status(), 200);
    assert!(!asked.is_finished(), "there may be Apps");
    house.publish(&["blog"]);
    let answer: Value = serde_json::from_slice(tokio::time::timeout(SOON, asked).await.unwrap().unwrap().body()).unwrap();
    assert_eq!(answer["items"][0]["metadata"]["name"], "blog");
}

#[tokio::test]
async fn a_question_that_no_snapshot_will_answer_is_told_to_come_again() {
    let house = House::open().await;
    let early = house.connect().await;
    let asked = tokio::spawn(async move { super::whole(super::send(early, Method::GET, &format!("{API}/apps/blog"), None).await).await });
    assert_eq!(house.ask(Method::GET, "/healthz").await.status(), 200);
    house.stop.send(()).unwrap();
    let answer = tokio::time::timeout(SOON, asked).await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let status: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((&status["reason"], &status["message"]), (&"ServiceUnavailable".into(), &"no snapshot is being served yet".into()));
}
