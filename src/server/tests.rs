//! Real threads and sockets; clients that misbehave.

mod admission;
mod broken;
mod doors;
mod hostile;
mod limits;
mod rest;
mod shares;

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Connection, Refused, Running, Service, Settings, Trigger, serve, shutdown};
use crate::listen::{self, Bound, Open, Options, Sharing, Sockets};

const SECOND: Duration = Duration::from_secs(1);

/// Answers by the path. `/slow` waits for the gate.
struct Sample {
    gate: watch::Receiver<bool>,
}

impl Service for Sample {
    type Body = UnsyncBoxBody<Bytes, io::Error>;

    async fn call(&self, mut request: Request<Incoming>, connection: &Rc<Connection>) -> Response<Self::Body> {
        let mut status = StatusCode::OK;
        if let Some(length) = broken::length(request.uri().path()) {
            return Response::new(broken::body(length));
        }
        let body = match request.uri().path() {
            "/slow" => {
                self.gate.clone().wait_for(|open| *open).await.unwrap();
                "slow".to_owned()
            }
            "/thread" => std::thread::current().name().unwrap().to_owned(),
            "/addresses" => format!("{} {} {}", connection.client, connection.server, connection.scheme),
            "/large" => "x".repeat(32 << 20),
            "/refused" => {
                status = StatusCode::PAYLOAD_TOO_LARGE;
                "too large".to_owned()
            }
            "/echo" => {
                let hold = connection.hold();
                let upgrade = hyper::upgrade::on(&mut request);
                tokio::task::spawn_local(async move {
                    let (mut read, mut write) = split(TokioIo::new(upgrade.await.unwrap()));
                    copy(&mut read, &mut write).await.unwrap();
                    write.shutdown().await.unwrap();
                    drop(hold);
                });
                status = StatusCode::SWITCHING_PROTOCOLS;
                String::new()
            }
            _ => "hi".to_owned(),
        };
        let mut response = Response::new(whole(body));
        *response.status_mut() = status;
        response
    }

    fn refuse(&self, refused: &Refused, _: &Rc<Connection>) -> Response<Self::Body> {
        let mut response = Response::new(whole(refused.refusal.to_string()));
        *response.status_mut() = refused.refusal.status();
        response
    }
}

fn whole(body: String) -> UnsyncBoxBody<Bytes, io::Error> {
    Full::from(body).map_err(|never| match never {}).boxed_unsync()
}

struct Server {
    address: SocketAddr,
    sockets: watch::Sender<Sockets>,
    gate: watch::Sender<bool>,
    trigger: Trigger,
    running: Running,
}

fn bind(address: &str, threads: usize) -> io::Result<Arc<Bound>> {
    let bound = listen::bind(address.parse().unwrap(), threads, Sharing::Alone)?;
    bound.open()?;
    Ok(Arc::new(bound))
}

fn start(threads: usize, settings: Settings) -> Server {
    start_on(&bind("127.0.0.1:0", threads).unwrap(), threads, settings)
}

fn start_on(bound: &Arc<Bound>, threads: usize, settings: Settings) -> Server {
    start_with(bound, Options::default(), threads, settings)
}

fn start_with(bound: &Arc<Bound>, options: Options, threads: usize, settings: Settings) -> Server {
    let address = bound.local_addr();
    let (gate, closed) = watch::channel(false);
    let (trigger, order) = shutdown();
    let (sockets, listened) = watch::channel(map_with(&[bound], options));
    let running = serve(&listened, threads, settings, move || Sample { gate: closed.clone() }, &order).unwrap();
    Server { address, sockets, gate, trigger, running }
}

fn map(bound: &[&Arc<Bound>]) -> Sockets {
    map_with(bound, Options::default())
}

fn map_with(bound: &[&Arc<Bound>], options: Options) -> Sockets {
    let options = Arc::new(options);
    let open = |bound: &&Arc<Bound>| Open { bound: Arc::clone(bound), options: options.clone() };
    Arc::new(bound.iter().map(|bound| (bound.local_addr(), open(bound))).collect())
}

impl Server {
    async fn ask(&self, path: &str) -> TcpStream {
        ask(self.address, path).await
    }

    async fn end(self) {
        self.trigger.stop();
        self.running.join().await.unwrap();
    }
}

async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    let upgrade = if path == "/echo" { "connection: upgrade\r\nupgrade: echo\r\n" } else { "" };
    client.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n{upgrade}\r\n").as_bytes()).await.unwrap();
    client
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(20 * SECOND, test).await.expect("in time") });
}

/// Reads until `end`, or the end of the stream.
async fn read_until(client: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        match client.read_buf(&mut text).await {
            Ok(0) => break,
            result => result.unwrap(),
        };
    }
    String::from_utf8(text).unwrap()
}

async fn is_closed(client: &mut TcpStream) -> bool {
    !matches!(client.read(&mut [0]).await, Ok(1..))
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    run(async {
        let server = start(1, Settings::default());
        let mut client = server.ask("/").await;
        for _ in 0..3 {
            assert!(read_until(&mut client, "hi").await.starts_with("HTTP/1.1 200"));
            client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        }
        server.end().await;
    });
}

