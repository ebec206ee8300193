//! Bytes that flow: upgrades, events, uploads that are large, slow, or not wanted.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::recorder::Recorder;
use crate::support::{needs, run};

/// A backend whose one connection is in the hands of the test.
struct Backend {
    address: SocketAddr,
    streams: Receiver<BufReader<TcpStream>>,
}

impl Backend {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, streams): (Sender<_>, _) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut stream = BufReader::new(stream);
                // A probe connects and sends nothing.
                if stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) && sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, streams }
    }

    /// The next connection that carries a request, and the request's head.
    fn next(&self) -> (String, BufReader<TcpStream>) {
        let mut stream = self.streams.recv_timeout(PATIENCE).expect("the backend gets a request");
        (head(&mut stream), stream)
    }

    fn daemon(&self, rule: &str) -> Daemon {
        let recorder = Recorder::new();
        let manifest = recorder.manifest(rule).replace(&recorder.address().to_string(), &self.address.to_string());
        Daemon::builder().manifest("app.yaml", &manifest).arg("--threads").arg("1").start()
    }
}

fn head(stream: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
    }
    head.to_ascii_lowercase()
}

fn client(daemon: &Daemon, request: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    BufReader::new(stream)
}

fn exactly(stream: &mut impl Read, wanted: &str) {
    let mut bytes = vec![0; wanted.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), wanted);
}

/// Nothing has come up to now.
fn is_silent(stream: &mut BufReader<TcpStream>) -> bool {
    stream.get_ref().set_nonblocking(true).unwrap();
    let silent = stream.buffer().is_empty() && matches!(stream.fill_buf(), Err(error) if error.kind() == ErrorKind::WouldBlock);
    stream.get_ref().set_nonblocking(false).unwrap();
    silent
}

/// The most memory that the daemon has had so far, in bytes.
fn peak(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

const UPGRADE: &str = "GET /tunnel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n";

#[test]
fn any_protocol_is_joined_after_a_101_and_what_the_client_said_before_it_comes_after_it() {
    let backend = Backend::new();
    let daemon = backend.daemon("");
    let mut client = client(&daemon, &format!("{UPGRADE}early"));
    let (head, mut stream) = backend.next();
    assert!(head.contains("\r\nupgrade: chat/2\r\n") && head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    client.get_mut().write_all(b" and later").unwrap();
    assert!(is_silent(&mut stream), "nothing but the request comes before the 101");
    stream.get_mut().write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat/2\r\n\r\nhello").unwrap();
    let answer = self::head(&mut client);
    assert!(answer.starts_with("http/1.1 101 ") && answer.contains("\r\nupgrade: chat/2\r\n"), "{answer}");
    exactly(&mut client, "hello");
    exactly(&mut stream, "early and later");
    client.get_mut().write_all(b"ping").unwrap();
    exactly(&mut stream, "ping");
    drop(client);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "the end goes through, too");
}

#[test]
fn an_upgrade_that_is_declined_is_an_answer_like_any_other_and_nothing_leaks_to_the_backend() {
    let backend = Backend::new();
    let daemon = backend.daemon("");
    let mut client = client(&daemon, &format!("{UPGRADE}GET /leaked HTTP/1.1\r\nHost: h\r\n\r\n"));
    let (_, mut stream) = backend.next();
    assert!(is_silent(&mut stream));
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain").unwrap();
    let answer = head(&mut client);
    assert!(answer.starts_with("http/1.1 200 ") && !answer.contains("upgrade:"), "{answer}");
    exactly(&mut client, "plain");
    // What followed is the next request, on its own.
    let next = head(&mut stream);
    assert!(next.starts_with("get /leaked http/1.1\r\n") && !next.contains("upgrade"), "{next}");
    stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    assert!(head(&mut client).starts_with("http/1.1 204 "));
}

#[test]
fn each_event_arrives_before_the_next_is_sent() {
    let backend = Backend::new();
    let daemon = backend.daemon("");
    let mut client = client(&daemon, "GET /events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n");
    let (_, mut stream) = backend.next();
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert!(head(&mut client).contains("\r\ncontent-type: text/event-stream\r\n"));
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        write!(stream.get_mut(), "{:x}\r\n{event}\r\n", event.len()).unwrap();
        exactly(&mut client, &format!("{:X}\r\n{event}\r\n", event.len()));
    }
}

