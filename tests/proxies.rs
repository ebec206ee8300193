//! Proxies in front of the real daemon: who the client is, and who may say so.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::gateway::{free_port, gateway};
use crate::support::haproxy::Haproxy;
use crate::support::nginx::Nginx;
use crate::support::openmetrics::Exposition;
use crate::support::recorder::{Recorder, Request};
use crate::support::{needs, until};

const PROXY_PROTOCOL: &str = ", proxyProtocol: true";
const LOOPBACK_IS_TRUSTED: &str = ", trustedProxies: [127.0.0.0/8]";
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/// A recording backend behind a daemon with such a Gateway.
fn front(listener: &str, spec: &str, rule: &str) -> (Recorder, Daemon) {
    let backend = Recorder::new();
    let gateway = gateway(free_port(), listener, spec);
    let daemon = Daemon::builder().manifest("edge.yaml", &gateway).manifest("app.yaml", &backend.manifest(rule));
    let daemon = daemon.arg("--metrics-listen").arg("127.0.0.1:0").arg("--access-log").arg("json").start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    (backend, daemon)
}

/// Sends bytes, and reads to the end; a reset is an end, too.
fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn assert_fields(seen: &Request, fields: &[(&str, &[&str])]) {
    for (name, values) in fields {
        assert_eq!(seen.values(name), *values, "{name} in {}", seen.head);
    }
}

/// A binary header of version 2.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, block].concat()
}

/// What the metrics say of connections that were refused for this reason.
fn refused(daemon: &Daemon, reason: &str) -> f64 {
    let address = daemon.wait_log(PATIENCE, |line| line.contains("metrics are answered"));
    let event: Value = serde_json::from_str(&address).unwrap();
    let fields = if event["fields"].is_object() { &event["fields"] } else { &event };
    let page = Curl::new(&format!("http://{}/metrics", fields["address"].as_str().unwrap()), None);
    let page = page.header("Accept", "application/openmetrics-text; version=1.0.0").send().text();
    Exposition::parse(&page).value(&format!("lxcproxy_connections_refused_total{{reason=\"{reason}\"}}")).unwrap()
}

#[test]
fn a_proxy_protocol_header_names_the_client_everywhere() {
    let filter = "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Client, value: \"{client_ip}\"}]}}]";
    let (backend, daemon) = front(PROXY_PROTOCOL, "", filter);
    let v6: Vec<u8> = [&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 16], &[0x12, 0x34, 0, 80]].concat();
    let with_fields = [&[192, 0, 2, 9, 198, 51, 100, 7, 0, 1, 0, 2][..], &[0x04, 0, 2, 0, 0]].concat();
    for (header, client) in [
        (V1.to_vec(), "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY UNKNOWN what ever\r\n".to_vec(), "127.0.0.1"),
        (v2(0x21, 0x11, &with_fields), "192.0.2.9"),
        (v2(0x21, 0x21, &v6), "2001:db8::1"),
        (v2(0x20, 0x00, &[]), "127.0.0.1"),
        (v2(0x21, 0x00, &[]), "127.0.0.1"),
    ] {
        let answer = send(daemon.address(), &[&header, GET].concat());
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("x-client: {client}\r\n")), "{client}: {answer}");
        assert_fields(&backend.next(), &[("x-forwarded-for", &[client]), ("x-real-ip", &[client])]);
    }
    assert!(refused(&daemon, "proxy_header").abs() < f64::EPSILON);
}

#[test]
fn whoever_sends_no_header_is_not_answered_and_asks_nothing() {
    let (backend, daemon) = front(PROXY_PROTOCOL, "", "");
    let wrong = [
        GET,
        b"PROXY TCP4 a b 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\0\r\nQUIT!",
    ];
    for bytes in wrong {
        // The end, before the rest could come: what was sent is no header.
        assert_eq!(send(daemon.address(), bytes.strip_suffix(b"\r\n\r\n").unwrap_or(bytes)), "", "{bytes:?}");
    }
    assert!(send(daemon.address(), &[V1, GET].concat()).starts_with("HTTP/1.1 200"));
    assert_eq!(backend.next().values("x-forwarded-for"), ["192.0.2.1"]);
    assert!(backend.is_idle());
    assert!(refused(&daemon, "proxy_header") >= 3.0);
}

