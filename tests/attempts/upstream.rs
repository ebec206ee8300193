//! A backend on a unix socket that comes and goes as a process does that is killed: with its socket, and with every connection.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

/// An App in a root directory of its own, with its backend at `/run/app.sock`.
pub struct Upstream {
    dir: TempDir,
    /// Request lines, in the order in which they came, over all its lives.
    seen: Arc<Mutex<Vec<String>>>,
    life: Option<Life>,
}

/// From a start to a stop.
struct Life {
    ended: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<UnixStream>>>,
    accepting: JoinHandle<()>,
}

impl Upstream {
    /// One that is not started.
    pub fn new() -> Self {
        let dir = crate::support::scratch();
        fs::create_dir(dir.path().join("run")).unwrap();
        Self { dir, seen: Arc::default(), life: None }
    }

    /// One that runs.
    pub fn started() -> Self {
        let mut this = Self::new();
        this.start();
        this
    }

    /// A manifest that sends everything there. `backend` goes into the backend, `rule` into the rule.
    pub fn manifest(&self, backend: &str, rule: &str) -> String {
        format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  backends: [{{name: web, http: {{unix: /run/app.sock}}, {backend}}}]
  rules:
  - backendRefs: [{{name: web}}]
    {rule}
",
            self.dir.path().display()
        )
    }

    /// Listens, and answers every request with `ok`, a little later.
    pub fn start(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let (ended, connections) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<UnixStream>>>::default());
        let (ends, accepted, seen) = (ended.clone(), connections.clone(), self.seen.clone());
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                accepted.lock().unwrap().push(stream.try_clone().unwrap());
                let seen = seen.clone();
                std::thread::spawn(move || serve(stream, &seen));
            }
        });
        self.life = Some(Life { ended, connections, accepting });
    }

    /// Ends it, and whatever it was doing.
    pub fn stop(&mut self) {
        let Some(life) = self.life.take() else { return };
        life.ended.store(true, Ordering::SeqCst);
        // It may be waiting for a connection: this is one.
        drop(UnixStream::connect(self.socket()).unwrap());
        life.accepting.join().unwrap();
        for connection in life.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        fs::remove_file(self.socket()).unwrap();
    }

    /// The request lines that it got up to now.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/app.sock")
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Requests with a length or without a body. The work takes a moment, so that some are always under way.
fn serve(stream: UnixStream, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let line = head.lines().next()?.to_owned();
        let length = head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink()).ok()?;
        seen.lock().unwrap().push(line);
        std::thread::park_timeout(Duration::from_millis(1));
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").ok()?;
    }
}
