//! HTTP backends: what they see, what clients see, and what happens when they misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::needs;
use crate::support::recorder::Recorder;
use crate::support::site::Site;

fn daemon(backend: &Recorder, rule: &str) -> Daemon {
    Daemon::builder().manifest("app.yaml", &backend.manifest(rule)).arg("--threads").arg("1").start()
}

#[test]
fn the_backend_sees_the_request_as_it_is_with_forwarded_fields_of_ours_and_no_hop_by_hop_fields() {
    let backend = Recorder::new();
    let daemon = daemon(&backend, "");
    let answer = daemon
        .request("/a%2Fb//c/../d?x=1&y=%20")
        .host("Home.Example.org:8080")
        .header("X-Forwarded-For", "6.6.6.6")
        .header("X-Forwarded-Port", "666")
        .header("X-Real-IP", "6.6.6.6")
        .header("Forwarded", "for=6.6.6.6")
        .header("Connection", "close, X-Hop")
        .header("X-Hop", "1")
        .header("Keep-Alive", "timeout=1")
        .header("TE", "trailers")
        .header("Proxy-Authorization", "secret")
        .header("X-Kept", "1")
        .arg("--path-as-is")
        .send();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    let seen = backend.next();
    assert_eq!(seen.line(), "GET /a%2Fb//d?x=1&y=%20 HTTP/1.1");
    for (name, values) in [
        ("host", &["Home.Example.org:8080"][..]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x-real-ip", &["127.0.0.1"]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-host", &["Home.Example.org:8080"]),
        ("x-kept", &["1"]),
        ("x-forwarded-port", &[]),
        ("forwarded", &[]),
        ("connection", &[]),
        ("x-hop", &[]),
        ("keep-alive", &[]),
        ("te", &[]),
        ("proxy-authorization", &[]),
        ("content-length", &[]),
        ("transfer-encoding", &[]),
    ] {
        assert_eq!(seen.values(name), values, "{name} in {}", seen.head);
    }
}

#[test]
fn an_answer_comes_without_the_hop_by_hop_fields_of_its_backend() {
    let backend = Recorder::answering(|_, stream| {
        let head = b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head).is_ok()
    });
    let answer = daemon(&backend, "").get("/");
    assert_eq!((answer.status, answer.header("x-kept")), (200, "1"));
    assert!(!answer.has("x-hop") && !answer.has("keep-alive"), "{answer:?}");
}

#[test]
fn connections_to_a_backend_are_kept() {
    let backend = Recorder::new();
    let daemon = daemon(&backend, "");
    for _ in 0..5 {
        assert_eq!(daemon.get("/").status, 200);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn connections_are_shared_by_the_apps_that_name_one_socket_of_one_directory() {
    needs!(nginx);
    // nginx numbers its connections.
    let (site, other) = (Site::new("site $connection"), Site::new("other $connection"));
    let daemon = Daemon::builder()
        .manifest("one.yaml", &site.version("one", "one.test", "1"))
        .manifest("two.yaml", &site.version("two", "two.test", "1"))
        .manifest("other.yaml", &other.version("other", "other.test", "1"))
        .arg("--threads")
        .arg("1")
        .start();
    for app in ["one", "two", "other"] {
        daemon.wait_condition(app, "Ready", PATIENCE);
    }
    let mut agent = Agent::connect(daemon.address());
    let mut ask = |host: &str| {
        let (status, head, body) = agent.fetch("/", host);
        assert_eq!(status, 200, "{head}");
        String::from_utf8(body).unwrap()
    };
    let first = ask("one.test");
    assert!(first.starts_with("site "), "{first}");
    assert_eq!((ask("two.test"), ask("one.test")), (first.clone(), first.clone()));
    // The same path in another root is another backend.
    assert!(ask("other.test").starts_with("other "));
    // An App that is new, and one that has changed, find what is there.
    daemon.manifest("two.yaml", &site.version("two", "two.test", "2"));
    daemon.manifest("three.yaml", &site.version("three", "three.test", "1"));
    daemon.wait_condition("three", "Ready", PATIENCE);
    daemon.eventually(PATIENCE, || {
        let (_, head) = Agent::connect(daemon.address()).get("/", "two.test");
        if head.contains("x-version: 2") { Ok(()) } else { Err(head) }
    });
    assert_eq!((ask("two.test"), ask("three.test")), (first.clone(), first));
}

#[test]
fn a_body_arrives_whole_with_a_length_and_in_chunks() {
    let backend = Recorder::new();
    let daemon = daemon(&backend, "limits: {requestBody: Unlimited}");
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    assert_eq!(daemon.request("/").body(body.clone()).send().status, 200);
    let seen = backend.next();
    assert_eq!(seen.values("content-length"), ["3000000"]);
    assert!(seen.body == body);
    assert_eq!(daemon.request("/").body(body.clone()).header("Transfer-Encoding", "chunked").send().status, 200);
    let seen = backend.next();
    assert_eq!((seen.values("transfer-encoding"), seen.values("content-length")), (vec!["chunked"], vec![]));
    assert!(seen.body == body);
}

#[test]
fn a_body_over_the_limit_is_413_announced_or_not() {
    let backend = Recorder::new();
    let daemon = daemon(&backend, "limits: {requestBody: 10k}");
    assert_eq!(daemon.request("/").body(vec![0; 10_000]).send().status, 200);
    let _ = backend.next();
    let answer = daemon.request("/").body(vec![0; 10_001]).send();
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("app: app"), "{}", answer.text());
    assert!(backend.is_idle(), "the backend sees nothing of a body that is too large");
    let chunked = daemon.request("/").body(vec![0; 1_000_000]).header("Transfer-Encoding", "chunked").send();
    assert_eq!(chunked.status, 413);
}

#[test]
fn a_backend_that_breaks_the_protocol_is_502_one_that_is_silent_504_one_that_refuses_503() {
    let backend = Recorder::answering(|request, stream| {
        let path = request.line().split(' ').nth(1).unwrap_or_default();
        match path {
            "/garbage" => drop(stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n")),
            "/half" => drop(stream.write_all(b"HTTP/1.1 200 OK\r\nX-Half:")),
            "/silent" => return std::io::copy(stream, &mut std::io::sink()).is_ok(),
            _ => {}
        }
        false
    });
    let daemon = daemon(&backend, "timeouts: {backendRead: 300ms}");
    for (path, status) in [("/garbage", 502), ("/half", 502), ("/closed", 502), ("/silent", 504)] {
        let answer = daemon.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains("app: app\nrequest: "), "{}", answer.text());
    }
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    daemon.manifest(
        "app.yaml",
        &backend.manifest("").replace(&backend.address().to_string(), &gone.to_string()).replace("name: app", "name: gone"),
    );
    daemon.wait_reason("gone", "ResolvedRefs", "ConnectionRefused", PATIENCE);
    let answer = daemon.get("/");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    let backend = Recorder::answering(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        false
    });
    let daemon = daemon(&backend, "");
    let error = daemon.request("/").try_send().expect_err("half an answer is no answer");
    assert!(error.contains("(18)") || error.contains("(56)"), "{error}");
}

