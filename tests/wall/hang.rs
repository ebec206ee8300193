//! A file system in a container that never answers: its own App gets an error by a deadline, all others are answered meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::fuse::{Hangs, Hostile};
use crate::support::daemon::{Builder, Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::site::Site;
use crate::support::{needs, until};
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::process::Signal;

/// More than one container has threads for.
const HUNG: usize = 20;

fn files(name: &str, rootfs: &std::path::Path, root: &str, more: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {name}}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  hostnames: [{name}.test]
  {more}
  rules:
  - files: {{root: {root}}}
",
        rootfs.display()
    )
}

/// A daemon with a single serving thread, the hostile App, and one that has nothing to do with it.
fn daemon(hostile: &Hostile, site: &Site) -> Builder {
    let words = hostile.words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Daemon::builder()
        .arg("--threads=1")
        // The end waits for no look that hangs, and the test not for a client's deadline.
        .arg("--drain-timeout=1s")
        .within(&words)
        .manifest("hostile.yaml", &files("hostile", &hostile.rootfs(), "/www", ""))
        .manifest("other.yaml", &site.manifest("other", "other.test", ""))
}

/// Asks, and leaves the answer in the connection.
fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: hostile.test\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    stream
}

fn status(mut stream: &TcpStream) -> String {
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8_lossy(&line[9..]).into_owned()
}

/// Backend and files of the App beside it are there, on the thread that the hostile one is served by.
fn others_are_answered(daemon: &Daemon) {
    let mut agent = Agent::connect(daemon.address());
    for _ in 0..20 {
        assert_eq!(agent.get("/", "other.test").0, 200);
        assert_eq!(agent.get("/files/index.html", "other.test").0, 200);
    }
}

fn ends(mut daemon: Daemon) {
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(PATIENCE).success());
}

#[test]
fn a_look_up_that_hangs_is_504_by_its_deadline_and_holds_up_nobody_else() {
    needs!(root, python3, unshare);
    let (hostile, site) = (Hostile::new(Hangs::Always), Site::new("alive"));
    let daemon = daemon(&hostile, &site).start();
    let hung: Vec<_> = (0..HUNG).map(|_| ask(daemon.address(), "/mnt/x")).collect();
    others_are_answered(&daemon);
    assert_eq!(Agent::connect(daemon.address()).get("/ok.txt", "hostile.test").0, 200, "its own disk does not hang");
    for stream in &hung {
        assert_eq!(status(stream), "504");
    }
    others_are_answered(&daemon);
    let _hung_at_the_end = ask(daemon.address(), "/mnt/x");
    ends(daemon);
}

#[test]
fn a_file_that_hangs_when_it_is_opened_hangs_nobody_though_the_kernel_knows_its_name() {
    needs!(root, python3, unshare);
    let (hostile, site) = (Hostile::new(Hangs::OnOpen), Site::new("alive"));
    let daemon = daemon(&hostile, &site).start();
    // The first has the kernel remember the name: from then on the look-up is no wait, and the opening still is.
    let first = ask(daemon.address(), "/mnt/file");
    others_are_answered(&daemon);
    let www = format!("/proc/{}/root{}/www", daemon.pid(), hostile.rootfs().display());
    let www = open(www, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let known = || openat2(&www, "mnt/file", OFlags::PATH, Mode::empty(), ResolveFlags::CACHED).ok();
    drop(until("the kernel knows the name", known));
    let second = ask(daemon.address(), "/mnt/file");
    others_are_answered(&daemon);
    for stream in [first, second] {
        assert_eq!(status(&stream), "504");
    }
    let hung: Vec<_> = (0..HUNG).map(|_| ask(daemon.address(), "/mnt/sub/file")).collect();
    others_are_answered(&daemon);
    hostile.kill();
    for stream in &hung {
        assert!(["500", "504"].contains(&status(stream).as_str()));
    }
    assert_eq!(status(&ask(daemon.address(), "/mnt/file")), "500", "what is gone is told at once");
    others_are_answered(&daemon);
    ends(daemon);
}

#[test]
fn a_file_that_hangs_when_it_is_read_or_closed_hangs_nobody() {
    needs!(root, python3, unshare);
    let (hostile, site) = (Hostile::new(Hangs::OnRead), Site::new("alive"));
    let daemon = daemon(&hostile, &site).start();
    let hung: Vec<_> = (0..HUNG).map(|_| ask(daemon.address(), "/mnt/file")).collect();
    others_are_answered(&daemon);
    // Those that were opened have a head; the client leaves in the midst of their bodies, and they are closed.
    assert!(hung.iter().any(|stream| status(stream) == "200"));
    drop(hung);
    others_are_answered(&daemon);
    hostile.kill();
    assert_eq!(status(&ask(daemon.address(), "/mnt/file")), "500");
    ends(daemon);
}

#[test]
fn whatever_of_an_app_hangs_delays_its_own_look_only_and_is_told() {
    needs!(root, python3, unshare);
    let (hostile, site) = (Hostile::new(Hangs::Always), Site::new("alive"));
    let passwords = "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: passwords}
spec:
  container: {runtime: Directory, rootfs: ROOT}
  hostnames: [passwords.test]
  rules:
  - filters: [{type: BasicAuth, basicAuth: {file: /www/mnt/users}}]
    files: {root: /www}
";
    let socket = "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: socket}
spec:
  container: {runtime: Directory, rootfs: ROOT}
  hostnames: [socket.test]
  backends: [{name: web, http: {unix: /www/mnt/run/app.sock}}]
  rules: [{backendRefs: [{name: web}]}]
";
    let rootfs = hostile.rootfs();
    let place = |text: &str| text.replace("ROOT", &rootfs.display().to_string());
    let daemon = daemon(&hostile, &site)
        .manifest("root.yaml", &files("root", &rootfs, "/www/mnt/sub", ""))
        .manifest("container.yaml", &files("container", &rootfs.join("www/mnt/sub"), "/", ""))
        .manifest("passwords.yaml", &place(passwords))
        .manifest("socket.yaml", &place(socket))
        .start();
    others_are_answered(&daemon);
    for (app, reason, words) in [
        ("root", "RootNotFound", "did not answer within 5 s"),
        ("container", "ContainerNotFound", "did not answer within 5 s"),
        ("passwords", "FileNotFound", "did not answer within 5 s"),
        ("socket", "ConnectionRefused", "timed out"),
    ] {
        let message = daemon.wait_reason(app, "ResolvedRefs", reason, PATIENCE);
        assert!(message.contains(words), "{app}: {message}");
    }
    // The control plane goes on beside looks that hang.
    daemon.manifest("late.yaml", &site.manifest("late", "late.test", ""));
    daemon.wait_condition("late", "Ready", PATIENCE);
    assert_eq!(Agent::connect(daemon.address()).get("/", "late.test").0, 200);
    ends(daemon);
}