#[test]
fn with_trusted_proxies_nobody_else_connects_to_a_listener_with_the_proxy_protocol() {
    let (backend, daemon) = front(PROXY_PROTOCOL, ", trustedProxies: [127.0.0.7/32]", "");
    assert_eq!(send(daemon.address(), &[V1, GET].concat()), "");
    let trusted = Curl::new(&daemon.url("/"), None).arg("--haproxy-protocol").arg("--interface").arg("127.0.0.7").send();
    assert_eq!(trusted.status, 200);
    // curl says of itself that it is the client: a proxy without a word about clients is one.
    assert_eq!(backend.next().values("x-forwarded-for"), ["127.0.0.7"]);
    assert!(refused(&daemon, "untrusted_proxy") >= 1.0);
}

#[test]
fn haproxy_and_curl_are_understood() {
    needs!(haproxy);
    let (backend, daemon) = front(PROXY_PROTOCOL, "", "");
    for options in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn proxy-v2-options unique-id,crc32c"] {
        let haproxy = Haproxy::start(daemon.address(), options);
        for client in ["127.0.0.2", "127.0.0.3"] {
            let answer = Curl::new(&format!("http://{}/", haproxy.address()), None).arg("--interface").arg(client).send();
            assert_eq!(answer.status, 200, "{options}");
            assert_fields(&backend.next(), &[("x-forwarded-for", &[client]), ("x-real-ip", &[client])]);
        }
    }
    let answer = daemon.request("/").arg("--haproxy-protocol").arg("--interface").arg("127.0.0.4").send();
    assert_eq!(answer.status, 200);
    assert_eq!(backend.next().values("x-forwarded-for"), ["127.0.0.4"]);
}

