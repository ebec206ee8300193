//! Clients that are slow, silent or many, at a Gateway with limits: they are let go, and nobody else notices.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::attempts::metric;
use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::gateway::{free_port, gateway};
use crate::support::keepalive::Agent;
use crate::support::recorder::Recorder;
use crate::support::until;

/// As short as a machine allows on which other tests run, too.
const LIMIT: Duration = Duration::from_secs(1);

/// A backend that answers `/large` with more than any buffer holds, behind a daemon with such limits.
fn front(limits: &str) -> (Recorder, Daemon, u16) {
    let backend = Recorder::answering(|request, stream| {
        let length = if request.line().contains("/large") { 64 << 20 } else { 3 };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).is_ok() && stream.write_all(&vec![b'x'; length]).is_ok()
    });
    let port = free_port();
    let daemon = Daemon::builder()
        .manifest("edge.yaml", &gateway(port, "", &format!(", limits: {{{limits}}}")))
        .manifest("app.yaml", &backend.manifest("limits: {requestBody: Unlimited}"))
        .start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    (backend, daemon, port)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until the end of the stream; a reset is one.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => panic!("the connection is still open"),
        _ => all,
    }
}

/// Reads a small answer.
fn read_answer(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nxxx") {
        let mut piece = [0; 512];
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "{answer:?}");
        answer.extend_from_slice(&piece[..length]);
    }
}

/// Sends a byte now and then until the connection is over. Returns how long that took.
fn drip(stream: &mut TcpStream, bytes: impl Iterator<Item = u8>, pause: Duration) -> Duration {
    let began = Instant::now();
    stream.set_read_timeout(Some(pause)).unwrap();
    for byte in bytes {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        match stream.read(&mut [0; 512]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(1..) => {}
            _ => break,
        }
        assert!(began.elapsed() < PATIENCE, "the connection is still open");
    }
    began.elapsed()
}

/// Asks again and again on one connection while something else goes on.
fn while_others_ask<T>(daemon: &Daemon, what: impl FnOnce() -> T) -> T {
    /// Ends the others, whatever becomes of the test.
    struct Over<'o>(&'o AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ends = Over(&over);
        let other = scope.spawn(|| {
            let mut agent = Agent::connect(daemon.address());
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) || asked == 0 {
                assert_eq!(agent.get("/", "a.test").0, 200);
                asked += 1;
            }
        });
        let result = what();
        drop(ends);
        other.join().unwrap();
        result
    })
}

#[test]
fn a_head_that_comes_byte_by_byte_or_not_at_all_meets_its_deadline() {
    let (backend, daemon, _) = front("headerTimeout: 1s");
    while_others_ask(&daemon, || {
        let head = b"GET /slow HTTP/1.1\r\nHost: a.test\r\nX-Slow: ".iter().copied().chain(std::iter::repeat(b'x'));
        let took = drip(&mut connect(daemon.address()), head, LIMIT / 10);
        assert!(took >= LIMIT / 2, "{took:?}");
        let mut silent = connect(daemon.address());
        let began = Instant::now();
        assert_eq!(read_to_end(&mut silent), b"");
        assert!(began.elapsed() >= LIMIT / 2);
        // A later request of a connection has as long from its first byte on.
        let mut later = connect(daemon.address());
        later.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        read_answer(&mut later);
        later.write_all(b"GET /slow HTTP/1.1\r\nHo").unwrap();
        let began = Instant::now();
        assert_eq!(read_to_end(&mut later), b"");
        assert!(began.elapsed() >= LIMIT / 2);
    });
    let asked = std::iter::from_fn(|| (!backend.is_idle()).then_some(())).count();
    assert!(asked > 0, "others were answered meanwhile");
}

