//! `RequestMirror`: copies arrive, and nobody waits for them (Gateway API conformance: `httproute-request-mirror`, `-multiple-mirrors`,
//! `-percentage-mirror`).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{daemon, manifest, nobody};
use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::openmetrics::Exposition;
use crate::support::recorder::Recorder;
use crate::support::until;

/// How often a backend did something wrong, by the metrics.
fn faults(daemon: &Daemon, backend: &str, reason: &str) -> f64 {
    let socket = daemon.admin();
    let ask = Curl::new("http://lxcproxy/metrics", None).arg("--unix-socket").arg(socket.to_str().unwrap());
    let page = Exposition::parse(&ask.header("Accept", "application/openmetrics-text; version=1.0.0").send().text());
    let series = format!("lxcproxy_backend_errors_total{{app=\"app\",backend=\"{backend}\",reason=\"{reason}\"}}");
    page.samples.get(&series).copied().unwrap_or(0.0)
}

/// A backend that has got so many requests.
fn has_got(backend: &Recorder, count: usize) {
    for _ in 0..count {
        let _ = backend.next();
    }
}

#[test]
fn each_mirror_gets_the_request_as_the_backend_does_and_the_client_the_answer_of_the_backend() {
    let backend = Recorder::new();
    let mirrors = [(); 2].map(|()| {
        Recorder::answering(|_, stream| stream.write_all(b"HTTP/1.1 500 No\r\nX-Mirror: 1\r\nContent-Length: 2\r\n\r\nno").is_ok())
    });
    let daemon = daemon(
        &[("web", &backend), ("one", &mirrors[0]), ("two", &mirrors[1])],
        "  - matches: [{path: {value: /mirror}}]
    filters:
    - {type: RequestMirror, requestMirror: {backendRef: one}}
    - {type: RequestMirror, requestMirror: {backendRef: two, percent: 100}}
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: X-Header-Set, value: set-overwrites-values}]
        add: [{name: X-Header-Add-Append, value: header-val-2}]
        remove: [X-Header-Remove]
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}
    backendRefs: [{name: web}]",
    );
    let body: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for framing in [("X-Framing", "length"), ("Transfer-Encoding", "chunked")] {
        let request = daemon.request("/mirror/a?x=1").host("home.example.org").header("X-Header-Remove", "remove-val");
        let request = request.header("X-Header-Add-Append", "append-val-1").header(framing.0, framing.1);
        let answer = request.body(body.clone()).send();
        assert_eq!((answer.status, answer.text().as_str(), answer.has("x-mirror")), (200, "ok\n", false));
        let original = backend.next();
        assert_eq!(original.line(), "POST /new/a?x=1 HTTP/1.1");
        assert!(original.body == body);
        for mirror in &mirrors {
            let copy = mirror.next();
            assert_eq!(copy.line(), original.line());
            assert!(copy.body == body, "{} bytes", copy.body.len());
            for (name, values) in [
                ("host", &["home.example.org"][..]),
                ("x-header-set", &["set-overwrites-values"]),
                ("x-header-add-append", &["append-val-1", "header-val-2"]),
                ("x-header-remove", &[]),
                ("x-forwarded-for", &["127.0.0.1"]),
            ] {
                assert_eq!(copy.values(name), values, "{name} in {}", copy.head);
            }
            for name in ["content-length", "transfer-encoding"] {
                assert_eq!(copy.values(name), original.values(name), "{name}");
            }
        }
    }
    // Connections to mirrors are kept, too.
    assert!(mirrors.iter().all(|mirror| mirror.connections() <= 2));
}

#[test]
fn a_mirror_gets_its_share_of_the_requests() {
    let backend = Recorder::new();
    let [all, none, half] = [(); 3].map(|()| Recorder::new());
    let daemon = daemon(
        &[("web", &backend), ("all", &all), ("none", &none), ("half", &half)],
        "  - filters:
    - {type: RequestMirror, requestMirror: {backendRef: none, percent: 0}}
    - {type: RequestMirror, requestMirror: {backendRef: half, fraction: {numerator: 25, denominator: 50}}}
    - {type: RequestMirror, requestMirror: {backendRef: all, fraction: {numerator: 7, denominator: 7}}}
    backendRefs: [{name: web}]",
    );
    let mut agent = Agent::connect(daemon.address());
    for _ in 0..300 {
        assert_eq!(agent.get("/", "h").0, 200);
    }
    has_got(&all, 300);
    // Nine standard deviations away from 150.
    has_got(&half, 75);
    let mut more = 0;
    while !half.is_idle() {
        more += 1;
    }
    assert!(75 + more < 225, "{more}");
    assert!(none.is_idle());
}