#[test]
fn a_whole_transaction_has_a_limit_if_one_is_set() {
    let backend = Recorder::answering(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        // One byte now and then: never silent for long.
        while stream.write_all(b".").is_ok() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    });
    let daemon = daemon(&backend, "timeouts: {request: 400ms}");
    let began = Instant::now();
    assert!(daemon.request("/").try_send().is_err());
    // The whole answer would take 20 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn an_answer_streams_before_it_is_whole() {
    let (proceed, wait) = channel();
    let wait = Mutex::new(wait);
    let backend = Recorder::answering(move |_, stream| {
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n");
        // The second event is sent when the client has the first.
        wait.lock().unwrap().recv_timeout(PATIENCE).is_ok() && stream.write_all(b"7\r\nsecond\n\r\n0\r\n\r\n").is_ok()
    });
    let daemon = daemon(&backend, "");
    let mut client = TcpStream::connect(daemon.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("first\n") {
        let mut bytes = [0; 1024];
        let count = client.read(&mut bytes).unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..count]);
    }
    proceed.send(()).unwrap();
    client.read_to_end(&mut seen).unwrap();
    assert!(String::from_utf8_lossy(&seen).contains("second\n"));
}

#[test]
fn an_upload_in_progress_outlives_swaps_of_its_app() {
    let backend = Recorder::new();
    let daemon = daemon(&backend, "");
    let mut client = TcpStream::connect(daemon.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\nConnection: close\r\n\r\n").unwrap();
    for round in 0_u64..3 {
        client.write_all(b"0123456789").unwrap();
        daemon.manifest("app.yaml", &backend.manifest(&format!("timeouts: {{backendRead: 1{round}s}}")));
        daemon.eventually(PATIENCE, || {
            let generation = &daemon.apps()["app"]["status"]["servedGeneration"];
            if *generation == round + 2 { Ok(()) } else { Err(format!("generation {generation}")) }
        });
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(backend.next().body, b"012345678901234567890123456789");
}

#[test]
fn a_websocket_goes_through_and_outlives_a_swap_of_its_app() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
                    let (sink, source) = socket.split();
                    let _ = source.forward(sink).await;
                });
            }
        });
        let manifest = Recorder::new().manifest("");
        let text =
            manifest.lines().map(|line| if line.contains("tcp:") { replace_address(line, &address.to_string()) } else { line.to_owned() });
        let manifest = text.collect::<Vec<_>>().join("\n");
        let daemon = Daemon::builder().manifest("app.yaml", &manifest).start();
        let (mut socket, answer) = tokio_tungstenite::client_async(
            format!("ws://{}/chat", daemon.address()),
            tokio::net::TcpStream::connect(daemon.address()).await.unwrap(),
        )
        .await
        .unwrap();
        assert_eq!(answer.status(), 101);
        for round in 0..3 {
            socket.send(Message::text(format!("hello {round}"))).await.unwrap();
            let echo = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
            assert_eq!(echo.into_text().unwrap(), format!("hello {round}"));
            daemon.manifest("app.yaml", &format!("{manifest}\n    timeouts: {{backendRead: 1{round}s}}\n"));
            daemon.eventually(PATIENCE, || {
                let generation = &daemon.apps()["app"]["status"]["servedGeneration"];
                if *generation == round + 2 { Ok(()) } else { Err(format!("generation {generation}")) }
            });
        }
    });
}

