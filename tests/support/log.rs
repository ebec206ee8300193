//! What a process prints -> lines that can be waited for.
//!
//! In: a pipe. Out: its lines. Never: a wait without a deadline, or past the end of the process.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines of all pipes that were followed.
#[derive(Debug, Default)]
pub struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// Pipes that are still open.
    open: usize,
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    /// The last lines, for a message.
    pub fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(80)..].join("\n")
    }

    /// Reads a pipe to its end, on a thread.
    pub fn follow(self: &Arc<Self>, pipe: impl Read + Send + 'static) {
        self.state().open += 1;
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                log.state().lines.push(line);
                log.changed.notify_all();
            }
            log.state().open -= 1;
            log.changed.notify_all();
        });
    }

    /// Waits for a line, at or after the line `from`.
    ///
    /// # Errors
    /// It has ended, or the time is over.
    pub fn wait(&self, from: usize, patience: Duration, wanted: &impl Fn(&str) -> bool) -> Result<String, String> {
        let pending = |state: &mut State| state.open > 0 && !state.lines[from..].iter().any(|line| wanted(line));
        let (state, _) = self.changed.wait_timeout_while(self.state(), patience, pending).unwrap_or_else(PoisonError::into_inner);
        let found = state.lines[from..].iter().find(|line| wanted(line)).cloned();
        found.ok_or_else(|| {
            if state.open == 0 { "the process has ended".to_owned() } else { "the process did not log what was expected".to_owned() }
        })
    }
}