#[test]
fn threads_share_one_port_and_nobody_else_does() {
    run(async {
        let server = start(2, Settings::default());
        assert_eq!(bind(&server.address.to_string(), 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let mut seen = HashSet::new();
        while seen.len() < 2 {
            let mut client = server.ask("/thread").await;
            client.shutdown().await.unwrap();
            let answer = read_until(&mut client, "end of stream").await;
            seen.insert(answer.rsplit_once("serve-").unwrap().1.to_owned());
        }
        server.end().await;
    });
}

#[test]
fn a_service_knows_both_addresses() {
    run(async {
        let server = start_on(&bind("[::]:0", 1).unwrap(), 1, Settings::default());
        let mut client = TcpStream::connect(("127.0.0.1", server.address.port())).await.unwrap();
        client.write_all(b"GET /addresses HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = read_until(&mut client, " http").await;
        let expected = format!("{} 127.0.0.1:{} http", client.local_addr().unwrap(), server.address.port());
        assert!(answer.ends_with(&expected), "{answer}");
        server.end().await;
    });
}

#[test]
fn a_full_thread_makes_clients_wait() {
    run(async {
        let server = start(1, Settings { max_connections: 1, ..Settings::default() });
        let mut first = server.ask("/").await;
        read_until(&mut first, "hi").await;
        let mut second = server.ask("/").await;
        assert!(tokio::time::timeout(Duration::from_millis(100), second.readable()).await.is_err());
        drop(first);
        assert!(read_until(&mut second, "hi").await.ends_with("hi"));
        server.end().await;
    });
}

#[test]
fn a_client_that_has_ended_its_side_gets_a_quick_answer_and_does_not_hold_a_slow_one() {
    run(async {
        let server = start(1, Settings::default());
        let mut quick = server.ask("/slow").await;
        quick.shutdown().await.unwrap();
        assert!(tokio::time::timeout(SECOND / 4, quick.readable()).await.is_err());
        server.gate.send_replace(true);
        let answered = Instant::now();
        assert!(read_until(&mut quick, "end of stream").await.ends_with("slow"));
        assert!(answered.elapsed() < SECOND / 2, "and the end follows it");
        server.gate.send_replace(false);
        let mut slow = server.ask("/slow").await;
        slow.shutdown().await.unwrap();
        assert_eq!(read_until(&mut slow, "slow").await, "");
        server.end().await;
    });
}

#[test]
fn an_answer_to_an_unread_upload_arrives() {
    run(async {
        let server = start(1, Settings::default());
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(b"POST /refused HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n\r\n").await.unwrap();
        for _ in 0..80 {
            client.write_all(&vec![b'x'; 100_000]).await.expect("the server listens until the client has finished");
        }
        assert!(read_until(&mut client, "too large").await.starts_with("HTTP/1.1 413"));
        server.end().await;
    });
}

#[test]
fn a_drain_waits_for_what_is_in_flight_and_closes_what_rests() {
    run(async {
        let server = start(1, Settings::default());
        let mut slow = server.ask("/slow").await;
        let mut resting = server.ask("/").await;
        read_until(&mut resting, "hi").await;
        let mut fresh = TcpStream::connect(server.address).await.unwrap();
        let mut tunnel = server.ask("/echo").await;
        assert!(read_until(&mut tunnel, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
        server.trigger.drain();
        assert!(is_closed(&mut resting).await);
        fresh.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = read_until(&mut fresh, "hi").await;
        assert!(answer.contains("connection: close"), "its first request was on the way: {answer}");
        server.gate.send_replace(true);
        assert!(read_until(&mut slow, "slow").await.contains("connection: close"));
        assert!(is_closed(&mut slow).await);
        assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
        tunnel.write_all(b"ping").await.unwrap();
        assert_eq!(read_until(&mut tunnel, "ping").await, "ping");
        tunnel.shutdown().await.unwrap();
        assert!(is_closed(&mut tunnel).await);
        server.running.join().await.unwrap();
    });
}

#[test]
fn a_drain_ends_at_its_deadline_and_a_stop_at_once() {
    run(async {
        let drain = Duration::from_millis(200);
        for stop in [false, true] {
            let server = start(2, Settings { drain: if stop { 60 * SECOND } else { drain }, ..Settings::default() });
            let mut slow = server.ask("/slow").await;
            let mut resting = server.ask("/").await;
            read_until(&mut resting, "hi").await;
            let began = Instant::now();
            server.trigger.drain();
            if stop {
                server.trigger.stop();
            }
            server.running.join().await.unwrap();
            assert!(stop || began.elapsed() >= drain);
            // A thread that is stopped before it has looked leaves its socket here.
            drop(server.sockets);
            assert!(is_closed(&mut slow).await);
        }
    });
}

#[test]
fn connections_that_wait_in_the_kernel_are_served_before_the_end() {
    run(async {
        for threads in [1, 3] {
            let bound = bind("127.0.0.1:0", threads).unwrap();
            let address = bound.local_addr();
            let mut clients = Vec::new();
            for _ in 0..20 {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
                clients.push(client);
            }
            let (trigger, order) = shutdown();
            trigger.drain();
            let (_gate, closed) = watch::channel(false);
            let (_sockets, listened) = watch::channel(map(&[&bound]));
            let running = serve(&listened, threads, Settings::default(), move || Sample { gate: closed.clone() }, &order).unwrap();
            for client in &mut clients {
                assert!(read_until(client, "hi").await.ends_with("hi"));
            }
            running.join().await.unwrap();
        }
    });
}

#[test]
fn a_trigger_that_is_dropped_stops_the_server() {
    run(async {
        let server = start(2, Settings::default());
        drop(server.trigger);
        server.running.join().await.unwrap();
    });
}