#[test]
fn a_trusted_proxy_is_believed_and_added_to_the_way() {
    let (backend, daemon) = front("", LOOPBACK_IS_TRUSTED, "");
    let ask = |fields: &[(&str, &str)]| {
        let request = fields.iter().fold(daemon.request("/").host("inner.test"), |request, (name, value)| request.header(name, value));
        assert_eq!(request.send().status, 200);
        backend.next()
    };
    let seen = ask(&[
        ("X-Forwarded-For", "6.6.6.6, 192.0.2.1, 127.0.0.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "a.example.org"),
        ("X-Forwarded-Port", "8443"),
        ("X-Forwarded-Prefix", "/x"),
        ("X-Real-IP", "6.6.6.6"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6"),
    ]);
    assert_fields(
        &seen,
        &[
            ("x-forwarded-for", &["192.0.2.1, 127.0.0.9, 127.0.0.1"]),
            ("x-real-ip", &["192.0.2.1"]),
            ("x-forwarded-proto", &["https"]),
            ("x-forwarded-host", &["a.example.org"]),
            ("x-forwarded-port", &["8443"]),
            ("x-forwarded-prefix", &[]),
            ("x_forwarded_for", &[]),
            ("forwarded", &[]),
            ("host", &["inner.test"]),
        ],
    );
    let seen = ask(&[("Forwarded", "for=\"[2001:db8::1]:99\";proto=https;host=b.test")]);
    let told: [(&str, &[&str]); 4] = [
        ("x-forwarded-for", &["2001:db8::1, 127.0.0.1"]),
        ("x-forwarded-proto", &["https"]),
        ("x-forwarded-host", &["b.test"]),
        ("forwarded", &[]),
    ];
    assert_fields(&seen, &told);
    let bad = [("X-Forwarded-For", "<script>"), ("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Host", "a b"), ("X-Forwarded-Port", "http")];
    let own: [(&str, &[&str]); 4] = [
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-host", &["inner.test"]),
        ("x-forwarded-port", &[]),
    ];
    assert_fields(&ask(&bad), &own);
    assert_fields(&ask(&[]), &own);
}

#[test]
fn others_are_not_believed_beside_trusted_proxies() {
    let (backend, daemon) = front("", ", trustedProxies: [127.0.0.7/32]", "");
    let ask = |from: &str| {
        let request = daemon.request("/").arg("--interface").arg(from).header("X-Forwarded-For", "192.0.2.1");
        assert_eq!(request.header("X-Forwarded-Proto", "https").send().status, 200);
        let seen = backend.next();
        (seen.values("x-forwarded-for").join("|"), seen.values("x-forwarded-proto").join("|"))
    };
    assert_eq!(ask("127.0.0.1"), ("127.0.0.1".to_owned(), "http".to_owned()));
    assert_eq!(ask("127.0.0.7"), ("192.0.2.1, 127.0.0.7".to_owned(), "https".to_owned()));
}

#[test]
fn trust_comes_and_goes_with_the_manifest() {
    let backend = Recorder::new();
    let port = free_port();
    let daemon = Daemon::builder().manifest("edge.yaml", &gateway(port, "", "")).manifest("app.yaml", &backend.manifest("")).start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    let client = || {
        assert_eq!(daemon.request("/").header("X-Forwarded-For", "192.0.2.1").send().status, 200);
        backend.next().values("x-real-ip").join("|")
    };
    assert_eq!(client(), "127.0.0.1");
    daemon.manifest("edge.yaml", &gateway(port, "", LOOPBACK_IS_TRUSTED));
    until("it is believed", || (client() == "192.0.2.1").then_some(()));
    daemon.manifest("edge.yaml", &gateway(port, "", ""));
    until("it is not believed", || (client() == "127.0.0.1").then_some(()));
}

#[test]
fn nginx_in_front_gives_the_client_the_scheme_and_the_place_of_a_redirect() {
    let rule = "matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /new}}}]
  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Seen, value: \"{scheme} {client_ip}\"}]}}]
    backendRefs: [{name: web}]";
    let backend = Recorder::new();
    let manifest = backend.manifest("").replace("  - backendRefs: [{name: web}]\n    \n", &format!("  - {rule}\n"));
    let edge = gateway(free_port(), "", LOOPBACK_IS_TRUSTED);
    let log = crate::support::scratch();
    let file = log.path().join("access.log");
    let daemon = Daemon::builder().manifest("edge.yaml", &edge).manifest("app.yaml", &manifest);
    let daemon = daemon.arg("--access-log").arg("json").arg("--access-log-file").arg(&file).start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    let nginx = Nginx::start(
        &format!(
            "location / {{ proxy_pass http://{}; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https; \
             proxy_set_header X-Forwarded-For \"192.0.2.77, $remote_addr\"; }}",
            daemon.address()
        ),
        None,
    );
    while !backend.is_idle() {}
    let answer = nginx.request("/here").host("shop.example.org").send();
    assert_eq!(answer.status, 200);
    let seen = until("the request", || Some(backend.next()).filter(|seen| seen.line().contains("/here")));
    assert_eq!(seen.values("x-seen"), ["https 192.0.2.77"]);
    assert_eq!(seen.values("x-forwarded-for"), ["192.0.2.77, 127.0.0.1, 127.0.0.1"]);
    let moved = nginx.request("/old").host("shop.example.org").send();
    assert_eq!((moved.status, moved.header("location")), (302, "https://shop.example.org/new"));
    let logged = until("the access log", || fs::read_to_string(&file).ok().filter(|text| text.contains("/here")));
    let line: Value = logged.lines().find(|line| line.contains("/here")).map(|line| serde_json::from_str(line).unwrap()).unwrap();
    assert!(line.to_string().contains("192.0.2.77"), "{line}");
}
