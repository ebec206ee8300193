//! The admin socket as a client sees it: a real socket and real HTTP on one side, a publisher on the other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use imbl::OrdMap;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{APPS, Listener, serve};
use crate::api::v1::{API_VERSION, AppResource, AppStatus, ResourceMetadata};
use crate::snapshot::{Publisher, Snapshot, channel};

/// A daemon's outside, and the publisher inside it.
struct House {
    dir: tempfile::TempDir,
    publisher: Publisher,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl House {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = Listener::bind(&dir.path().join("admin.sock")).unwrap();
        let (publisher, reader) = channel();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, reader, async { stopped.await.unwrap_or_default() }));
        Self { dir, publisher, stop, served }
    }

    fn publish(&mut self, names: &[&str]) {
        let apps: OrdMap<_, _> = names.iter().map(|name| ((*name).to_owned(), Arc::new(app(name)))).collect();
        self.publisher.publish(Snapshot { apps, ..Snapshot::default() });
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("admin.sock")).await.unwrap()
    }

    async fn ask(&self, method: Method, path: &str) -> Response<Bytes> {
        ask(self.connect().await, method, path.to_owned()).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.ask(Method::GET, path).await;
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
    }
}

async fn ask(stream: UnixStream, method: Method, path: String) -> Response<Bytes> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "lxcproxy").body(Empty::<Bytes>::new()).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn app(name: &str) -> AppResource {
    AppResource {
        api_version: API_VERSION.to_owned(),
        kind: "App".to_owned(),
        metadata: ResourceMetadata { name: name.to_owned(), generation: 1, ..ResourceMetadata::default() },
        spec: None,
        status: AppStatus { file: format!("{name}.yaml"), ..AppStatus::default() },
    }
}

#[tokio::test]
async fn it_is_healthy_at_once_and_ready_with_the_first_snapshot() {
    let mut house = House::open();
    assert_eq!(house.ask(Method::GET, "/healthz").await.body(), "ok\n");
    assert_eq!(house.ask(Method::GET, "/readyz").await.status(), 503);
    house.publish(&[]);
    assert_eq!(house.ask(Method::GET, "/readyz").await.status(), 200);
}

#[tokio::test]
async fn apps_are_listed_with_the_revision_and_found_by_name() {
    let mut house = House::open();
    house.publish(&["gitlab", "sub/broken one.yaml", "ttrss"]);
    let (status, list) = house.get(APPS).await;
    assert_eq!((status, &list["kind"], &list["metadata"]["resourceVersion"]), (200, &"AppList".into(), &"1".into()));
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert_eq!(house.get(&format!("{APPS}/ttrss")).await.1["metadata"]["name"], "ttrss");
    assert_eq!(house.get(&format!("{APPS}/sub%2Fbroken%20one.yaml")).await.1["metadata"]["name"], "sub/broken one.yaml");
    let (_, selected) = house.get(&format!("{APPS}?fieldSelector=metadata.name%3Dgitlab")).await;
    assert_eq!((selected["items"].as_array().unwrap().len(), &selected["items"][0]["metadata"]["name"]), (1, &"gitlab".into()));
}

#[tokio::test]
async fn a_manifest_that_wants_the_name_of_an_app_comes_after_it_and_is_never_taken_for_it() {
    let mut house = House::open();
    let mut apps: OrdMap<_, _> = ["blog", "blog-2"].iter().map(|name| ((*name).to_owned(), Arc::new(app(name)))).collect();
    for (name, file) in [("blog", "second.yaml"), ("broken one.yaml", "broken one.yaml")] {
        let mut stray = app(name);
        stray.status.file = file.to_owned();
        apps.insert(format!("{name} {file}"), Arc::new(stray));
    }
    house.publisher.publish(Snapshot { apps, ..Snapshot::default() });
    let files = |list: &Value| list["items"].as_array().unwrap().iter().map(|app| app["status"]["file"].clone()).collect::<Vec<_>>();
    assert_eq!(files(&house.get(APPS).await.1), ["blog.yaml", "second.yaml", "blog-2.yaml", "broken one.yaml"]);
    assert_eq!(house.get(&format!("{APPS}/blog")).await.1["status"]["file"], "blog.yaml");
    assert_eq!(files(&house.get(&format!("{APPS}?fieldSelector=metadata.name%3Dblog")).await.1), ["blog.yaml", "second.yaml"]);
    assert_eq!(house.get(&format!("{APPS}/broken%20one.yaml")).await.1["metadata"]["name"], "broken one.yaml");
    assert_eq!(house.get(&format!("{APPS}/broken")).await.0, 404);
}

#[tokio::test]
async fn failures_are_status_objects() {
    let house = House::open();
    for (path, code, reason) in
        [("/", 404, "NotFound"), (&format!("{APPS}/nobody"), 404, "NotFound"), (&format!("{APPS}?watch=true"), 400, "BadRequest")]
    {
        let (status, body) = house.get(path).await;
        assert_eq!(
            (status, &body["kind"], &body["reason"], &body["code"]),
            (code, &"Status".into(), &reason.into(), &code.into()),
            "{path}"
        );
    }
    let refused = house.ask(Method::DELETE, &format!("{APPS}/ttrss")).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["allow"]), (405, &"GET, HEAD".parse().unwrap()));
    assert_eq!(serde_json::from_slice::<Value>(refused.body()).unwrap()["reason"], "MethodNotAllowed");
}

#[tokio::test]
async fn a_long_poll_answers_when_there_is_a_newer_snapshot() {
    let mut house = House::open();
    house.publish(&[]);
    let poll = tokio::spawn(ask(house.connect().await, Method::GET, format!("{APPS}?newerThan=1&timeoutSeconds=60")));
    assert_eq!(house.ask(Method::GET, "/healthz").await.status(), 200);
    assert!(!poll.is_finished());
    house.publish(&["ttrss"]);
    let answer = timeout(Duration::from_secs(10), poll).await.unwrap().unwrap();
    let list: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((&list["metadata"]["resourceVersion"], &list["items"][0]["metadata"]["name"]), (&"2".into(), &"ttrss".into()));
}

#[tokio::test]
async fn a_long_poll_answers_when_its_time_is_over_or_its_revision_is_of_another_life() {
    let house = House::open();
    for query in ["newerThan=0&timeoutSeconds=0", "newerThan=500&timeoutSeconds=60"] {
        let answer = timeout(Duration::from_secs(10), house.get(&format!("{APPS}?{query}"))).await.unwrap();
        assert_eq!(answer.1["metadata"]["resourceVersion"], "0", "{query}");
    }
}

#[tokio::test]
async fn a_shutdown_answers_long_polls_and_removes_the_socket() {
    let house = House::open();
    let socket = house.dir.path().join("admin.sock");
    let poll = tokio::spawn(ask(house.connect().await, Method::GET, format!("{APPS}?newerThan=0&timeoutSeconds=60")));
    // Connections are accepted in their order: the poll is in once this is answered.
    assert_eq!(house.ask(Method::GET, "/healthz").await.status(), 200);
    house.stop.send(()).unwrap();
    timeout(Duration::from_secs(10), house.served).await.unwrap().unwrap();
    assert_eq!(timeout(Duration::from_secs(10), poll).await.unwrap().unwrap().status(), 200);
    assert!(!socket.exists());
}
