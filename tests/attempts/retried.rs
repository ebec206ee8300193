//! `retry`: what is sent again, how often, how soon; and what never is.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::metric;
use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::recorder::Recorder;

/// What a backend does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Answer(u16),
    /// Closes the connection.
    Break,
    /// Says nothing, until it is left.
    Silence,
}
use Act::{Answer, Break, Silence};

/// What a backend is still to do.
type Acts = Arc<Mutex<VecDeque<Act>>>;

/// A backend that acts so, and then answers 200.
fn acting(acts: &[Act]) -> Recorder {
    following(&Acts::new(Mutex::new(acts.iter().copied().collect())))
}

/// The same; more may be added.
fn following(acts: &Acts) -> Recorder {
    let left = acts.clone();
    Recorder::answering(move |_, stream| {
        let act = left.lock().unwrap().pop_front().unwrap_or(Answer(200));
        match act {
            Answer(status) => {
                write!(stream, "HTTP/1.1 {status} X\r\nX-Own: yes\r\nConnection: close\r\nContent-Length: 4\r\n\r\n{status}\n").is_ok()
            }
            Break => false,
            Silence => std::io::copy(stream, &mut std::io::sink()).is_err(),
        }
    })
}

/// What stands in the rule, the method, the body; what goes wrong; the status of the answer, and how often the backend was asked.
type Row<'r> = (&'r str, &'r str, &'r dyn Fn(Curl) -> Curl, &'r [Act], u16, usize);

fn daemon(backend: &Recorder, rule: &str) -> Daemon {
    Daemon::builder().manifest("app.yaml", &backend.manifest(rule)).arg("--threads").arg("1").start()
}

/// The bodies of the requests that it got.
fn seen(backend: &Recorder) -> Vec<Vec<u8>> {
    backend.taken().into_iter().map(|request| request.body).collect()
}

#[test]
fn what_is_sent_again_depends_on_method_body_and_what_went_wrong() {
    let small: &dyn Fn(Curl) -> Curl = &|request| request.body("small");
    let chunked = |request: Curl| request.header("Transfer-Encoding", "chunked").body("small");
    let exact = |request: Curl| request.body(vec![b'x'; 64 << 10]);
    let large = |request: Curl| request.body(vec![b'x'; (64 << 10) + 1]);
    let chunked_large = |request: Curl| request.header("Transfer-Encoding", "chunked").body(vec![b'x'; (64 << 10) + 1]);
    let none = |request: Curl| request;
    let codes = "retry: {codes: [502, 503], attempts: 2}";
    let timeout = "retry: {}\n    timeouts: {backendRead: 300ms}";
    #[rustfmt::skip]
    let table: [Row<'_>; 28] = [
        // What goes wrong: an answer, a break, silence.
        (codes, "GET", &none, &[Answer(503)], 200, 2),
        (codes, "GET", &none, &[Answer(503), Answer(502)], 200, 3),
        (codes, "GET", &none, &[Answer(503), Answer(502), Answer(503)], 503, 3),
        (codes, "GET", &none, &[Answer(500)], 500, 1),
        (codes, "GET", &none, &[Break], 200, 2),
        (codes, "GET", &none, &[Break, Answer(503), Break], 502, 3),
        ("retry: {}", "GET", &none, &[Break], 200, 2),
        ("retry: {}", "GET", &none, &[Break, Break], 502, 2),
        ("retry: {}", "GET", &none, &[Answer(503)], 503, 1),
        (timeout, "GET", &none, &[Silence], 200, 2),
        (timeout, "GET", &none, &[Silence, Silence], 504, 2),
        ("retry: {attempts: 0, codes: [503]}", "GET", &none, &[Break], 502, 1),
        ("", "GET", &none, &[Break], 502, 1),
        ("", "GET", &none, &[Answer(503)], 503, 1),
        // The method.
        (codes, "HEAD", &none, &[Answer(503)], 200, 2),
        (codes, "DELETE", &none, &[Answer(503)], 200, 2),
        (codes, "OPTIONS", &none, &[Break], 200, 2),
        (codes, "POST", small, &[Answer(503)], 503, 1),
        (codes, "POST", small, &[Break], 502, 1),
        (codes, "POST", &none, &[Break], 502, 1),
        (codes, "PATCH", small, &[Answer(503)], 503, 1),
        (timeout, "POST", small, &[Silence], 504, 1),
        // The body.
        (codes, "PUT", small, &[Answer(503), Break], 200, 3),
        (codes, "PUT", &chunked, &[Break, Answer(503)], 200, 3),
        (codes, "PUT", &exact, &[Break, Answer(503)], 200, 3),
        (codes, "PUT", &large, &[Answer(503)], 503, 1),
        (codes, "PUT", &large, &[Break], 502, 1),
        (codes, "PUT", &chunked_large, &[Break], 502, 1),
    ];
    let mut served = BTreeMap::new();
    for (rule, method, form, acts, status, times) in table {
        let what = format!("{rule}: {method}, {acts:?}");
        let (daemon, backend, left) = served.entry(rule).or_insert_with(|| {
            let left = Acts::default();
            let backend = following(&left);
            (daemon(&backend, rule), backend, left)
        });
        *left.lock().unwrap() = acts.iter().copied().collect();
        let answer = form(daemon.request("/")).method(method).send();
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        // The last answer is the backend's own.
        let own = acts.len() < times || matches!(acts[times - 1], Answer(_));
        assert_eq!(answer.has("x-own"), own, "{what}: {answer:?}");
        let bodies = seen(backend);
        assert_eq!(bodies.len(), times, "{what}");
        assert!(bodies.windows(2).all(|two| two[0] == two[1]), "{what}: {:?}", bodies.iter().map(Vec::len).collect::<Vec<_>>());
    }
}

