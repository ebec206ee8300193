//! Tunnels live on while other Apps change.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use futures_util::{SinkExt, StreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use super::metric;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;

const SOCKETS: usize = 1_000;
const SWAPS: f64 = 1_000.0;
/// Apps that change: several at a time take less time.
const APPS: usize = 8;

type Socket = WebSocketStream<TcpStream>;

/// Sends what comes back to where it came from.
async fn echo(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let Ok(socket) = accept_async(stream).await else { return };
            let (sink, source) = socket.split();
            let _ = source.forward(sink).await;
        });
    }
}

async fn open(daemon: &Daemon) -> Socket {
    let stream = TcpStream::connect(daemon.address()).await.unwrap();
    let (socket, answer) = client_async(format!("ws://{}/chat", daemon.address()), stream).await.unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

/// A word goes through every socket and back.
async fn all_echo(sockets: &mut [Socket], word: &str) {
    let echoes = sockets.iter_mut().map(async |socket| {
        socket.send(Message::text(word)).await.map_err(|error| error.to_string())?;
        match tokio::time::timeout(PATIENCE, socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) if text.as_str() == word => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    try_join_all(echoes).await.unwrap_or_else(|problem| panic!("after {word}: {problem}"));
}

fn other(number: usize, version: usize) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: other{number}}}
spec:
  hostnames: [other{number}.test]
  rules:
  - filters: [{{type: RequestRedirect, requestRedirect: {{hostname: v{version}.test}}}}]
"
    )
}

/// Resident memory in bytes.
fn resident(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn a_thousand_websockets_survive_a_thousand_swaps_of_another_app() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: chat}}
spec:
  hostnames: [127.0.0.1]
  backends: [{{name: web, http: {{tcp: \"{}\"}}}}]
  rules: [{{backendRefs: [{{name: web}}]}}]
",
            listener.local_addr().unwrap()
        );
        tokio::spawn(echo(listener));
        let daemon = Daemon::builder().manifest("chat.yaml", &manifest).start();
        let mut sockets = Vec::new();
        while sockets.len() < SOCKETS {
            sockets.extend(join_all((0..50).map(|_| open(&daemon))).await);
        }
        all_echo(&mut sockets, "before").await;
        let (before_swaps, before) = (metric(&daemon, "lxcproxy_snapshot_swaps_total"), resident(&daemon));

        let (mut agent, mut version, began) = (Agent::connect(daemon.address()), 0, Instant::now());
        let swapped = || metric(&daemon, "lxcproxy_snapshot_swaps_total") - before_swaps;
        while version % 10 != 0 || swapped() < SWAPS {
            version += 1;
            for number in 0..APPS {
                daemon.manifest(&format!("other{number}.yaml"), &other(number, version));
            }
            for number in 0..APPS {
                let (host, served) = (format!("other{number}.test"), format!("location: http://v{version}.test"));
                while !agent.get("/", &host).1.contains(&served) {
                    assert!(began.elapsed() < 4 * PATIENCE, "version {version} is not served");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            if version % 25 == 0 {
                all_echo(&mut sockets, &format!("version {version}")).await;
            }
        }
        eprintln!("{version} versions of {APPS} Apps, {} swaps, {:?}", swapped(), began.elapsed());
        assert!((metric(&daemon, "lxcproxy_tunnels_active") - 1_000.0).abs() < f64::EPSILON);
        // A tunnel holds its own App, and no snapshot.
        daemon.eventually(PATIENCE, || match metric(&daemon, "lxcproxy_snapshots_retired") {
            held if held <= 2.0 => Ok(()),
            held => Err(format!("{held} old snapshots are held")),
        });
        let grown = resident(&daemon).saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes more");
        all_echo(&mut sockets, "after").await;
    });
}
