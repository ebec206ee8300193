//! Watch streams of the real daemon: an App comes, changes, goes; and many watchers keep nobody out.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::{API, curl, hold, schema, site};
use crate::support::cli::said;
use crate::support::daemon::{Daemon, PATIENCE};

/// A watch by `curl`, read line by line; it ends with the test.
struct Watch {
    curl: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(daemon: &Daemon, question: &str) -> Self {
        let mut command = Command::new("curl");
        command.args(["-q", "-sS", "-N", "--max-time", "60", "--unix-socket"]).arg(daemon.admin());
        let mut curl = command.arg(format!("http://lxcproxy{API}/{question}")).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(curl.stdout.take().unwrap());
        Self { curl, lines }
    }

    /// The next line; none: the stream is over.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let length = self.lines.read_line(&mut line).unwrap();
        (length > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    /// Reads up to a line that satisfies.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Vec::new();
        while let Some(line) = self.next() {
            if wanted(&line) {
                return line;
            }
            seen.push(line);
        }
        panic!("the stream has ended: {seen:#?}")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

fn is(line: &Value, type_: &str, name: &str) -> bool {
    line["type"] == type_ && line["object"]["metadata"]["name"] == name
}

/// Whether it tells of a condition of an App.
fn tells(line: &Value, type_: &str, status: &str) -> bool {
    let conditions = line["object"]["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|condition| condition["type"] == type_ && condition["status"] == status))
}

#[test]
fn an_app_is_seen_to_come_to_change_and_to_go() {
    let daemon = Daemon::builder().manifest("blog.yaml", &site("blog", "blog.example.org")).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    let mut watch = Watch::start(&daemon, "apps?watch=true");
    let schema = schema("AppWatchEvent");
    assert!(is(&watch.next().unwrap(), "ADDED", "blog"));
    let bookmark = watch.next().unwrap();
    hold(&schema, &bookmark);
    assert_eq!(bookmark["type"], "BOOKMARK");
    daemon.manifest("wiki.yaml", &site("wiki", "wiki.example.org"));
    let come = watch.until(|line| is(line, "ADDED", "wiki"));
    daemon.wait_condition("wiki", "Ready", PATIENCE);
    daemon.manifest("wiki.yaml", &site("wiki", "wiki.example.org").replace("hostnames", "hostname"));
    let change = watch.until(|line| is(line, "MODIFIED", "wiki") && tells(line, "Accepted", "False"));
    daemon.remove_manifest("wiki.yaml");
    let gone = watch.until(|line| is(line, "DELETED", "wiki"));
    for line in [come, change, gone] {
        hold(&schema, &line);
    }
}

#[test]
fn a_watch_ends_well_with_the_daemon() {
    let mut daemon = Daemon::builder().start();
    let mut watch = Watch::start(&daemon, "apps?watch=true");
    assert_eq!(watch.next().unwrap()["type"], "BOOKMARK");
    daemon.signal(Signal::TERM);
    assert_eq!(watch.next(), None);
    assert!(watch.curl.wait().unwrap().success(), "the body has its end");
    assert!(daemon.wait_exit(PATIENCE).success());
}

#[test]
fn two_hundred_idle_watchers_keep_nobody_out() {
    let daemon = Daemon::builder().manifest("blog.yaml", &site("blog", "blog.example.org")).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    let mut watchers: Vec<UnixStream> = (0..200).map(|_| UnixStream::connect(daemon.admin()).unwrap()).collect();
    let mut refused = 0;
    for watcher in &mut watchers {
        write!(watcher, "GET {API}/apps?watch=true HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        watcher.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut status = [0; 12];
        watcher.read_exact(&mut status).unwrap();
        match &status[9..] {
            b"200" => {}
            b"429" => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 200 - 128);
    let began = Instant::now();
    assert_eq!(said(&mut daemon.cli(&["get", "apps", "-o", "name"])).out, "app.lxcproxy.dev/blog\n");
    assert_eq!(curl(&daemon, "/healthz").send().status, 200);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    drop(watchers);
    daemon.eventually(PATIENCE, || match curl(&daemon, &format!("{API}/apps?watch=true&timeoutSeconds=1")).send().status {
        200 => Ok(()),
        status => Err(format!("{status}")),
    });
}
