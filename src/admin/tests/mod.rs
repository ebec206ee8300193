//! The admin socket as a client sees it: a real socket and real HTTP on one side, a publisher on the other.

mod contract;
mod failures;
mod lists;
mod pictures;
mod port;
mod watches;

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{API, Listener, MetricsText, serve};
use crate::snapshot::{Publisher, Snapshot, channel};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(20);

/// What the metrics of these tests are.
const METRICS: &str = "# TYPE requests counter\nrequests_total 1\n# EOF\n";

/// A daemon's outside, and the publisher inside it.
struct House {
    dir: tempfile::TempDir,
    port: std::net::SocketAddr,
    publisher: Publisher,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// A watch that is read a line at a time.
struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl House {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = Listener::bind(&dir.path().join("admin.sock")).unwrap();
        let scraped = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = scraped.local_addr().unwrap();
        let (publisher, reader) = channel();
        let (stop, stopped) = oneshot::channel();
        let metrics = MetricsText::new(|| METRICS.to_owned());
        let served = tokio::spawn(serve(listener, Some(scraped), reader, metrics, async { stopped.await.unwrap_or_default() }));
        Self { dir, port, publisher, stop, served }
    }

    /// Publishes Apps of these names.
    fn publish(&mut self, names: &[&str]) -> u64 {
        self.publisher.publish(pictures::of_apps(names.iter().map(|name| pictures::app(name))))
    }

    fn show(&mut self, snapshot: Snapshot) -> u64 {
        self.publisher.publish(snapshot)
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("admin.sock")).await.unwrap()
    }

    async fn ask(&self, method: Method, path: &str) -> Response<Bytes> {
        whole(send(self.connect().await, method, path, None).await).await
    }

    async fn scrape(&self, path: &str, accept: Option<&str>) -> Response<Bytes> {
        whole(send(TcpStream::connect(self.port).await.unwrap(), Method::GET, path, accept).await).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.ask(Method::GET, path).await;
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
    }

    /// The names of the objects that a list holds.
    async fn names(&self, question: &str) -> Vec<String> {
        let (status, list) = self.get(&format!("{API}/{question}")).await;
        assert_eq!(status, 200, "{question}: {list}");
        list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn watch(&self, question: &str) -> Lines {
        let response = send(self.connect().await, Method::GET, &format!("{API}/{question}"), None).await;
        assert_eq!(response.status(), 200, "{question}");
        Lines { body: response.into_body(), buffer: BytesMut::new() }
    }
}

impl Lines {
    /// The next line; none: the stream has ended well.
    async fn line(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = timeout(SOON, self.body.frame()).await.expect("nothing comes")?;
            self.buffer.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
    }

    /// The next line, in short: `ADDED blog`, `BOOKMARK 7`.
    async fn next(&mut self) -> Option<String> {
        let line = self.line().await?;
        let metadata = &line["object"]["metadata"];
        let of = if line["type"] == "BOOKMARK" { &metadata["resourceVersion"] } else { &metadata["name"] };
        Some(format!("{} {}", line["type"].as_str().unwrap(), of.as_str().unwrap()))
    }

    /// So many lines, in short.
    async fn take<const N: usize>(&mut self) -> [String; N] {
        let mut lines = Vec::new();
        for _ in 0..N {
            lines.push(self.next().await.expect("the stream goes on"));
        }
        lines.try_into().unwrap()
    }
}

async fn send<S>(stream: S, method: Method, path: &str, accept: Option<&str>) -> Response<Incoming>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "lxcproxy");
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    timeout(SOON, sender.send_request(request)).await.expect("no answer").unwrap()
}

async fn whole(response: Response<Incoming>) -> Response<Bytes> {
    let (head, body) = response.into_parts();
    Response::from_parts(head, timeout(SOON, body.collect()).await.expect("no end").unwrap().to_bytes())
}
