//! Backends that break every rule: a real application can't be made to.

mod answers;
mod bodies;
mod kept;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::super::{Error, RequestBody, ResponseBody};
use super::record::tests::record;
use super::{Call, Pool, Request};
use crate::container::rootfs::Rootfs;
use crate::dial::Address;
use crate::route::{Backend, Balance, CompiledApp, Endpoint, FastcgiSettings, Protocol, Timeouts};

const PATIENCE: Duration = Duration::from_secs(10);
const TIMEOUTS: Timeouts = Timeouts { request: None, connect: Some(PATIENCE), idle: Some(PATIENCE) };
const END: [u8; 8] = [0; 8];

/// An App whose one backend is `listener`.
struct Peer {
    listener: UnixListener,
    app: Arc<CompiledApp>,
    pool: Pool,
    directory: TempDir,
}

/// A request as a backend reads it.
struct Seen {
    keep: bool,
    params: BTreeMap<String, String>,
    stdin: Vec<u8>,
}

impl Peer {
    fn new(keep: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("app.sock")).unwrap();
        let root = Arc::new(Rootfs::open(directory.path()).unwrap());
        let address = Some(Address::Unix { root, path: "/app.sock".parse().unwrap() });
        Self { listener, app: app(address, keep), pool: Pool::default(), directory }
    }

    async fn exchange(&self, method: Method, body: RequestBody, timeouts: Timeouts) -> Result<Response<ResponseBody>, Error> {
        let Protocol::Fastcgi(settings) = &self.app.backends[0].protocol else { unreachable!() };
        let headers = HeaderMap::new();
        let request = Request {
            method: &method,
            uri: "/x",
            version: Version::HTTP_11,
            headers: &headers,
            path: "/x",
            query: None,
            script: None,
            files_root: None,
            scheme: "http",
            host: "localhost",
            client: "127.0.0.1:1".parse().unwrap(),
            server: "127.0.0.1:80".parse().unwrap(),
            user: None,
            request_id: "r1",
        };
        let (app, content) = (&self.app, body.into());
        let call = Call { app, backend: 0, endpoint: 0, settings, request, content, patient: false, timeouts };
        self.pool.exchange(call).await.map_err(|failed| failed.error)
    }

    async fn get(&self) -> Result<Response<ResponseBody>, Error> {
        self.exchange(Method::GET, RequestBody::empty(), TIMEOUTS).await
    }

    async fn accept(&self) -> UnixStream {
        self.listener.accept().await.unwrap().0
    }

    /// Reads one request, then answers with `answer` and closes.
    async fn answer(&self, answer: &[u8]) -> Seen {
        let mut stream = self.accept().await;
        let seen = read_request(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        seen
    }
}

pub(super) fn app(address: Option<Address>, keep: usize) -> Arc<CompiledApp> {
    let settings = FastcgiSettings { root: None, index: None, params: Vec::new(), stderr: Arc::default() };
    let endpoint = Endpoint { name: "/app.sock".into(), address, health: Arc::default() };
    let backend = Backend {
        name: "php".parse().unwrap(),
        endpoints: [endpoint].into(),
        protocol: Protocol::Fastcgi(settings),
        keep,
        internal_files: Box::default(),
        balance: Balance::RoundRobin,
        ejection: None,
        check: None,
        hold: None,
    };
    Arc::new(CompiledApp {
        name: "app".parse().unwrap(),
        generation: 1,
        first_seen: 1,
        parents: Box::default(),
        hostnames: Box::default(),
        rules: Box::default(),
        backends: [backend].into(),
        root: None,
        init: None,
        error_pages: Box::default(),
    })
}

async fn read_record(stream: &mut UnixStream) -> (u8, Vec<u8>) {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.unwrap();
    let mut content = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]])) + usize::from(header[6])];
    stream.read_exact(&mut content).await.unwrap();
    content.truncate(content.len() - usize::from(header[6]));
    (header[1], content)
}

/// Reads a request up to the end of its parameters: (keep, parameters).
async fn read_params(stream: &mut UnixStream) -> (bool, BTreeMap<String, String>) {
    let (kind, begin) = read_record(stream).await;
    assert_eq!((kind, begin[1]), (1, 1));
    let mut head = vec![1, 1, 0, 1, 0, 8, 0, 0];
    head.extend(&begin);
    loop {
        let (kind, content) = read_record(stream).await;
        head.extend(record(kind, 1, &content, 0));
        if content.is_empty() {
            return (begin[2] == 1, super::params::read_back(&head).into_iter().collect());
        }
    }
}

async fn read_stdin(stream: &mut UnixStream) -> Vec<u8> {
    let mut stdin = Vec::new();
    loop {
        let (kind, content) = read_record(stream).await;
        assert_eq!(kind, 5);
        if content.is_empty() {
            return stdin;
        }
        stdin.extend(content);
    }
}

async fn read_request(stream: &mut UnixStream) -> Seen {
    let (keep, params) = read_params(stream).await;
    Seen { keep, params, stdin: read_stdin(stream).await }
}

/// A whole answer in three records.
fn whole(head: &str, body: &[u8]) -> Vec<u8> {
    [record(6, 1, head.as_bytes(), 0), record(6, 1, body, 0), record(3, 1, &END, 0)].concat()
}

/// A request's body as hyper makes it from `raw`, with the client's end of the connection.
async fn body_of(raw: &[u8], limit: Option<u64>) -> (RequestBody, DuplexStream) {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let (sender, receiver) = oneshot::channel();
    let sender = RefCell::new(Some(sender));
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        sender.borrow_mut().take().unwrap().send(request.into_body()).unwrap();
        std::future::pending::<Result<Response<String>, Infallible>>()
    });
    tokio::task::spawn_local(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service));
    client.write_all(raw).await.unwrap();
    (RequestBody::new(receiver.await.unwrap(), limit, PATIENCE).unwrap(), client)
}

async fn text(response: Response<ResponseBody>) -> Result<String, Error> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Runs on a runtime like a serving thread's, and never for ever.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { tokio::time::timeout(PATIENCE * 2, test).await.unwrap() });
}
