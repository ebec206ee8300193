//! The access log: a line for every request that is over, and none that a client writes.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use futures_util::{SinkExt, StreamExt};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::recorder::Recorder;
use crate::support::until;

/// A daemon with an App that has a file at `/files/a.txt`, a backend that refuses at `/refused`, and a backend for everything else.
struct Logged {
    daemon: Daemon,
    backend: Recorder,
    dir: TempDir,
}

impl Logged {
    fn new(form: &str, backend: Recorder) -> Self {
        let dir = crate::support::scratch();
        fs::create_dir(dir.path().join("www")).unwrap();
        fs::write(dir.path().join("www/a.txt"), "a file\n").unwrap();
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  hostnames: [app.test]
  backends:
  - {{name: web, http: {{tcp: \"{web}\"}}}}
  - {{name: refused, http: {{tcp: \"127.0.0.1:1\"}}}}
  rules:
  - name: files
    matches: [{{path: {{value: /files}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}]
    files: {{root: /www}}
  - matches: [{{path: {{value: /refused}}}}]
    backendRefs: [{{name: refused}}]
  - backendRefs: [{{name: web}}]
",
            root = dir.path().display(),
            web = backend.address()
        );
        let log = dir.path().join("access.log");
        let daemon =
            Daemon::builder().manifest("app.yaml", &manifest).arg("--access-log").arg(form).arg("--access-log-file").arg(log).start();
        Self { daemon, backend, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// The lines, once there are so many.
    fn lines(&self, count: usize) -> Vec<String> {
        until("the access log has its lines", || Some(lines(&self.path())).filter(|lines| lines.len() >= count))
    }

    fn json(&self, count: usize) -> Vec<Value> {
        self.lines(count).iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Asks, and lets go before there is an answer.
    fn leave_early(&self, path: &str) {
        let mut client = TcpStream::connect(self.daemon.address()).unwrap();
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n").as_bytes()).unwrap();
        while !self.backend.next().line().contains(path) {}
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read(path).map(|bytes| String::from_utf8(bytes).unwrap()).unwrap_or_default();
    // The last one may be on its way.
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

/// Answers, but at `/silent` never.
fn backend() -> Recorder {
    Recorder::answering(|request, stream| match request.line() {
        line if line.contains("/silent") => std::io::copy(stream, &mut std::io::sink()).is_ok(),
        _ => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").is_ok(),
    })
}

#[test]
fn a_line_in_json_tells_what_became_of_a_request() {
    let logged = Logged::new("json", backend());
    let ask = |path: &str| logged.daemon.request(path).host("app.test").header("Referer", "http://r/").header("User-Agent", "test");
    assert_eq!(ask("/files/a.txt?x=%20y").send().status, 200);
    assert_eq!(ask("/up//load/../x").body("12345").send().status, 200);
    assert_eq!(ask("/files/none").send().status, 404);
    let refused = ask("/refused").send();
    assert_eq!(refused.status, 503);
    assert_eq!(logged.daemon.request("/").host("nobody.test").send().status, 404);
    logged.leave_early("/silent");
    let lines = logged.json(6);
    assert_eq!(lines.len(), 6, "{lines:?}");
    let cells =
        |line: &Value| ["method", "path", "status", "bytes_in", "bytes_out", "app", "rule", "backend"].map(|cell| line[cell].to_string());
    for (line, expected) in lines.iter().zip([
        ["\"GET\"", "\"/files/a.txt?x=%20y\"", "200", "0", "7", "\"app\"", "\"files\"", "null"],
        ["\"POST\"", "\"/up//load/../x\"", "200", "5", "3", "\"app\"", "\"2\"", "\"web\""],
        ["\"GET\"", "\"/files/none\"", "404", "0", &lines[2]["bytes_out"].to_string(), "\"app\"", "\"files\"", "null"],
        ["\"GET\"", "\"/refused\"", "503", "0", &refused.body.len().to_string(), "\"app\"", "\"1\"", "\"refused\""],
        ["\"GET\"", "\"/\"", "404", "0", &lines[4]["bytes_out"].to_string(), "null", "null", "null"],
        ["\"GET\"", "\"/silent\"", "499", "0", "0", "\"app\"", "\"2\"", "\"web\""],
    ]) {
        assert_eq!(cells(line), expected.map(str::to_owned), "{line}");
        assert!(line["client"] == "127.0.0.1" && line["protocol"] == "HTTP/1.1" && line["duration_ms"].is_number(), "{line}");
        assert!(line["time"].as_str().is_some_and(|time| time.len() == "2026-11-23T15:30:28.250Z".len()), "{line}");
    }
    assert_eq!(
        (&lines[0]["referer"], &lines[0]["user_agent"], &lines[0]["host"]),
        (&"http://r/".into(), &"test".into(), &"app.test".into())
    );
    assert!(lines[0]["upstream_ms"].is_null() && lines[1]["upstream_ms"].is_number() && lines[5]["upstream_ms"].is_null());
    // The name of the request is the one that the client was told.
    assert!(refused.text().contains(lines[3]["request_id"].as_str().unwrap()), "{}", refused.text());
}

#[test]
fn a_combined_line_is_read_by_what_reads_those_of_nginx() {
    let logged = Logged::new("combined", backend());
    assert_eq!(logged.daemon.request("/x?a=b").host("app.test").header("User-Agent", "test 1.0").send().status, 200);
    logged.leave_early("/silent");
    let lines = logged.lines(2);
    let combined = regex::Regex::new(
        r#"^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /(?:x\?a=b|silent) HTTP/1\.1" (\d+) (\d+) "-" "(test 1\.0|-)" (.*)$"#,
    )
    .unwrap();
    let read = |line: &str| {
        let found = combined.captures(line).unwrap_or_else(|| panic!("{line}"));
        (found[1].to_owned(), found[2].to_owned(), found[3].to_owned(), found[4].to_owned())
    };
    let (status, bytes, agent, more) = read(&lines[0]);
    assert_eq!((status.as_str(), bytes.as_str(), agent.as_str()), ("200", "3", "test 1.0"));
    assert!(more.starts_with("app=app rule=2 backend=web host=app.test request_id="), "{more}");
    let (status, bytes, agent, _) = read(&lines[1]);
    assert_eq!((status.as_str(), bytes.as_str(), agent.as_str()), ("499", "0", "-"));
}

#[test]
fn a_hostile_client_writes_no_line_and_ends_no_field() {
    for form in ["combined", "json"] {
        let logged = Logged::new(form, backend());
        let mut client = TcpStream::connect(logged.daemon.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let hostile = b"\" 200 1 \"-\" \"x\\\x09\xc2\x9b31m\xff\\n app=forged";
        let mut request = b"GET /\"?\\%0a HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nReferer: ".to_vec();
        for piece in [&hostile[..], b"\r\nUser-Agent: ", hostile, &b"y".repeat(5000), b"\r\n\r\n"] {
            request.extend_from_slice(piece);
        }
        client.write_all(&request).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let lines = logged.lines(1);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        assert!(!line.chars().any(char::is_control) && line.len() < 8000, "{line:?}");
        if form == "combined" {
            // Six quotes are ours.
            assert_eq!(line.matches('"').count(), 6, "{line}");
            assert!(line.is_ascii() && line.contains(r"x\x5C\x09\xC2\x9B31m\xFF\x5Cn app=forged"), "{line}");
        } else {
            let object: Value = serde_json::from_str(line).unwrap();
            assert_eq!(object["referer"], String::from_utf8_lossy(hostile).into_owned());
            assert!(object["user_agent"].as_str().unwrap().ends_with("yyy..."), "{line}");
        }
    }
}

#[tokio::test]
async fn a_tunnel_is_a_line_when_it_ends_with_all_that_it_carried() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // What probes the backend is gone at once.
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { continue };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    break;
                }
            }
        }
    });
    let dir = crate::support::scratch();
    let log = dir.path().join("access.log");
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: app}}\nspec:\n  backends: [{{name: web, http: {{tcp: \"{address}\"}}}}]\n  rules: [{{backendRefs: [{{name: web}}]}}]\n"
    );
    let daemon =
        Daemon::builder().manifest("app.yaml", &manifest).arg("--access-log").arg("json").arg("--access-log-file").arg(&log).start();
    let stream = tokio::net::TcpStream::connect(daemon.address()).await.unwrap();
    let (mut socket, answer) = tokio_tungstenite::client_async(format!("ws://{}/live", daemon.address()), stream).await.unwrap();
    assert_eq!(answer.status(), 101);
    let text = "x".repeat(1000);
    for _ in 0..3 {
        socket.send(Message::text(text.clone())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap(), text);
    }
    assert_eq!(lines(&log), [""; 0], "it is not over yet");
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    drop(socket);
    let line: Value = serde_json::from_str(&until("there is a line", || lines(&log).pop())).unwrap();
    assert_eq!((&line["status"], &line["path"], &line["backend"]), (&101.into(), &"/live".into(), &"web".into()));
    let carried = |cell: &str| line[cell].as_u64().unwrap();
    assert!((3000..4000).contains(&carried("bytes_in")) && (3000..4000).contains(&carried("bytes_out")), "{line}");
}

#[test]
fn after_a_rename_and_sighup_lines_go_to_a_new_file() {
    let logged = Logged::new("json", backend());
    let old = logged.dir.path().join("access.log.1");
    assert_eq!(logged.daemon.request("/before").host("app.test").send().status, 200);
    logged.lines(1);
    fs::rename(logged.path(), &old).unwrap();
    logged.daemon.signal(Signal::HUP);
    until("the new file is there", || logged.path().exists().then_some(()));
    assert_eq!(logged.daemon.request("/after").host("app.test").send().status, 200);
    assert_eq!(logged.json(1)[0]["path"], "/after");
    assert_eq!(lines(&old).len(), 1);
}

#[test]
fn ten_thousand_requests_are_ten_thousand_lines_at_the_end_of_the_daemon() {
    let mut logged = Logged::new("combined", backend());
    let address = logged.daemon.address();
    std::thread::scope(|scope| {
        for client in 0..4 {
            scope.spawn(move || {
                let mut agent = Agent::connect(address);
                for number in 0..2500 {
                    assert_eq!(agent.get(&format!("/files/a.txt?{client}-{number}"), "app.test").0, 200);
                }
            });
        }
    });
    logged.daemon.signal(Signal::TERM);
    assert!(logged.daemon.wait_exit(PATIENCE).success());
    let mut targets: Vec<_> = lines(&logged.path()).iter().map(|line| line.split(' ').nth(6).unwrap().to_owned()).collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), 10_000);
}

#[test]
fn a_standard_output_that_nobody_reads_any_more_stops_nothing() {
    let backend = backend();
    let daemon =
        Daemon::builder().manifest("app.yaml", &backend.manifest("")).arg("--access-log").arg("combined").with_broken_stdout().start();
    for _ in 0..3 {
        assert_eq!(daemon.get("/").status, 200);
    }
    daemon.wait_log(PATIENCE, |line| line.contains("the access log can't be written"));
    assert_eq!(daemon.get("/").status, 200);
}
