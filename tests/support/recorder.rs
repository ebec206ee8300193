//! A backend that writes down, byte for byte, what it is sent, and answers what the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Request line and fields, as they came; what is not UTF-8 as U+FFFD.
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
    broken: Arc<AtomicUsize>,
}

impl Recorder {
    /// A backend that answers every request with `ok`.
    #[must_use]
    pub fn new() -> Self {
        Self::answering(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").is_ok())
    }

    /// A backend with answers of the test's own: writes to the connection; `false` closes it afterwards.
    #[must_use]
    pub fn answering(answer: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::serving(move |stream, sender| {
            loop {
                let request = read(stream)?;
                let _ = sender.send(request.clone());
                if !answer(&request, stream.get_mut()) {
                    return Some(());
                }
            }
        })
    }

    /// A backend that answers when it has the head, reads no body, and closes.
    #[must_use]
    pub fn before_bodies(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::serving(move |stream, sender| {
            let request = Request { head: read_head(stream)?, body: Vec::new() };
            let _ = sender.send(request.clone());
            answer(&request, stream.get_mut());
            Some(())
        })
    }

    /// `serve` sees to a connection that carries something; none: it broke off.
    fn serving(serve: impl Fn(&mut BufReader<TcpStream>, &Sender<Request>) -> Option<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let (connections, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (serve, counters) = (Arc::new(serve), (connections.clone(), broken.clone()));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (serve, sender, (connections, broken)) = (serve.clone(), sender.clone(), counters.clone());
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    // A probe connects and sends nothing: it does not count.
                    if stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                        connections.fetch_add(1, Ordering::SeqCst);
                        if serve(&mut stream, &sender).is_none() {
                            broken.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        Self { address, requests: Mutex::new(requests), connections, broken }
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
        self.try_next().is_none()
    }

    /// The next request that it got up to now.
    #[must_use]
    pub fn try_next(&self) -> Option<Request> {
        self.requests.lock().unwrap().try_recv().ok()
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

    /// How many connections have ended inside of a request, or between two of them.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
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

fn read_head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut request = Request { head: read_head(stream)?, body: Vec::new() };
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
