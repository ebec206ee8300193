//! Requests over one kept connection: what `curl` per request would be too slow for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Agent(BufReader<TcpStream>);

impl Agent {
    /// Connects.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// GET: the status, and the head as it came but for the case of letters.
    pub fn get(&mut self, path: &str, host: &str) -> (u16, String) {
        let (status, head, _) = self.fetch(path, host);
        (status, head)
    }

    /// GET: the status, the head in lower case, the body. An answer without a length has no body here.
    pub fn fetch(&mut self, path: &str, host: &str) -> (u16, String, Vec<u8>) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    /// POST: the same.
    pub fn post(&mut self, path: &str, host: &str, body: &str) -> (u16, String, Vec<u8>) {
        let length = body.len();
        self.send(&format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"))
    }

    /// Sends a request as it is written, in one piece: the kernel would hold a second one back until the first is acknowledged.
    fn send(&mut self, request: &str) -> (u16, String, Vec<u8>) {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "closed after {head:?}");
            if line == "\r\n" {
                break;
            }
            head.push_str(&line.to_ascii_lowercase());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
        (status, head, body)
    }
}