#[test]
fn a_mirror_of_a_backend_gets_what_that_backend_gets() {
    let [web, other, mirror] = [(); 3].map(|()| Recorder::new());
    let daemon = daemon(
        &[("web", &web), ("other", &other), ("mirror", &mirror)],
        "  - backendRefs:
    - {name: web, filters: [{type: RequestMirror, requestMirror: {backendRef: mirror}}]}
    - {name: other}",
    );
    let mut agent = Agent::connect(daemon.address());
    let mut mirrored = 0;
    for round in 0..100 {
        assert_eq!(agent.get(&format!("/{round}"), "h").0, 200);
        if !web.is_idle() {
            assert!(mirror.next().line().starts_with(&format!("GET /{round} ")));
            mirrored += 1;
        }
    }
    assert!((1..100).contains(&mirrored) && mirror.is_idle(), "{mirrored}");
}

#[test]
fn a_mirror_that_is_away_or_silent_is_not_waited_for() {
    let backend = Recorder::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let backends = [("web", backend.address()), ("away", nobody()), ("silent", silent.local_addr().unwrap())];
    let rules = "  - filters:
    - {type: RequestMirror, requestMirror: {backendRef: away}}
    - {type: RequestMirror, requestMirror: {backendRef: silent}}
    backendRefs: [{name: web}]";
    let daemon = Daemon::builder().manifest("app.yaml", &manifest(&backends, rules)).arg("--threads").arg("1").start();
    let mut agent = Agent::connect(daemon.address());
    // More than are copied at once: nothing takes the copies.
    for _ in 0..300 {
        assert_eq!(agent.get("/", "h").0, 200);
    }
    until("the mirror that is away is counted", || (faults(&daemon, "away", "connect_refused") > 0.0).then_some(()));
    until("copies are bounded", || (faults(&daemon, "silent", "copy_limit") > 0.0).then_some(()));
    assert!(faults(&daemon, "web", "connect_refused") < 1.0);
}

#[test]
fn a_mirror_that_takes_a_body_too_slowly_gets_no_more_of_it() {
    let backend = Recorder::new();
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let backends = [("web", backend.address()), ("slow", slow.local_addr().unwrap())];
    let rules = "  - filters: [{type: RequestMirror, requestMirror: {backendRef: slow}}]
    limits: {requestBody: Unlimited}
    backendRefs: [{name: web}]";
    let daemon = Daemon::builder().manifest("app.yaml", &manifest(&backends, rules)).start();
    // More than the kernel's buffers hold.
    let answer = daemon.request("/").body(vec![b'x'; 48 << 20]).send();
    assert_eq!(answer.status, 200);
    assert_eq!(backend.next().body.len(), 48 << 20);
    until("it is counted", || (faults(&daemon, "slow", "copy_behind") > 0.0).then_some(()));
    // Probes connect and send nothing.
    let copy = slow.incoming().map_while(Result::ok).map(|mut copy| {
        copy.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = Vec::new();
        // A reset is an end as well.
        let _ = copy.read_to_end(&mut bytes);
        bytes.len()
    });
    let length = copy.into_iter().find(|length| *length > 0).unwrap();
    assert!(length < 48 << 20, "{length} bytes");
}

#[test]
fn a_body_that_breaks_off_breaks_its_copy_off() {
    let [backend, mirror] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let backends = [("web", backend.local_addr().unwrap()), ("mirror", mirror.local_addr().unwrap())];
    let rules = "  - {filters: [{type: RequestMirror, requestMirror: {backendRef: mirror}}], backendRefs: [{name: web}]}";
    let daemon = Daemon::builder().manifest("app.yaml", &manifest(&backends, rules)).start();
    let mut client = TcpStream::connect(daemon.address()).unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome of it").unwrap();
    let copy = std::thread::spawn(move || {
        mirror.incoming().map_while(Result::ok).find_map(|mut copy| {
            copy.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut bytes = [0; 4096];
            let mut text = String::new();
            while !text.ends_with("some of it") {
                // A probe ends at once.
                let count = copy.read(&mut bytes).ok().filter(|count| *count > 0)?;
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            client.shutdown(std::net::Shutdown::Both).unwrap();
            Some(matches!(copy.read(&mut bytes), Ok(0) | Err(_)))
        })
    });
    assert_eq!(copy.join().unwrap(), Some(true));
    assert!(faults(&daemon, "mirror", "closed") < 1.0, "it is no fault of the mirror");
}

#[test]
fn what_is_not_sent_to_a_backend_and_what_becomes_a_tunnel_is_not_mirrored() {
    let [backend, mirror] = [(); 2].map(|()| Recorder::new());
    let daemon = daemon(
        &[("web", &backend), ("mirror", &mirror)],
        "  - matches: [{path: {value: /moved}}]
    filters: [{type: RequestMirror, requestMirror: {backendRef: mirror}}, {type: RequestRedirect, requestRedirect: {port: 1}}]
  - filters: [{type: RequestMirror, requestMirror: {backendRef: mirror}}]
    backendRefs: [{name: web}]",
    );
    assert_eq!(daemon.get("/moved").status, 302);
    assert_eq!(daemon.request("/tunnel").header("Connection", "upgrade").header("Upgrade", "x").send().status, 200);
    assert_eq!(daemon.get("/last").status, 200);
    assert_eq!(mirror.next().line(), "GET /last HTTP/1.1");
}