fn replace_address(line: &str, address: &str) -> String {
    let (before, after) = line.split_once("tcp: \"").unwrap();
    format!("{before}tcp: \"{address}\"{}", &after[after.find('"').unwrap() + 1..])
}

#[test]
fn a_101_that_nobody_asked_for_is_502() {
    let backend = Recorder::answering(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        false
    });
    assert_eq!(daemon(&backend, "").get("/").status, 502);
}

#[test]
fn filters_change_requests_and_answers_and_redirect() {
    let backend = Recorder::new();
    let rule = "filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: \"{client_ip} {host} {scheme}\"}], remove: [User-Agent]}}
    - {type: URLRewrite, urlRewrite: {hostname: inner.example.org, path: {type: ReplaceFullPath, replaceFullPath: /new}}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Id, value: \"{request_id}\"}]}}
  - matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: new.example.org, path: {type: ReplacePrefixMatch, replacePrefixMatch: /n}, statusCode: 301}}]";
    let daemon = daemon(&backend, rule);
    let answer = daemon.request("/x?q=1").host("outer.example.org").send();
    assert_eq!(answer.header("x-id").len(), 16, "{answer:?}");
    let seen = backend.next();
    assert_eq!(seen.line(), "GET /new?q=1 HTTP/1.1");
    assert_eq!(seen.values("host"), ["inner.example.org"]);
    assert_eq!(seen.values("x-set"), ["127.0.0.1 outer.example.org http"]);
    assert!(seen.values("user-agent").is_empty());
    let answer = daemon.request("/old/page?q=1").send();
    assert_eq!((answer.status, answer.header("location")), (301, "https://new.example.org/n/page?q=1"));
}

#[test]
fn what_can_not_be_a_request_is_refused_and_what_nobody_claims_is_404() {
    let backend = Recorder::new();
    let manifest = backend.manifest("").replace("spec:\n", "spec:\n  hostnames: [known.example.org]\n");
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).start();
    for (path, status) in [("/%00", 400), ("/%zz", 400), ("/../x", 400), ("/%2e%2e/x", 400), ("/a%0ab", 400)] {
        let answer = daemon.request(path).host("known.example.org").arg("--path-as-is").send();
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(daemon.request("/").host("unknown.example.org").send().status, 404);
    assert!(backend.is_idle());
    let mut agent = Agent::connect(daemon.address());
    assert_eq!(agent.get("/", "known.example.org").0, 200);
}

#[test]
fn rules_are_chosen_by_exact_path_longest_prefix_and_expression() {
    let backend = Arc::new(Recorder::new());
    let rule = |name: &str, matcher: &str| {
        format!(
            "\n  - matches: [{{path: {{{matcher}}}}}]\n    filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: X-Rule, value: {name}}}]}}}}]\n    backendRefs: [{{name: web}}]"
        )
    };
    let rules = [
        rule("exact", "type: Exact, value: /a/b"),
        rule("long", "value: /a/b"),
        rule("short", "value: /a"),
        rule("regex", "type: RegularExpression, value: \"/x|/y[0-9]+\""),
    ]
    .concat();
    let manifest = backend.manifest("").replace("\n  - backendRefs: [{name: web}]\n", &rules);
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).start();
    for (path, wanted) in [("/a/b", "exact"), ("/a/b/", "long"), ("/a/bc", "short"), ("/a", "short"), ("/y12", "regex"), ("/x", "regex")] {
        assert_eq!(daemon.get(path).status, 200, "{path}");
        assert_eq!(backend.next().values("x-rule"), [wanted], "{path}");
    }
    for path in ["/", "/ab", "/xy", "/y", "/y1/z"] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_unix_backend_whose_queue_stays_full_is_504_after_backend_connect() {
    let dir = crate::support::scratch();
    let address = rustix::net::SocketAddrUnix::new(dir.path().join("app.sock")).unwrap();
    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &address).unwrap();
    // Room for one: the daemon's own look takes it, and nobody ever accepts.
    rustix::net::listen(&socket, 0).unwrap();
    let manifest = Recorder::new().manifest("timeouts: {backendConnect: 300ms}");
    let unix = format!(
        "  container: {{runtime: Directory, rootfs: {}}}\n  backends: [{{name: web, http: {{unix: /app.sock}}}}]",
        dir.path().display()
    );
    let lines = manifest.lines().map(|line| if line.contains("backends:") { unix.as_str() } else { line });
    let daemon = Daemon::builder().manifest("app.yaml", &lines.collect::<Vec<_>>().join("\n")).start();
    let began = Instant::now();
    let answer = daemon.get("/");
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}
