//! Filters that hold requests up, against the real daemon: who may ask, how often, and how many at once.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::curl::{Curl, Response};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::gateway::{free_port, gateway};
use crate::support::recorder::Recorder;
use crate::support::until;

/// A backend that answers one request after the other, each when the test says so, and counts those it has.
struct Slow {
    backend: Recorder,
    go: Sender<()>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Slow {
    fn new() -> Self {
        let (go, gate): (_, Receiver<()>) = channel();
        let (now, most, gate) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Mutex::new(gate));
        let (counted, highest) = (now.clone(), most.clone());
        let backend = Recorder::answering(move |request, stream| {
            if request.line().contains("/tunnel") {
                counted.fetch_add(1, Ordering::SeqCst);
                let joined = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
                let _ = joined.and_then(|()| stream.read(&mut [0; 9]));
                counted.fetch_sub(1, Ordering::SeqCst);
                return false;
            }
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let gone = gate.lock().unwrap().recv_timeout(PATIENCE).is_err();
            let begun = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsl");
            counted.fetch_sub(1, Ordering::SeqCst);
            !gone && begun.is_ok() && stream.write_all(b"ow..").is_ok()
        });
        Self { backend, go, now, most }
    }

    fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// Waits until the backend has so many requests.
    fn wait(&self, count: usize) {
        until("requests at the backend", || (self.now() == count).then_some(()));
    }

    fn finish(&self, count: usize) {
        (0..count).for_each(|_| self.go.send(()).unwrap());
    }
}

fn daemon(manifest: &str, threads: &str) -> Daemon {
    let daemon = Daemon::builder().manifest("app.yaml", manifest).arg("--threads").arg(threads).start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    daemon
}

fn max_connections(settings: &str) -> String {
    format!("filters: [{{type: MaxConnections, maxConnections: {{{settings}}}}}]")
}

/// A rule that answers by itself. Of a daemon with one thread, an answer from there says that what was sent before has been read.
const PROBE: &str = "
  - matches: [{path: {value: /probe}}]
    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /}}}]";

/// Sends a request, and waits until it is read.
fn send(daemon: &Daemon, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(daemon.get("/probe").status, 302);
    stream
}

/// Asks on a connection of its own, in a thread of its own.
fn ask(daemon: &Daemon, path: &str) -> thread::JoinHandle<Response> {
    let request = daemon.request(path).arg("--max-time").arg("60");
    thread::spawn(move || request.send())
}

#[test]
fn never_more_than_the_limit_are_at_the_backend_and_who_finds_the_queue_full_is_told_to_come_again() {
    let slow = Slow::new();
    let daemon = daemon(&slow.backend.manifest(&max_connections("connections: 4, queue: 6, queueTimeout: 60s")), "2");
    let first: Vec<_> = (0..4).map(|_| ask(&daemon, "/first")).collect();
    slow.wait(4);
    let more: Vec<_> = (0..16).map(|_| ask(&daemon, "/more")).collect();
    // Ten of them at once, as the others wait.
    until("ten are refused", || (more.iter().filter(|one| one.is_finished()).count() == 10).then_some(()));
    assert_eq!(slow.now(), 4);
    slow.finish(10);
    let (answers, refused): (Vec<_>, Vec<_>) =
        first.into_iter().chain(more).map(|one| one.join().unwrap()).partition(|answer| answer.status == 200);
    assert_eq!((answers.len(), refused.len(), slow.most.load(Ordering::SeqCst)), (10, 10, 4));
    for answer in refused {
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    }
    slow.finish(1);
    assert_eq!(daemon.get("/again").status, 200);
}

