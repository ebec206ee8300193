//! A backend on a unix socket of a directory, whose connections are kept and whose answers cost it next to nothing.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Where it listens, inside of its root.
pub const SOCKET: &str = "/run/app.sock";

/// What it answers to everything.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 127\r\n\r\n";

/// Listens at [`SOCKET`] of this root. Its threads end with the connections, its listener with the test.
pub fn answer_in(root: &Path) {
    fs::create_dir_all(root.join("run")).unwrap();
    let listener = UnixListener::bind(root.join(SOCKET.trim_start_matches('/'))).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream));
        }
    });
}

/// Until there is no further request.
fn serve(stream: UnixStream) -> Option<()> {
    let answer = [ANSWER, &[b'x'; 127]].concat();
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(announced) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = announced.trim().parse().ok()?;
            }
        }
        stream.read_exact(&mut vec![0; length]).ok()?;
        stream.get_mut().write_all(&answer).ok()?;
    }
}
