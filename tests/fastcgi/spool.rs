//! Bodies whose length nobody announced: where they wait, and what is left of them.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;

use tempfile::TempDir;

use crate::support::daemon::{Builder, Daemon, PATIENCE};
use crate::support::{needs, scratch, until};

/// A daemon that spools into `spool` of the directory, and a backend there that takes connections and never answers.
struct Spooling {
    daemon: Daemon,
    root: TempDir,
    backend: UnixListener,
}

impl Spooling {
    fn new(dress: impl FnOnce(Builder) -> Builder) -> Self {
        let root = scratch();
        for name in ["spool", "www"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("www/file.txt"), "file").unwrap();
        let backend = UnixListener::bind(root.path().join("app.sock")).unwrap();
        backend.set_nonblocking(true).unwrap();
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  backends: [{{name: web, fastcgi: {{unix: /app.sock}}}}]
  rules:
  - matches: [{{path: {{value: /file.txt}}}}]
    files: {{root: /www}}
  - backendRefs: [{{name: web}}]
    limits: {{requestBody: 4Mi}}
",
            root.path().display()
        );
        let builder = Daemon::builder().env("TMPDIR", root.path().join("spool")).manifest("app.yaml", &manifest);
        let daemon = dress(builder).start();
        daemon.wait_condition("app", "Ready", PATIENCE);
        // The look at the backend was a connection, too.
        while backend.accept().is_ok() {}
        Self { daemon, root, backend }
    }

    fn spool(&self) -> std::path::PathBuf {
        self.root.path().join("spool")
    }

    /// The daemon's descriptors of files in the spool directory: they have no name there.
    fn files(&self) -> usize {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.daemon.pid())).unwrap();
        descriptors
            .filter_map(Result::ok)
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .filter(|to| to.starts_with(self.spool()))
            .count()
    }

    /// Sends the beginning of a chunked body.
    fn begin(&self, bytes: usize) -> TcpStream {
        let mut client = TcpStream::connect(self.daemon.address()).unwrap();
        client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        let piece = vec![b'x'; 65_536];
        for _ in 0..bytes / piece.len() {
            client.write_all(b"10000\r\n").unwrap();
            client.write_all(&piece).unwrap();
            client.write_all(b"\r\n").unwrap();
        }
        client
    }

    fn post(&self, bytes: usize) -> u16 {
        self.daemon.request("/").header("Transfer-Encoding", "chunked").header("Expect", "").body(vec![b'x'; bytes]).send().status
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn a_body_waits_in_a_file_without_a_name_which_goes_with_its_client() {
    let spooling = Spooling::new(|builder| builder);
    let client = spooling.begin(2 << 20);
    until("the body is in a file", || (spooling.files() == 1).then_some(()));
    assert!(is_empty(&spooling.spool()), "nobody else can open it");
    assert!(spooling.backend.accept().is_err(), "nothing is sent before its length is known");
    drop(client);
    until("the file is gone", || (spooling.files() == 0).then_some(()));
    assert!(is_empty(&spooling.spool()) && spooling.backend.accept().is_err());
}

#[test]
fn a_body_over_the_limit_is_refused_and_its_file_is_gone() {
    needs!(curl);
    let spooling = Spooling::new(|builder| builder);
    assert_eq!(spooling.post((4 << 20) + 1), 413);
    until("the file is gone", || (spooling.files() == 0).then_some(()));
    assert!(is_empty(&spooling.spool()) && spooling.backend.accept().is_err(), "it never reached the backend");
}

#[test]
fn a_full_disk_is_a_503_and_nothing_hangs() {
    needs!(curl, root, unshare);
    // The directory is a file system of one megabyte, for the daemon alone.
    let mount = "mount -t tmpfs -o size=1m none \"$TMPDIR\" && exec \"$@\"";
    let spooling = Spooling::new(|builder| builder.within(&["unshare", "--mount", "sh", "-c", mount, "sh"]));
    for _ in 0..3 {
        assert_eq!(spooling.post(4 << 20), 503);
    }
    assert!(spooling.backend.accept().is_err());
    until("the files are gone", || (spooling.files() == 0).then_some(()));
    spooling.daemon.wait_log(PATIENCE, |line| line.contains("out of a local resource") && line.contains("No space left"));
    assert_eq!(spooling.daemon.get("/file.txt").text(), "file", "everything else is served");
}
