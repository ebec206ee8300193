//! A daemon that serves one directory, and clients that take their time.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::scratch;

/// A root directory whose `www` is served by a daemon with one thread.
pub struct Shelf {
    pub daemon: Daemon,
    root: TempDir,
}

/// A connection that is read as far as the test wants.
pub struct Client {
    stream: TcpStream,
    /// What came behind the part that was asked for.
    ahead: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    /// `Content-Length`; 0 if there is none.
    pub length: usize,
    pub etag: String,
}

impl Shelf {
    /// `rule`: more lines of the rule.
    pub fn new(rule: &str) -> Self {
        Self::at(scratch(), rule)
    }

    /// The same, with its root on the file system of this directory.
    pub fn at(root: TempDir, rule: &str) -> Self {
        fs::create_dir_all(root.path().join("www")).unwrap();
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: shelf}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  rules:
  - files: {{root: /www}}
    {rule}
",
            root.path().display()
        );
        let daemon = Daemon::builder().manifest("shelf.yaml", &manifest).arg("--threads").arg("1").start();
        daemon.wait_condition("shelf", "Ready", PATIENCE);
        Self { daemon, root }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("www").join(name)
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn client(&self) -> Client {
        let stream = TcpStream::connect(self.daemon.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, ahead: Vec::new() }
    }

    /// How many descriptors the daemon has of this file, whatever became of its name.
    pub fn descriptors(&self, path: &Path) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.daemon.pid())).unwrap();
        let links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with(&*path.to_string_lossy())).count()
    }
}

impl Client {
    /// Asks for a file. `more`: fields, each with its end of line.
    pub fn ask(&mut self, method: &str, path: &str, more: &str) {
        self.stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: shelf\r\n{more}\r\n").as_bytes()).unwrap();
    }

    /// The same connection, to write on while this one is read.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// The head of the next answer.
    pub fn head(&mut self) -> Head {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more() > 0, "no head, but {:?}", String::from_utf8_lossy(&self.ahead));
        };
        let head = String::from_utf8(self.ahead.drain(..end).collect()).unwrap().to_ascii_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        Head { status: head[9..12].parse().unwrap(), length: field("content-length: ").parse().unwrap_or(0), etag: field("etag: ") }
    }

    /// So many bytes of a body, or as many as there are.
    pub fn body(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length && self.more() > 0 {}
        self.ahead.drain(..length.min(self.ahead.len())).collect()
    }

    /// What comes until the other side closes. An end by a reset counts: it comes with what was not read of a request.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.ahead)
    }

    fn more(&mut self) -> usize {
        let mut buffer = vec![0; 256 << 10];
        let length = match self.stream.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            read => read.expect("there is more, or an end, in time"),
        };
        self.ahead.extend_from_slice(&buffer[..length]);
        length
    }
}

/// Bytes that tell their place: each eight of them are the number of the eight.
pub fn numbered(length: usize) -> Vec<u8> {
    let words = 0..u64::try_from(length.div_ceil(8)).unwrap();
    let mut content: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    content.truncate(length);
    content
}
