//! A backend that writes down, byte for byte, what it is sent, and answers what the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a request is answered: writes to the connection; `false` closes it afterwards.
pub type Answer = dyn Fn(&Request, &mut TcpStream) -> bool + Send + Sync;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Request line and fields, as they came.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Request {
    /// All values of a field, in the order in which they came.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        let field = |line: &'_ str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        self.head.lines().filter(|line| field(line)).filter_map(|line| Some(line.split_once(':')?.1.trim())).collect()
    }

    /// The request line.
    #[must_use]
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or("")
    }
}

/// A backend on a port of the loopback. Its threads end with the connections, its listener with the test.
pub struct Recorder {
    address: SocketAddr,
    requests: Mutex<Receiver<Request>>,
    connections: Arc<AtomicUsize>,
}

impl Recorder {
    /// A backend that answers every request with `ok`.
    #[must_use]
    pub fn new() -> Self {
        Self::answering(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").is_ok())
    }

    /// A backend with answers of the test's own.
    #[must_use]
    pub fn answering(answer: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, counter): (Arc<Answer>, _) = (Arc::new(answer), connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, sender, counter) = (answer.clone(), sender.clone(), counter.clone());
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    // A probe connects and sends nothing: it does not count.
                    if stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                        counter.fetch_add(1, Ordering::SeqCst);
                        serve(&mut stream, &*answer, &sender);
                    }
                });
            }
        });
        Self { address, requests: Mutex::new(requests), connections }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request that it got; fails after a deadline.
    #[must_use]
    pub fn next(&self) -> Request {
        self.requests.lock().unwrap().recv_timeout(Duration::from_secs(20)).expect("the backend gets a request")
    }

    /// Whether it got no further request up to now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.requests.lock().unwrap().try_recv().is_err()
    }

    /// The requests that it got up to now and that nobody has taken.
    #[must_use]
    pub fn taken(&self) -> Vec<Request> {
        self.requests.lock().unwrap().try_iter().collect()
    }

    /// How many connections carried at least one request.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A manifest that sends everything here. `rule` goes into its one rule.
    #[must_use]
    pub fn manifest(&self, rule: &str) -> String {
        format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  backends: [{{name: web, http: {{tcp: \"{}\"}}}}]
  rules:
  - backendRefs: [{{name: web}}]
    {rule}
",
            self.address
        )
    }
}

fn serve(stream: &mut BufReader<TcpStream>, answer: &Answer, sender: &Sender<Request>) {
    loop {
        let Some(request) = read(stream) else { return };
        let _ = sender.send(request.clone());
        if !answer(&request, stream.get_mut()) {
            return;
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut request = Request { head, body: Vec::new() };
    if request.values("transfer-encoding") == ["chunked"] {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            request.body.extend_from_slice(&chunk[..size]);
        }
    } else if let Some(length) = request.values("content-length").first().and_then(|length| length.parse().ok()) {
        request.body = vec![0; length];
        stream.read_exact(&mut request.body).ok()?;
    }
    Some(request)
}
