//! flup over TCP, in the form that Seafile was deployed in: the application takes its path from `PATH_INFO`.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::gateway::free_port;
use crate::support::{needs, until};

const APPLICATION: &str = include_str!("../fixtures/flup_app.py");
const LARGE: usize = 20_000_000;

/// A flup server; it ends with the test.
struct Flup {
    process: Child,
    address: SocketAddr,
}

impl Flup {
    fn start() -> Self {
        let python = python();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", &python, "-c", APPLICATION, &address.to_string()]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let flup = Self { process, address };
        until("flup listens", || TcpStream::connect(address).ok());
        flup
    }

    fn daemon(&self) -> Daemon {
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: seafile}}
spec:
  backends:
  - name: seahub
    fastcgi: {{tcp: \"{}\", params: [{{name: PATH_INFO, value: \"{{path}}\"}}]}}
  rules:
  - matches: [{{path: {{value: /seafile}}}}]
    limits: {{requestBody: Unlimited}}
    backendRefs: [{{name: seahub}}]
",
            self.address
        );
        let daemon = Daemon::builder().manifest("seafile.yaml", &manifest).start();
        daemon.wait_condition("seafile", "Ready", PATIENCE);
        daemon
    }
}

impl Drop for Flup {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The python that has flup, as `tests/run` makes it.
fn python() -> String {
    let python = std::env::var("LXCPROXY_TEST_PYTHON").unwrap_or_else(|_| {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
        format!("{home}/.cache/lxcproxy-tests/venv/bin/python3")
    });
    let found = Command::new(&python).args(["-c", "import flup"]).stderr(Stdio::null()).status();
    assert!(found.is_ok_and(|status| status.success()), "{python} has no flup: run the tests with `tests/run`, which installs it");
    python
}

/// What the application sends.
fn wanted(size: usize) -> Vec<u8> {
    (0..size).map(|at| at.to_le_bytes()[0]).collect()
}

#[test]
fn flup_finds_its_path_and_its_answers_are_whole() {
    needs!(curl, python3);
    let flup = Flup::start();
    let daemon = flup.daemon();
    let told = daemon.get("/seafile/a%20b/%C3%BC?x=%20y");
    assert_eq!((told.status, told.text().as_str()), (200, "|/seafile/a b/ü|x=%20y"));
    assert_eq!(told.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 2);
    let moved = daemon.get("/seafile?location=/seafile/there");
    assert_eq!((moved.status, moved.header("location")), (302, "/seafile/there"), "flup says its status");
    for (query, known) in [("size=0", false), ("size=1&known=1", true), ("size=20000000", false), ("size=20000000&known=1", true)] {
        let size = if query.contains("20000000") { LARGE } else { usize::from(known) };
        let answer = daemon.get(&format!("/seafile/download?{query}"));
        assert_eq!((answer.status, answer.has("content-length") || size == 0), (200, known || size == 0), "{query}");
        assert!(answer.body == wanted(size), "{query}: {} bytes", answer.body.len());
        let head = daemon.request(&format!("/seafile/download?{query}")).method("HEAD").send();
        assert_eq!((head.status, head.body.len()), (200, 0), "{query}");
    }
}

#[test]
fn uploads_to_flup_arrive_whole_measured_or_not() {
    needs!(curl, python3);
    let flup = Flup::start();
    let daemon = flup.daemon();
    for (size, sha256) in [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (LARGE, ""),
    ] {
        let send = |framing: &[(&str, &str)]| {
            let request = daemon.request("/seafile/upload").header("Content-Type", "application/octet-stream").method("POST");
            let answer = framing.iter().fold(request, |request, (name, value)| request.header(name, value)).body(wanted(size)).send();
            assert_eq!(answer.status, 201, "{}", answer.text());
            answer.text()
        };
        let (measured, chunked) = (send(&[]), send(&[("Transfer-Encoding", "chunked")]));
        assert_eq!(measured, chunked);
        assert!(measured.starts_with(&format!("{size} {size} ")) && measured.ends_with(sha256), "{measured}");
    }
}

#[test]
fn many_clients_of_flup_do_not_see_each_others_answers() {
    needs!(curl, python3);
    let flup = Flup::start();
    let daemon = flup.daemon();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let daemon = &daemon;
            scope.spawn(move || {
                for turn in 0..5 {
                    let told = daemon.get(&format!("/seafile/{number}/{turn}"));
                    assert_eq!((told.status, told.text()), (200, format!("|/seafile/{number}/{turn}|")));
                }
            });
        }
    });
}
