//! Answers that go on for long, through a coding: each part is there when its backend has sent it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::{Says, Shop, decoded, path, prose};
use crate::support::daemon::Daemon;
use crate::support::needs;

/// A real curl that decodes what it is sent, as it comes.
pub struct Reader {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Reader {
    /// Asks for one coding, and takes no other.
    pub fn new(daemon: &Daemon, path: &str, coding: &str) -> Self {
        let mut command = Command::new("curl");
        command.args(["-q", "-sSN", "--compressed", "--max-time", "60", "--noproxy", "*", "-H"]);
        command.arg(format!("Accept-Encoding: {coding}, *;q=0")).arg(daemon.url(path));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `/events`: each event is sent when the test says so. `/large`: a few megabytes.
fn shop() -> (Shop, Sender<&'static str>) {
    let (events, receiver) = channel::<&str>();
    let receiver = Mutex::new(receiver);
    let says = Says { rule: "filters: [{type: Compression, compression: {}}]", ..Says::default() };
    let shop = Shop::new(&[("www/files/large.txt", &prose(2_000_000))], &says, move |request, stream| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type";
        if path(request) == "/large" {
            let text = prose(1_000_000);
            let chunk = |part: &[u8]| format!("{:x}\r\n{}\r\n", part.len(), str::from_utf8(part).unwrap());
            let chunks: String = text.as_bytes().chunks(999).map(chunk).collect();
            return stream.write_all(format!("{head}: text/plain\r\n\r\n{chunks}0\r\n\r\n").as_bytes()).is_ok();
        }
        stream.write_all(format!("{head}: text/event-stream\r\n\r\n").as_bytes()).unwrap();
        while let Ok(event) = receiver.lock().unwrap().recv() {
            if event.is_empty() {
                break;
            }
            write!(stream, "{:x}\r\n{event}\r\n", event.len()).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
    (shop, events)
}

#[test]
fn server_sent_events_arrive_one_by_one_in_every_coding() {
    needs!(curl);
    let (shop, events) = shop();
    for coding in ["zstd", "br", "gzip"] {
        let mut reader = Reader::new(&shop.daemon, "/events", coding);
        for event in ["data: one\n", "data: two\n", "data: three\n"] {
            events.send(event).unwrap();
            assert_eq!(reader.line(), event, "{coding}");
        }
        events.send("").unwrap();
        assert_eq!(reader.line(), "", "{coding}");
        assert!(reader.child.wait().unwrap().success(), "{coding}: curl misses the end");
    }
}

#[test]
fn a_large_answer_is_whole_in_every_coding() {
    needs!(curl);
    let (shop, _events) = shop();
    for (path, length) in [("/large", 1_000_000), ("/files/large.txt", 2_000_000)] {
        for coding in ["zstd", "br", "gzip"] {
            let answer = shop.daemon.request(path).header("Accept-Encoding", coding).arg("--max-time").arg("120").send();
            assert_eq!(answer.header("content-encoding"), coding);
            assert!(answer.body.len() < length / 2, "{coding} {path}: {} bytes", answer.body.len());
            assert!(decoded(&answer) == prose(length), "{coding} {path}");
        }
    }
}