#[test]
fn a_body_that_stops_meets_its_deadline_and_one_that_goes_on_does_not() {
    let (backend, daemon, _) = front("bodyTimeout: 1s");
    while_others_ask(&daemon, || {
        let mut stops = connect(daemon.address());
        stops.write_all(b"POST /stops HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc").unwrap();
        let began = Instant::now();
        let answer = String::from_utf8(read_to_end(&mut stops)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(began.elapsed() >= LIMIT / 2);
        let mut goes_on = connect(daemon.address());
        goes_on.set_nodelay(true).unwrap();
        goes_on.write_all(b"POST /goes-on HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 30\r\n\r\n").unwrap();
        for _ in 0..30 {
            thread::sleep(LIMIT / 20);
            goes_on.write_all(b"x").unwrap();
        }
        let answer = String::from_utf8(read_to_end(&mut goes_on)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
    while !backend.next().line().contains("/goes-on") {}
}

#[test]
fn a_client_that_takes_no_bytes_meets_its_deadline() {
    let (_backend, daemon, _) = front("writeTimeout: 1s");
    while_others_ask(&daemon, || {
        let mut lazy = connect(daemon.address());
        let open = |count: f64| {
            until("so many connections", || (metric(&daemon, "lxcproxy_connections_active").total_cmp(&count).is_eq()).then_some(()));
        };
        open(2.0);
        lazy.write_all(b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        // What it has not read when the connection ends is lost.
        open(1.0);
        let got = read_to_end(&mut lazy).len();
        assert!(got < 64 << 20, "{got}");
    });
    let mut steady = Agent::connect(daemon.address());
    assert_eq!(steady.fetch("/large", "a.test").2.len(), 64 << 20);
}

#[test]
fn a_connection_that_rests_is_closed_and_may_be_used_until_then() {
    let (_backend, daemon, _) = front("idleTimeout: 1s");
    let mut stream = connect(daemon.address());
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        read_answer(&mut stream);
        thread::sleep(LIMIT / 10);
    }
    let began = Instant::now();
    assert_eq!(read_to_end(&mut stream), b"");
    assert!(began.elapsed() >= LIMIT / 3);
}

#[test]
fn limits_change_with_the_manifest_and_open_connections_keep_theirs() {
    let (_backend, daemon, port) = front("requestHead: 1Ki");
    let large = |daemon: &Daemon| daemon.request("/").header("X-Large", &"x".repeat(2000)).send().status;
    assert_eq!(large(&daemon), 431);
    let mut before = Agent::connect(daemon.address());
    assert_eq!(before.get("/", "a.test").0, 200);
    daemon.manifest("edge.yaml", &gateway(port, "", ", limits: {requestHead: 4Ki, idleTimeout: 1s}"));
    until("larger heads", || (large(&daemon) == 200).then_some(()));
    let mut after = connect(daemon.address());
    after.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
    assert!(read_to_end(&mut after).starts_with(b"HTTP/1.1 200"), "and its end, once it has rested");
    assert_eq!(before.get("/", "a.test").0, 200, "it rests as long as it could when it came");
    daemon.remove_manifest("edge.yaml");
    // Without a Gateway there are the defaults again.
    until("the command line's listener", || {
        let line = daemon.log().lines().rev().find(|line| line.contains(r#""listening""#))?.to_owned();
        let address = line.split("127.0.0.1:").nth(1)?.split('"').next()?.to_owned();
        let request = Curl::new(&format!("http://127.0.0.1:{address}/"), None).header("X-Large", &"x".repeat(20_000));
        request.try_send().ok().filter(|answer| answer.status == 200)
    });
}

#[test]
fn connections_over_the_limits_wait_or_are_closed() {
    let (_backend, daemon, port) = front("connections: 2");
    let mut agents = [Agent::connect(daemon.address()), Agent::connect(daemon.address())];
    for agent in &mut agents {
        assert_eq!(agent.get("/", "a.test").0, 200);
    }
    let mut waits = connect(daemon.address());
    waits.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").unwrap();
    waits.set_read_timeout(Some(LIMIT)).unwrap();
    assert!(waits.read(&mut [0; 9]).is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)));
    waits.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(agents);
    assert!(read_to_end(&mut waits).starts_with(b"HTTP/1.1 200"));

    daemon.manifest("edge.yaml", &gateway(port, "", ", limits: {connectionsPerClient: 2}"));
    let answered = || {
        let mut stream = connect(daemon.address());
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        matches!(stream.read(&mut [0; 512]), Ok(1..)).then_some(stream)
    };
    // The limit counts connections that came after it.
    let held = until("the limit", || {
        let held = [answered()?, answered()?];
        answered().is_none().then_some(held)
    });
    assert!(answered().is_none());
    let other = daemon.request("/").arg("--interface").arg("127.0.0.2").send();
    assert_eq!(other.status, 200, "another client");
    drop(held);
    until("a place again", || answered().map(drop));
}
