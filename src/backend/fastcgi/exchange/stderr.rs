//! What an application writes to `FCGI_STDERR` -> lines of the log.
//!
//! In: bytes, cut anywhere. Out: one log line for each of theirs. Never: more than [`LIMIT`] bytes for a request, more than its backend's
//! [`LogQuota`] in a second, a control character; a loss that nobody counts.

use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;

use crate::metrics::{BackendCounts, Shard};
use crate::route::{CompiledApp, LogQuota, Protocol};

/// Bytes of one request that are logged; the rest is counted.
const LIMIT: usize = 16 * 1024;

/// The moment that all threads count from.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Complaints of one request.
#[derive(Debug)]
pub(super) struct StderrLog {
    app: Arc<CompiledApp>,
    /// Index in its backends.
    backend: usize,
    request_id: Box<str>,
    shard: Rc<Shard>,
    /// The line in hand.
    line: Vec<u8>,
    /// Bytes that may still be logged.
    left: usize,
    dropped: usize,
}

impl StderrLog {
    /// For a request to a backend, by its index; `shard`: where this thread counts.
    pub(super) fn new(app: Arc<CompiledApp>, backend: usize, request_id: &str, shard: Rc<Shard>) -> Self {
        Self { app, backend, request_id: request_id.into(), shard, line: Vec::new(), left: LIMIT, dropped: 0 }
    }

    /// Logs every line that is whole.
    pub(super) fn write(&mut self, bytes: &Bytes) {
        if let Some(counts) = self.counts() {
            counts.complained(bytes.len());
        }
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
        if line.trim_ascii().is_empty() {
            return;
        }
        let text = escape(&line);
        if self.quota().is_some_and(|quota| quota.admit(text.len(), BEGAN.elapsed())) {
            let (app, request_id) = (self.app.name.as_str(), &*self.request_id);
            tracing::warn!(target: "lxcproxy::fastcgi", app, request_id, "{text}");
        } else {
            self.dropped += line.len();
        }
    }

    fn quota(&self) -> Option<&LogQuota> {
        match &self.app.backends.get(self.backend)?.protocol {
            Protocol::Fastcgi(settings) => Some(&settings.stderr),
            Protocol::Http(_) => None,
        }
    }

    /// Looked up when there is something to count: most requests have nothing.
    fn counts(&self) -> Option<Rc<BackendCounts>> {
        let name = self.app.backends.get(self.backend)?.name.as_str();
        Some(self.shard.app(self.app.name.as_str()).backend(self.backend, name))
    }
}

impl Drop for StderrLog {
    fn drop(&mut self) {
        self.flush();
        if self.dropped == 0 {
            return;
        }
        if let Some(counts) = self.counts() {
            counts.unheard(self.dropped);
        }
        if let Some(dropped) = self.quota().and_then(|quota| quota.lose(self.dropped, BEGAN.elapsed())) {
            let (app, request_id) = (self.app.name.as_str(), &*self.request_id);
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
    use std::sync::Mutex;

    use super::*;
    use crate::metrics::Metrics;

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

    fn app() -> Arc<CompiledApp> {
        crate::backend::fastcgi::tests::app(None, 0)
    }

    /// What requests, each of these pieces, leave in the log.
    fn logged(app: &Arc<CompiledApp>, shard: &Rc<Shard>, requests: &[&[&[u8]]]) -> String {
        let sink = Sink::default();
        let subscriber = |writer: Sink| tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        // While there is one dispatcher only, tracing asks the current thread's whether a line is of interest, and remembers the answer for
        // all: the thread of another test, which has none, would switch it off.
        let _beside = tracing::Dispatch::new(subscriber(sink.clone()));
        tracing::subscriber::with_default(subscriber(sink.clone()), || {
            for pieces in requests {
                let mut log = StderrLog::new(app.clone(), 0, "r1", shard.clone());
                for piece in *pieces {
                    log.write(&Bytes::copy_from_slice(piece));
                }
            }
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn logged_once(pieces: &[&[u8]]) -> String {
        logged(&app(), &Metrics::default().shard(), &[pieces])
    }

    #[test]
    fn lines_are_logged_whole_with_app_and_request() {
        let text = logged_once(&[b"PHP War", b"ning: x\r\n\nsecond", b" one"]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("WARN lxcproxy::fastcgi: PHP Warning: x app=\"app\" request_id=\"r1\""), "{text}");
        assert!(lines[1].contains("second one"), "{text}");
    }

    #[test]
    fn a_request_logs_no_more_than_its_share() {
        let text = logged_once(&[&vec![b'x'; LIMIT - 1], b"yz", &vec![b'z'; 100_000]]);
        assert!(text.len() < LIMIT + 1024, "{}", text.len());
        assert!(text.contains("xy") && text.contains("dropped=100001"), "{}", &text[LIMIT..]);
    }

    #[test]
    fn a_backend_logs_no_more_than_its_share_whatever_the_number_of_requests_and_the_rest_is_counted() {
        let (app, shard) = (app(), Metrics::default().shard());
        let request: &[&[u8]] = &[&[b"0123456789abcde\n".repeat(1000).as_slice()].concat()];
        let began = Instant::now();
        let text = logged(&app, &shard, &[request; 40]);
        let lines = text.lines().filter(|line| line.contains("0123456789abcde")).count();
        // 256 KiB at once and 64 KiB a second, 143 bytes a line.
        let most = 256 * 1024 / 143 + (usize::try_from(began.elapsed().as_secs()).unwrap() + 1) * 64 * 1024 / 143 + 1;
        assert!((1000..most).contains(&lines), "{lines} lines, {most} at most");
        let words = text.lines().filter(|line| line.contains("more to stderr than is logged")).count();
        assert!(words as u64 <= began.elapsed().as_secs() + 2 && words > 0, "{words} words on it");
        let counts = shard.app("app").backend(0, "php");
        assert_eq!(counts.stderr(), 40 * 16_000);
        assert_eq!(counts.stderr_dropped(), (40_000 - lines as u64) * 15, "line ends are no text");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("a\u{1b}[2J\tb\u{2028}c\u{202e}".as_bytes()), "a\\u{1b}[2J\\tb\\u{2028}c\\u{202e}");
    }
}
