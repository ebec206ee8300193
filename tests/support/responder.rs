//! A FastCGI application whose answers are any bytes: what a real one can't be made to say.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use super::PATIENCE;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The variables.
    pub params: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the connection is to be left open (`FCGI_KEEP_CONN`).
    pub keeps: bool,
}

impl Asked {
    /// A variable; empty if there is none.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }
}

/// An application on a port of the loopback; one request for each connection, unless it keeps them. Its threads end with the connections.
pub struct Responder {
    address: SocketAddr,
    asked: Mutex<Receiver<Asked>>,
}

impl Responder {
    /// One whose standard output is what `answer` says.
    #[must_use]
    pub fn new(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering(answer, false)
    }

    /// The same, with connections that it keeps for as long as the other side does.
    #[must_use]
    pub fn keeping(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering(answer, true)
    }

    fn answering(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static, keeps: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = channel();
        let answer = std::sync::Arc::new(answer);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (answer, sender) = (answer.clone(), sender.clone());
                std::thread::spawn(move || {
                    loop {
                        let request = read(&mut stream)?;
                        let output = answer(&request);
                        let _ = sender.send(request);
                        stream.write_all(&records(&output)).ok()?;
                        if !keeps {
                            return Some(());
                        }
                    }
                });
            }
        });
        Self { address, asked: Mutex::new(asked) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request that it got; fails after a deadline.
    #[must_use]
    pub fn next(&self) -> Asked {
        self.asked.lock().unwrap().recv_timeout(PATIENCE).expect("the application gets a request")
    }
}

/// Where [`answer_in`] listens, inside of its root.
pub const SOCKET: &str = "/run/fastcgi.sock";

/// An application at [`SOCKET`] of this root, whose output is always the same. A connection is kept if that is asked for. Its threads end
/// with the connections, its listener with the test.
pub fn answer_in(root: &Path, output: &'static [u8]) {
    fs::create_dir_all(root.join("run")).unwrap();
    let listener = UnixListener::bind(root.join(SOCKET.trim_start_matches('/'))).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                while let Some(request) = read(&mut stream) {
                    stream.write_all(&records(output)).ok()?;
                    if !request.keeps {
                        break;
                    }
                }
                Some(())
            });
        }
    });
}

/// `FCGI_STDOUT` as far as it goes, and the end of the request.
fn records(output: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in output.chunks(60_000) {
        let [high, low] = u16::try_from(piece.len()).unwrap().to_be_bytes();
        bytes.extend([1, 6, 0, 1, high, low, 0, 0]);
        bytes.extend(piece);
    }
    bytes.extend([1, 6, 0, 1, 0, 0, 0, 0]);
    bytes.extend([1, 3, 0, 1, 0, 8, 0, 0]);
    bytes.extend([0; 8]);
    bytes
}

/// A whole request; none: it broke off.
fn read(stream: &mut impl Read) -> Option<Asked> {
    let (mut params, mut body, mut keeps) = (Vec::new(), Vec::new(), false);
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).ok()?;
        let mut content = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]]))];
        stream.read_exact(&mut content).ok()?;
        stream.read_exact(&mut vec![0; usize::from(header[6])]).ok()?;
        match header[1] {
            1 => keeps = content[2] & 1 == 1,
            4 => params.extend(content),
            5 if content.is_empty() => return Some(Asked { params: pairs(&params), body, keeps }),
            5 => body.extend(content),
            _ => {}
        }
    }
}

fn pairs(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let length = |bytes: &mut &[u8]| {
        let long = bytes[0] & 0x80 != 0;
        let (length, rest) = bytes.split_at(if long { 4 } else { 1 });
        *bytes = rest;
        length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)) & 0x7fff_ffff
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut pairs = BTreeMap::new();
    while !bytes.is_empty() {
        let (name, value) = (length(&mut bytes), length(&mut bytes));
        let (pair, rest) = bytes.split_at(name + value);
        pairs.insert(text(&pair[..name]), text(&pair[name..]));
        bytes = rest;
    }
    pairs
}