#[test]
fn a_connection_that_is_refused_is_tried_again_whatever_is_sent_until_there_is_one() {
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = refusing.local_addr().unwrap();
    drop(refusing);
    let backend = Recorder::new();
    let manifest = backend.manifest("retry: {attempts: 100, backoff: 50ms}").replace(&backend.address().to_string(), &address.to_string());
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).arg("--threads").arg("1").start();
    let mut client = TcpStream::connect(daemon.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").unwrap();
    let retries = "lxcproxy_backend_retries_total{app=\"app\",backend=\"web\"}";
    daemon.eventually(PATIENCE, || if metric(&daemon, retries) >= 2.0 { Ok(()) } else { Err("no retries".to_owned()) });
    let listener = TcpListener::bind(address).unwrap();
    // Looks at the backend connect, too, and send nothing.
    let seen = listener.incoming().map_while(Result::ok).find_map(|mut stream| {
        let mut seen = Vec::new();
        while !seen.ends_with(b"hello") {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
            seen.extend_from_slice(&bytes[..count]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").unwrap();
        Some(String::from_utf8(seen).unwrap())
    });
    assert!(seen.is_some_and(|seen| seen.starts_with("POST / HTTP/1.1\r\n")));
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let refused = "lxcproxy_backend_errors_total{app=\"app\",backend=\"web\",reason=\"connect_refused\"}";
    assert!((metric(&daemon, refused) - metric(&daemon, retries)).abs() < f64::EPSILON, "each attempt counts");
}

#[test]
fn what_was_not_sent_goes_to_another_endpoint_without_any_retry() {
    let refusing = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let backend = Recorder::new();
    let one = format!("{{tcp: \"{}\"}}", backend.address());
    let endpoints = format!("{{endpoints: [{{tcp: \"{}\"}}, {{tcp: \"{}\"}}, {one}]}}", refusing(), refusing());
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("").replace(&one, &endpoints)).start();
    for method in ["GET", "POST", "PUT", "PATCH"] {
        assert_eq!(daemon.request("/").method(method).body("once").send().status, 200, "{method}");
        let request = backend.next();
        assert!(request.line().starts_with(method) && request.body == b"once", "{request:?}");
    }
    assert!(backend.is_idle());
}

#[test]
fn a_retry_goes_to_another_endpoint() {
    let (failing, healthy) = (acting(&[Answer(503); 20]), Recorder::new());
    let one = format!("{{tcp: \"{}\"}}", failing.address());
    let endpoints = format!("{{endpoints: [{one}, {{tcp: \"{}\"}}]}}", healthy.address());
    let manifest = failing.manifest("retry: {codes: [503]}").replace(&one, &endpoints);
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).start();
    for _ in 0..4 {
        assert_eq!(daemon.get("/").status, 200);
    }
    assert_eq!(seen(&healthy).len(), 4);
}

#[test]
fn the_wait_is_never_shorter_than_backoff_and_ends_with_the_transaction() {
    let backend = acting(&[Break, Break]);
    let daemon = daemon(&backend, "retry: {attempts: 2, backoff: 200ms}");
    let began = Instant::now();
    assert_eq!(daemon.get("/").status, 200);
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());

    let backend = acting(&[Break]);
    let daemon = self::daemon(&backend, "retry: {backoff: 1m}\n    timeouts: {request: 300ms}");
    let answer = daemon.get("/");
    assert_eq!((answer.status, answer.has("x-own")), (504, false));
    assert_eq!(seen(&backend).len(), 1);
}