#[test]
fn who_waits_is_served_in_the_order_of_coming() {
    let slow = Slow::new();
    let limit = max_connections("connections: 1, queue: 20") + PROBE;
    let daemon = daemon(&slow.backend.manifest(&limit), "1");
    let mut asked = vec![send(&daemon, "/0")];
    slow.wait(1);
    asked.extend((1..9).map(|number| send(&daemon, &format!("/{number}"))));
    slow.finish(9);
    for mut stream in asked {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let order: Vec<_> = (0..9).map(|_| slow.backend.next().line().to_owned()).collect();
    let expected: Vec<_> = (0..9).map(|number| format!("GET /{number} HTTP/1.1")).collect();
    assert_eq!(order, expected);
}

#[test]
fn who_waits_too_long_is_told_so() {
    let slow = Slow::new();
    let daemon = daemon(&slow.backend.manifest(&max_connections("connections: 1, queue: 9, queueTimeout: 300ms")), "2");
    let first = ask(&daemon, "/first");
    slow.wait(1);
    let began = Instant::now();
    let late = daemon.get("/late");
    assert_eq!((late.status, late.header("retry-after")), (503, "1"));
    assert!(began.elapsed() >= Duration::from_millis(300));
    slow.finish(2);
    assert_eq!(first.join().unwrap().status, 200);
    assert_eq!(daemon.get("/next").status, 200);
}

#[test]
fn who_leaves_gives_back_what_he_waited_for_or_had() {
    let slow = Slow::new();
    let limit = max_connections("connections: 1, queue: 1, queueTimeout: 60s") + PROBE;
    let daemon = daemon(&slow.backend.manifest(&limit), "1");
    let has = send(&daemon, "/has");
    slow.wait(1);
    let waits = send(&daemon, "/waits");
    assert_eq!(daemon.get("/full").status, 503);
    drop(waits);
    // Its place in the queue is free once it is known to be gone: then this one waits there, and gets the slot of who leaves, too.
    let mut next = until("a place in the queue", || {
        let next = send(&daemon, "/next");
        next.set_nonblocking(true).unwrap();
        let waits = next.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        next.set_nonblocking(false).unwrap();
        waits.then_some(next)
    });
    drop(has);
    // The backend is told nothing of who has left, and is still at it.
    slow.finish(2);
    let mut answer = String::new();
    next.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_tunnel_has_its_slot_until_it_is_over() {
    let slow = Slow::new();
    let daemon = daemon(&slow.backend.manifest(&max_connections("connections: 1")), "1");
    let mut tunnel = TcpStream::connect(daemon.address()).unwrap();
    tunnel.write_all(b"GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").unwrap();
    let mut start = [0; 12];
    tunnel.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 101");
    assert_eq!(daemon.get("/").status, 503);
    drop(tunnel);
    slow.finish(1);
    until("the slot is free", || (daemon.get("/").status == 200).then_some(()));
}

#[test]
fn the_rules_of_an_app_share_the_limit_and_a_change_counts_who_is_there() {
    let slow = Slow::new();
    let two = |connections: usize| {
        let filter = max_connections(&format!("connections: {connections}"));
        slow.backend
            .manifest(&format!("{filter}\n  - matches: [{{path: {{value: /other}}}}]\n    {filter}\n    backendRefs: [{{name: web}}]"))
    };
    let daemon = daemon(&two(1), "2");
    let first = ask(&daemon, "/first");
    slow.wait(1);
    assert_eq!((daemon.get("/").status, daemon.get("/other").status), (503, 503));
    daemon.manifest("app.yaml", &two(2));
    until("the new limit", || (daemon.apps()["app"]["status"]["servedGeneration"] == 2).then_some(()));
    let second = ask(&daemon, "/other");
    slow.wait(2);
    assert_eq!(daemon.get("/").status, 503, "the one of before counts");
    slow.finish(2);
    assert_eq!((first.join().unwrap().status, second.join().unwrap().status), (200, 200));
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_again_and_others_are_answered() {
    let backend = Recorder::new();
    let rate = |requests: u32| {
        backend.manifest(&format!("filters: [{{type: RateLimit, rateLimit: {{requests: {requests}, interval: 10m, burst: 3}}}}]"))
    };
    let daemon = daemon(&rate(1), "2");
    let from = |client: &str| daemon.request("/").arg("--interface").arg(client).send();
    let statuses: Vec<_> = (0..5).map(|_| from("127.0.0.1").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429], "over all threads");
    let wait: u64 = from("127.0.0.1").header("retry-after").parse().unwrap();
    assert!((590..=605).contains(&wait), "{wait}");
    assert_eq!(from("127.0.0.2").status, 200, "another client");
    // Another generation with the same settings knows who has asked.
    daemon.manifest("app.yaml", &rate(1).replace("  rules:", "  hostnames: [\"127.0.0.1\"]\n  rules:"));
    until("the next generation", || (daemon.apps()["app"]["status"]["servedGeneration"] == 2).then_some(()));
    assert_eq!((from("127.0.0.1").status, from("127.0.0.2").status), (429, 200));
    daemon.manifest("app.yaml", &rate(2));
    until("other settings", || (from("127.0.0.1").status == 200).then_some(()));
}

#[test]
fn clients_behind_a_trusted_proxy_have_limits_of_their_own() {
    let backend = Recorder::new();
    let rule = "filters: [{type: RateLimit, rateLimit: {requests: 1, interval: 10m}}, {type: IPAccess, ipAccess: {deny: [192.0.2.66/32]}}]";
    let daemon = Daemon::builder()
        .manifest("edge.yaml", &gateway(free_port(), "", ", trustedProxies: [127.0.0.0/8]"))
        .manifest("app.yaml", &backend.manifest(rule))
        .start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    let ask = |client: &str| daemon.request("/").header("X-Forwarded-For", client).send().status;
    for (client, status) in [
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 429),
        ("2001:db8:0:1::1", 200),
        ("192.0.2.66", 403),
    ] {
        assert_eq!(ask(client), status, "{client}");
    }
}

#[test]
fn clients_are_let_in_by_their_address_and_denied_before_that() {
    let backend = Recorder::new();
    let rule = "filters: [{type: IPAccess, ipAccess: {allow: [127.0.0.0/30], deny: [127.0.0.2/32]}}]";
    let daemon = daemon(&backend.manifest(rule), "1");
    for (client, status) in [("127.0.0.1", 200), ("127.0.0.3", 200), ("127.0.0.2", 403), ("127.0.0.4", 403)] {
        let answer = Curl::new(&daemon.url("/"), None).arg("--interface").arg(client).send();
        assert_eq!(answer.status, status, "{client}");
        assert!(status == 200 || answer.text().contains("app: app\n"), "{}", answer.text());
    }
}