#[test]
fn curl_is_told_to_continue_when_a_backend_takes_its_upload_and_keeps_it_to_itself_when_none_does() {
    needs!(curl);
    let backend = Recorder::new();
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("limits: {requestBody: 1Mi}")).start();
    let body = vec![b'x'; 1 << 20];
    // Without the word it would wait for longer than a test may take.
    let patient = |path: &str| daemon.request(path).header("Expect", "100-continue").arg("--expect100-timeout").arg("1000");
    assert_eq!(patient("/").body(body.clone()).send().status, 200);
    let seen = backend.next();
    assert_eq!((seen.body.len(), seen.values("expect").len()), (body.len(), 0));

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = backend
        .manifest("limits: {requestBody: Unlimited}")
        .replace(&backend.address().to_string(), &closed.to_string())
        .replace("name: app", "name: away");
    daemon.manifest("away.yaml", &away.replace("spec:", "spec:\n  hostnames: [away.test]"));
    daemon.eventually(PATIENCE, || match daemon.request("/").host("away.test").send().status {
        503 => Ok(()),
        status => Err(status.to_string()),
    });
    // Until then they came here.
    drop(backend.taken());
    let file = daemon.scratch().join("upload");
    std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
    for (host, expected) in [("h", "413 0"), ("away.test", "503 0")] {
        let mut curl = Command::new("curl");
        curl.args(["-q", "-sS", "--http1.1", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", "-T"]).arg(&file);
        curl.args(["-H", "Expect: 100-continue", "--expect100-timeout", "1000", "-H", &format!("Host: {host}")]).arg(daemon.url("/"));
        assert_eq!(run(&mut curl), expected, "{host}: status and bytes that were sent");
    }
    assert!(backend.is_idle());
}

#[test]
fn a_large_upload_takes_no_memory() {
    const SIZE: usize = 256 << 20;
    let backend = Backend::new();
    let daemon = backend.daemon("limits: {requestBody: Unlimited}");
    let small = std::thread::scope(|scope| {
        let mut client = client(&daemon, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nsmall");
        scope.spawn(move || assert!(head(&mut client).starts_with("http/1.1 200 ")));
        let (_, mut stream) = backend.next();
        exactly(&mut stream, "small");
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        peak(&daemon)
    });
    for framing in [format!("Content-Length: {SIZE}"), "Transfer-Encoding: chunked".to_owned()] {
        let chunked = framing.starts_with('T');
        let mut client = client(&daemon, &format!("PUT / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let chunk = vec![b'x'; 1 << 20];
                for _ in 0..SIZE / chunk.len() {
                    let stream = client.get_mut();
                    if chunked {
                        write!(stream, "{:x}\r\n", chunk.len()).unwrap();
                    }
                    stream.write_all(&chunk).unwrap();
                    if chunked {
                        stream.write_all(b"\r\n").unwrap();
                    }
                }
                if chunked {
                    client.get_mut().write_all(b"0\r\n\r\n").unwrap();
                }
                assert!(head(&mut client).starts_with("http/1.1 200 "));
            });
            let (_, mut stream) = backend.next();
            let received = if chunked {
                dechunked(&mut stream)
            } else {
                std::io::copy(&mut stream.by_ref().take(SIZE as u64), &mut std::io::sink()).unwrap()
            };
            assert_eq!(received, SIZE as u64);
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        });
    }
    let grown = peak(&daemon).saturating_sub(small);
    assert!(grown < 32 << 20, "{grown} bytes more");
}

/// How many bytes come in chunks, up to the last.
fn dechunked(stream: &mut BufReader<TcpStream>) -> u64 {
    let mut sum = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let size = u64::from_str_radix(line.trim(), 16).unwrap();
        std::io::copy(&mut stream.by_ref().take(size + 2), &mut std::io::sink()).unwrap();
        sum += size;
        if size == 0 {
            return sum;
        }
    }
}

#[test]
fn an_upload_that_keeps_moving_outlives_every_limit_on_silence() {
    let backend = Recorder::new();
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("timeouts: {backendRead: 500ms, backendConnect: 500ms}")).start();
    let mut client = client(&daemon, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\n");
    for _ in 0..30 {
        client.get_mut().write_all(b"x").unwrap();
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert!(head(&mut client).starts_with("http/1.1 200 "));
    assert_eq!(backend.next().body, [b'x'; 30]);
}
