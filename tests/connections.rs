//! Many connections at once: what they cost while they rest, and who waits for whom.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::{scratch, until};

/// Connections of each kind.
const COUNT: usize = 3_000;
/// Bytes of the process that a connection may have while it rests: 10,000 are less than 65 MB.
const MOST: u64 = 6_500;

/// A small file, and one of a gigabyte that takes no place.
fn files() -> (TempDir, Daemon) {
    let root = scratch();
    fs::create_dir(root.path().join("www")).unwrap();
    fs::write(root.path().join("www/small"), "small\n").unwrap();
    File::create(root.path().join("www/large")).unwrap().set_len(1 << 30).unwrap();
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: files}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  rules:
  - files: {{root: /www}}
",
        root.path().display()
    );
    let daemon = Daemon::builder().manifest("files.yaml", &manifest).arg("--threads").arg("1").start();
    daemon.wait_condition("files", "Ready", PATIENCE);
    (root, daemon)
}

/// Bytes of the process that are no file's.
fn anonymous(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Waits until `count` connections rest, and cost little. Memory goes back when more is asked for: new connections see to that.
fn cost_little(daemon: &Daemon, count: usize, before: u64) {
    until(&format!("each of {count} costs less than {MOST} bytes"), || {
        asked(daemon);
        (anonymous(daemon).saturating_sub(before) / (count as u64) < MOST).then_some(())
    });
}

/// A connection that has asked for something.
fn asked(daemon: &Daemon) -> Agent {
    let mut agent = Agent::connect(daemon.address());
    assert_eq!(agent.get("/small", "a").0, 200);
    agent
}

#[test]
fn a_connection_that_rests_or_has_not_spoken_yet_costs_a_few_kilobytes() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let (_root, daemon) = files();
    asked(&daemon);
    let before = anonymous(&daemon);
    let mut agents: Vec<_> = (0..COUNT).map(|_| asked(&daemon)).collect();
    cost_little(&daemon, COUNT, before);
    agents.extend((0..COUNT).map(|_| Agent::connect(daemon.address())));
    cost_little(&daemon, 2 * COUNT, before);
    for agent in agents.iter_mut().step_by(50) {
        assert_eq!(agent.get("/small", "a").0, 200);
    }
}

#[test]
fn a_small_answer_does_not_wait_for_the_end_of_a_large_one() {
    /// How much of the large one may go by while a small one is on its way: what the sockets hold, and much more than that.
    const BETWEEN: usize = 64 << 20;
    let (_root, daemon) = files();
    let mut large = TcpStream::connect(daemon.address()).unwrap();
    large.set_read_timeout(Some(PATIENCE)).unwrap();
    large.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut small = TcpStream::connect(daemon.address()).unwrap();
    small.set_nonblocking(true).unwrap();
    let (mut piece, mut answer, mut between, mut taken, mut answers) = (vec![0; 1 << 20], [0; 4096], Vec::new(), 0, 0);
    small.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    loop {
        match large.read(&mut piece).unwrap() {
            0 => break,
            count => taken += count,
        }
        match small.read(&mut answer) {
            Ok(count) => {
                assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
                answers += 1;
                between.push(std::mem::take(&mut taken));
                small.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    between.sort_unstable();
    assert!(answers >= 16 && between[answers / 2] < BETWEEN, "{answers} answers, after {between:?} bytes each");
}
