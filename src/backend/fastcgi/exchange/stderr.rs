//! What an application writes to `FCGI_STDERR` -> lines of the log.
//!
//! In: bytes, cut anywhere. Out: one log line for each of theirs. Never: more than [`LIMIT`] bytes for a request, a control character.

use bytes::Bytes;

use crate::names::AppName;

/// Bytes of one request that are logged; the rest is counted.
const LIMIT: usize = 16 * 1024;

/// Complaints of one request.
#[derive(Debug)]
pub(super) struct StderrLog {
    app: AppName,
    request_id: Box<str>,
    /// The line in hand.
    line: Vec<u8>,
    /// Bytes that may still be logged.
    left: usize,
    dropped: usize,
}

impl StderrLog {
    pub(super) fn new(app: AppName, request_id: &str) -> Self {
        Self { app, request_id: request_id.into(), line: Vec::new(), left: LIMIT, dropped: 0 }
    }

    /// Logs every line that is whole.
    pub(super) fn write(&mut self, bytes: &Bytes) {
        let (kept, dropped) = bytes.split_at(bytes.len().min(self.left));
        self.left -= kept.len();
        self.dropped += dropped.len();
        let mut rest = kept;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            self.flush();
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.trim_ascii().is_empty() {
            let (app, request_id) = (self.app.as_str(), &*self.request_id);
            tracing::warn!(target: "lxcproxy::fastcgi", app, request_id, "{}", escape(&line));
        }
    }
}

impl Drop for StderrLog {
    fn drop(&mut self) {
        self.flush();
        if self.dropped > 0 {
            let (app, request_id, dropped) = (self.app.as_str(), &*self.request_id, self.dropped);
            tracing::warn!(target: "lxcproxy::fastcgi", app, request_id, dropped, "the application wrote more to stderr than is logged");
        }
    }
}

/// A line that can't move a terminal's cursor or pretend to be another line.
fn escape(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.trim_ascii());
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        // Separators of lines and paragraphs, and marks that turn the direction of writing, are no control characters to Unicode.
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || turns {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(pieces: &[&[u8]]) -> String {
        let sink = Sink::default();
        let subscriber = |writer: Sink| tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        // While there is one dispatcher only, tracing asks the current thread's whether a line is of interest, and remembers the answer for
        // all: the thread of another test, which has none, would switch it off.
        let _beside = tracing::Dispatch::new(subscriber(sink.clone()));
        tracing::subscriber::with_default(subscriber(sink.clone()), || {
            let mut log = StderrLog::new("ttrss".parse().unwrap(), "r1");
            for piece in pieces {
                log.write(&Bytes::copy_from_slice(piece));
            }
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_are_logged_whole_with_app_and_request() {
        let text = logged(&[b"PHP War", b"ning: x\r\n\nsecond", b" one"]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("WARN lxcproxy::fastcgi: PHP Warning: x app=\"ttrss\" request_id=\"r1\""), "{text}");
        assert!(lines[1].contains("second one"), "{text}");
    }

    #[test]
    fn a_request_logs_no_more_than_its_share() {
        let text = logged(&[&vec![b'x'; LIMIT - 1], b"yz", &vec![b'z'; 100_000]]);
        assert!(text.len() < LIMIT + 1024, "{}", text.len());
        assert!(text.contains("xy") && text.contains("dropped=100001"), "{}", &text[LIMIT..]);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("a\u{1b}[2J\tb\u{2028}c\u{202e}".as_bytes()), "a\\u{1b}[2J\\tb\\u{2028}c\\u{202e}");
    }
}
