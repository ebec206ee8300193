//! What a file costs, in system calls: a large one does not go through the process, and a small one takes few.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::shelf::{Shelf, numbered};
use crate::support::{needs, scratch};

/// Bytes of the large file.
const LARGE: u32 = 10 << 20;
/// How often the small one is asked for.
const ROUNDS: usize = 100;

/// strace, looking at a daemon.
struct Strace {
    child: Child,
    /// Read to its end only by strace's own: a closed pipe would end it.
    _stderr: BufReader<ChildStderr>,
    /// Its log is in a directory that the daemon does not watch.
    dir: TempDir,
}

/// A system call: its name and what it returned.
type Call = (String, i64);

impl Strace {
    /// Begins to look. `calls` as `-e` takes them.
    fn attach(shelf: &Shelf, calls: &str) -> Self {
        let dir = scratch();
        let mut command = Command::new("strace");
        command.args(["-f", "-e", calls, "-e", "signal=none", "-p", &shelf.daemon.pid().to_string(), "-o"]);
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
    fn detach(mut self) -> Vec<Call> {
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

fn bytes(calls: &[Call], of: impl Fn(&str) -> bool) -> i64 {
    calls.iter().filter(|(name, result)| of(name) && *result > 0).map(|(_, result)| result).sum()
}

#[test]
fn a_large_file_is_sent_by_the_kernel_and_not_read() {
    needs!(root, strace, disk);
    let shelf = Shelf::new("");
    let content = numbered(LARGE as usize);
    shelf.write("large", &content);
    let strace = Strace::attach(&shelf, "trace=sendfile,splice,read,readv,pread64,preadv,preadv2,recvfrom,recvmsg");
    let mut client = shelf.client();
    client.ask("GET", "/large", "");
    assert!(client.head().length == content.len() && client.body(content.len()) == content);
    let calls = strace.detach();
    let (sent, read) = (bytes(&calls, |name| name == "sendfile"), bytes(&calls, |name| name != "sendfile"));
    // It was written just now: the page cache has it, but for what the kernel needed elsewhere.
    assert!(sent > i64::from(LARGE) / 10 * 9 && read < i64::from(LARGE) / 10, "{sent} bytes by sendfile, {read} read");
    assert!(calls.len() < 1000, "{} calls", calls.len());
}

#[test]
fn a_small_file_takes_eight_system_calls_and_is_read_once() {
    needs!(root, strace, disk);
    let shelf = Shelf::new("");
    shelf.write("small", &numbered(1000));
    let mut client = shelf.client();
    let mut round = || {
        client.ask("GET", "/small", "");
        assert!(client.head().length == 1000 && client.body(1000) == numbered(1000));
    };
    round();
    let strace = Strace::attach(&shelf, "trace=!epoll_wait,fcntl,futex,write,newfstatat");
    (0..ROUNDS).for_each(|_| round());
    let calls = strace.detach();
    // Received, found, asked about, opened, let go, read, let go, sent.
    for (name, times) in [("recvfrom", 1), ("openat2", 1), ("statx", 1), ("openat", 1), ("close", 2), ("preadv2", 1), ("writev", 1)] {
        let count = calls.iter().filter(|(found, _)| found == name).count();
        assert!((ROUNDS * times..ROUNDS * times + ROUNDS / 2).contains(&count), "{count} times {name}: {:?}", &calls[..40]);
    }
    assert!(calls.len() < ROUNDS * 9, "{} calls: {:?}", calls.len(), &calls[..40]);
}
