//! How many allocations a request costs on the thread that serves it: the daemon runs in this process, under an allocator that counts.
//!
//! In: requests over one kept connection, a backend on a unix socket. Out: bounds that only ever fall. Never: a look at the clock.

#![allow(clippy::disallowed_methods, reason = "tests make the files and peers that they look at")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on fails")]
#![allow(unreachable_pub, reason = "nobody uses a test from outside")]
#![allow(clippy::print_stderr, reason = "what a test prints is shown when it fails")]

mod counting;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use clap::Parser;
use lxcproxy::config::Settings;
use lxcproxy::daemon::{self, Error, Hangup};
use rustix::process::{Signal, getpid, kill_process};
use support::keepalive::Agent;
use support::{PATIENCE, needs, responder, scratch, unix};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Requests that are counted, and those that come before: buffers have their size then, and maps their names.
const ROUNDS: u64 = 1000;
const WARMING: u64 = 100;

/// Allocations of one request, by the path that is asked for: measured, and rounded to whole ones. Who needs fewer puts fewer here.
const BOUNDS: [(&str, u64); 5] = [("/plain", 8), ("/filtered/a?b=c", 9), ("/files/small", 11), ("/fastcgi", 16), ("/kept", 13)];

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

/// A daemon in this process, in a directory of its own. It ends when this is dropped, by the signal that ends any daemon.
struct Site {
    _dir: TempDir,
    address: SocketAddr,
    daemon: Option<JoinHandle<Result<(), Error>>>,
}

impl Site {
    fn new() -> Self {
        let dir = scratch();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("www/files")).unwrap();
        fs::write(root.join("www/files/small"), [b'x'; 1024]).unwrap();
        unix::answer_in(&root);
        responder::answer_in(&root, b"Content-Type: text/plain\r\nX-Powered-By: CGI\r\nContent-Length: 2\r\n\r\nok");
        let place = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir(place("manifests")).unwrap();
        fs::write(dir.path().join("manifests/app.yaml"), manifest(&root)).unwrap();
        let flags = ["--manifests", &place("manifests"), "--state-dir", &place("state"), "--admin", &place("admin.sock")];
        let more = ["--listen", "127.0.0.1:0", "--threads", "1"];
        let settings = Line::parse_from(["run"].into_iter().chain(flags).chain(more)).settings;
        let (tell, told) = channel();
        let daemon = std::thread::spawn(move || daemon::run(&settings, Hangup::Relist, |ready| tell.send(ready.listen[0]).unwrap()));
        let address = told.recv_timeout(PATIENCE).expect("the daemon is ready");
        Self { _dir: dir, address, daemon: Some(daemon) }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        kill_process(getpid(), Signal::TERM).unwrap();
        let end = self.daemon.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            end.unwrap().unwrap().unwrap();
        }
    }
}

/// An App with a plain rule, one with filters, one with files; two with FastCGI, over connections of their own and over kept ones.
fn manifest(root: &Path) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  hostnames: [app.test]
  container: {{runtime: Directory, rootfs: {}}}
  backends:
  - {{name: web, http: {{unix: {}}}}}
  - {{name: cgi, fastcgi: {{unix: {socket}}}}}
  - {{name: kept, fastcgi: {{unix: {socket}, keepConnections: 1}}}}
  rules:
  - matches: [{{path: {{value: /plain}}}}]
    backendRefs: [{{name: web}}]
  - matches: [{{path: {{value: /filtered}}}}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {{set: [{{name: X-Env, value: production}}], remove: [X-Debug]}}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {{set: [{{name: X-Frame-Options, value: DENY}}], remove: [Server]}}
    backendRefs: [{{name: web}}]
  - matches: [{{path: {{value: /files}}}}]
    files: {{root: /www}}
  - matches: [{{path: {{value: /fastcgi}}}}]
    backendRefs: [{{name: cgi}}]
  - matches: [{{path: {{value: /kept}}}}]
    backendRefs: [{{name: kept}}]
",
        root.display(),
        unix::SOCKET,
        socket = responder::SOCKET
    )
}

/// Allocations of one request for this path.
fn allocations(agent: &mut Agent, path: &str) -> u64 {
    let mut ask = |rounds: u64| {
        for _ in 0..rounds {
            let (status, head) = agent.get(path, "app.test");
            assert_eq!(status, 200, "{head}");
        }
    };
    ask(WARMING);
    let before = counting::of_thread("serve-0");
    ask(ROUNDS);
    // A timer or a look at the snapshot in between is less than a half of each.
    (counting::of_thread("serve-0") - before + ROUNDS / 2) / ROUNDS
}

#[test]
fn a_request_costs_no_more_allocations_than_these() {
    needs!(root, disk);
    let site = Site::new();
    support::until("the App is served", || {
        let (status, _) = Agent::connect(site.address).get("/plain", "app.test");
        (status == 200).then_some(())
    });
    let mut agent = Agent::connect(site.address);
    let counted = BOUNDS.map(|(path, _)| (path, allocations(&mut agent, path)));
    drop(agent);
    let within = counted.iter().zip(BOUNDS).all(|((_, counted), (_, bound))| *counted <= bound);
    assert!(within, "{counted:?} allocations, {BOUNDS:?} at most");
}
