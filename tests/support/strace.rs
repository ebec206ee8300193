//! strace -> the system calls that a daemon makes while a test goes on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::scratch;

/// strace, looking at a daemon.
pub struct Strace {
    child: Child,
    /// Read to its end only by strace's own: a closed pipe would end it.
    _stderr: BufReader<ChildStderr>,
    /// Its log is in a directory that the daemon does not watch.
    dir: TempDir,
}

/// A system call: its name and what it returned.
pub type Call = (String, i64);

impl Strace {
    /// Begins to look at a process. `calls` as `-e` takes them.
    #[must_use]
    pub fn attach(pid: u32, calls: &str) -> Self {
        let dir = scratch();
        let mut command = Command::new("strace");
        command.args(["-f", "-e", calls, "-e", "signal=none", "-p", &pid.to_string(), "-o"]);
        command.arg(dir.path().join("log"));
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("attached") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "strace: {said}");
        }
        Self { child, _stderr: stderr, dir }
    }

    /// Ends it. What it saw.
    #[must_use]
    pub fn detach(mut self) -> Vec<Call> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap();
        fs::read_to_string(self.dir.path().join("log")).unwrap().lines().filter_map(call).collect()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `12 read(3, ..., 9) = 9` or `12 <... read resumed>...) = 9`; of one that failed the result is negative.
fn call(line: &str) -> Option<Call> {
    let (_, line) = line.split_once(' ')?;
    let (before, result) = line.rsplit_once(" = ")?;
    let name = before.trim_start().trim_start_matches("<... ").split(['(', ' ']).next()?;
    Some((name.to_owned(), result.split(' ').next()?.parse().ok()?))
}
