//! One endpoint: an HTTP server on a unix socket, which does what the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It answers 200 and its name.
    Well,
    /// It answers this status.
    Status(u16),
    /// It takes the request and says nothing.
    Hang,
    /// It takes the request and closes the connection.
    Close,
    /// It answers with the head and half of a body, and goes on once the mode is another.
    Half,
}

/// An endpoint. Its threads end when it is stopped or dropped.
pub struct Peer {
    name: String,
    socket: PathBuf,
    shared: Arc<Shared>,
    running: Option<JoinHandle<()>>,
}

struct Shared {
    /// To requests, and to questions for `/up`.
    modes: Mutex<(Mode, Mode)>,
    requests: AtomicUsize,
    questions: AtomicUsize,
    stopped: AtomicBool,
    open: Mutex<Vec<UnixStream>>,
}

impl Peer {
    /// An endpoint on `NAME.sock` in this directory, which is well.
    #[must_use]
    pub fn start(directory: &Path, name: &str) -> Self {
        let shared = Shared {
            modes: Mutex::new((Mode::Well, Mode::Well)),
            requests: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            open: Mutex::default(),
        };
        let mut peer =
            Self { name: name.to_owned(), socket: directory.join(format!("{name}.sock")), shared: Arc::new(shared), running: None };
        peer.restart();
        peer
    }

    /// Listens again.
    pub fn restart(&mut self) {
        self.stop();
        self.shared.stopped.store(false, Ordering::SeqCst);
        let listener = UnixListener::bind(&self.socket).unwrap();
        let (name, shared) = (self.name.clone(), self.shared.clone());
        self.running = Some(std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                shared.open.lock().unwrap().push(stream.try_clone().unwrap());
                let (name, shared) = (name.clone(), shared.clone());
                std::thread::spawn(move || serve(stream, &name, &shared));
            }
        }));
    }

    /// Closes everything, and takes the socket away.
    pub fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(UnixStream::connect(&self.socket));
        running.join().unwrap();
        std::fs::remove_file(&self.socket).unwrap();
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// What it does with requests from now on.
    pub fn does(&self, mode: Mode) {
        self.shared.modes.lock().unwrap().0 = mode;
    }

    /// What it does with questions for `/up` from now on.
    pub fn answers_checks(&self, mode: Mode) {
        self.shared.modes.lock().unwrap().1 = mode;
    }

    /// Requests that it has had, other than for `/up`.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Requests for `/up` that it has had.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.shared.questions.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.does(Mode::Close);
        self.stop();
    }
}

fn serve(stream: UnixStream, name: &str, shared: &Shared) {
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream) {
        let is_question = head.starts_with("GET /up ");
        let counter = if is_question { &shared.questions } else { &shared.requests };
        counter.fetch_add(1, Ordering::SeqCst);
        let mode = || {
            let (requests, questions) = *shared.modes.lock().unwrap();
            if is_question { questions } else { requests }
        };
        let say = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        let out = stream.get_mut();
        let written = match mode() {
            Mode::Well => out.write_all(say(200).as_bytes()),
            Mode::Status(status) => out.write_all(say(status).as_bytes()),
            Mode::Close => {
                // Another handle of it is kept for `stop`.
                let _ = out.shutdown(Shutdown::Both);
                return;
            }
            Mode::Hang => {
                // Until the other side has enough of it.
                let _ = stream.read(&mut [0; 16]);
                return;
            }
            Mode::Half => {
                out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").unwrap();
                while mode() == Mode::Half {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                out.write_all(b"half")
            }
        };
        if written.is_err() {
            return;
        }
    }
}

fn read_head(stream: &mut BufReader<UnixStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}
