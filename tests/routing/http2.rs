//! Backends that speak HTTP/2 by prior knowledge: nginx, and one that gives back what it is sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};

use super::table::{exchange, hold};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::nginx::Nginx;

/// `address`: as it stands in the manifest. `rule`: more of its one rule.
fn manifest(address: &str, rule: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  container: {{runtime: Directory, rootfs: /}}
  backends: [{{name: web, http: {{{address}, protocol: H2C}}}}]
  rules:
  - backendRefs: [{{name: web}}]
    {rule}
"
    )
}

fn daemon(manifest: &str) -> Daemon {
    let daemon = Daemon::builder().manifest("app.yaml", manifest).arg("--threads").arg("1").start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    daemon
}

/// nginx on a unix socket, which ends its connections after few requests.
fn nginx() -> (Nginx, tempfile::TempDir, String) {
    let dir = crate::support::scratch();
    std::fs::create_dir(dir.path().join("www")).unwrap();
    std::fs::write(dir.path().join("www/large"), vec![b'x'; 5_000_000]).unwrap();
    let socket = dir.path().join("app.sock");
    let server = format!(
        "listen unix:{} http2;\nkeepalive_requests 7;\n\
         location / {{ add_header X-Seen '{{\"backend\": \"nginx\", \"target\": \"$request_uri\", \"fields\": {{\"host\": [\"$http_host\"], \
         \"protocol\": [\"$server_protocol\"], \"x-one\": [\"$http_x_one\"], \"upgrades\": [\"($http_upgrade)\"]}}}}'; return 200 ''; }}\n\
         location /files/ {{ alias {}/; }}",
        socket.display(),
        dir.path().join("www").display()
    );
    let nginx = Nginx::start(&server, None);
    let address = format!("unix: {}", socket.display());
    (nginx, dir, address)
}

#[test]
fn nginx_is_asked_by_http2() {
    needs!(nginx);
    let (_nginx, _dir, address) = nginx();
    let daemon = daemon(&manifest(&address, ""));
    let table = "
        GET /                                               => nginx; /; @host.test; protocol: HTTP/2.0
        GET /a//b%2Fc?d=e; @Some.test:81                    => nginx; /a//b%2Fc?d=e; @Some.test:81
        GET /; X-One: 1; X-Two: 2                           => nginx; x-one: 1
        POST /; Content-Length: 0                           => nginx; protocol: HTTP/2.0
        HEAD /                                              => nginx; protocol: HTTP/2.0
        GET /; Connection: Upgrade; Upgrade: websocket      => nginx; upgrades: (); protocol: HTTP/2.0
        GET /files/none                                     => 404
        ";
    hold(daemon.address(), table);
    assert!(daemon.get("/files/large").body == vec![b'x'; 5_000_000]);
    assert_eq!(daemon.request("/files/large").header("Range", "bytes=0-3").send().text(), "xxxx");
}

#[test]
fn a_connection_that_nginx_ends_loses_no_request() {
    needs!(nginx);
    let (_nginx, _dir, address) = nginx();
    let daemon = daemon(&manifest(&address, ""));
    let address = daemon.address();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                let ask = |_| exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
                (0..30).map(ask).filter(|answer| answer.status != 200).map(|answer| format!("{answer:?}")).collect::<Vec<_>>()
            })
        })
        .collect();
    let lost: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert!(lost.is_empty(), "{lost:?}\n{}", daemon.log());
}

/// A backend that sends the body of each request back as it comes. Returns its address and the number of connections with a request.
fn mirror() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let counter = counter.clone();
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    let mut is_new = true;
                    while let Some(Ok((request, answer))) = connection.accept().await {
                        counter.fetch_add(usize::from(std::mem::take(&mut is_new)), Ordering::SeqCst);
                        tokio::spawn(send_back(request, answer));
                    }
                });
            }
        });
    });
    (address, connections)
}

async fn send_back(request: Request<RecvStream>, mut answer: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    let mut out = answer.send_response(Response::new(()), false)?;
    while let Some(data) = body.data().await {
        let mut data = data?;
        while !data.is_empty() {
            out.reserve_capacity(data.len());
            let room = match std::future::poll_fn(|cx| out.poll_capacity(cx)).await {
                Some(room) => room?,
                None => return Ok(()),
            };
            let part = data.split_to(room.min(data.len()));
            body.flow_control().release_capacity(part.len())?;
            out.send_data(part, false)?;
        }
    }
    out.send_data(Bytes::new(), true)
}

#[test]
fn bodies_stream_both_ways_over_one_connection() {
    let (address, connections) = mirror();
    let daemon = daemon(&manifest(&format!("tcp: \"{address}\""), "limits: {requestBody: Unlimited}"));
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let answer = daemon.request("/").body(body.clone()).header("Expect", "").send();
    assert!(answer.status == 200 && answer.body == body, "{}: {} bytes", answer.status, answer.body.len());
    let answer = daemon.request("/").body(body.clone()).header("Transfer-Encoding", "chunked").send();
    assert!(answer.status == 200 && answer.body == body, "{}: {} bytes", answer.status, answer.body.len());
    assert_eq!(daemon.get("/").status, 200);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_body_that_is_too_large_resets_its_stream_and_no_other() {
    let (address, connections) = mirror();
    let daemon = daemon(&manifest(&format!("tcp: \"{address}\""), "limits: {requestBody: 10k}"));
    assert_eq!(daemon.request("/").body(vec![0; 10_001]).send().status, 413);
    assert_eq!(daemon.request("/").body(vec![0; 10_000]).send().body.len(), 10_000);
    // The answer has begun when the limit is met: it breaks off, or the limit came first.
    let chunked = daemon.request("/").body(vec![0; 1_000_000]).header("Transfer-Encoding", "chunked").try_send();
    assert!(chunked.as_ref().is_err() || chunked.as_ref().is_ok_and(|answer| answer.status == 413), "{chunked:?}");
    assert_eq!(daemon.get("/").status, 200);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
