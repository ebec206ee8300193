//! What a file costs, in system calls: a large one does not go through the process, and a small one takes few.

use super::shelf::{Shelf, numbered};
use crate::support::needs;
use crate::support::strace::{Call, Strace};

/// Bytes of the large file.
const LARGE: u32 = 10 << 20;
/// How often the small one is asked for.
const ROUNDS: usize = 100;

fn bytes(calls: &[Call], of: impl Fn(&str) -> bool) -> i64 {
    calls.iter().filter(|(name, result)| of(name) && *result > 0).map(|(_, result)| result).sum()
}

#[test]
fn a_large_file_is_sent_by_the_kernel_and_not_read() {
    needs!(root, strace, disk);
    let shelf = Shelf::new("");
    let content = numbered(LARGE as usize);
    shelf.write("large", &content);
    let strace = Strace::attach(shelf.daemon.pid(), "trace=sendfile,splice,read,readv,pread64,preadv,preadv2,recvfrom,recvmsg");
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
fn a_small_file_takes_six_system_calls_and_is_read_once() {
    needs!(root, strace, disk);
    let shelf = Shelf::new("");
    shelf.write("small", &numbered(1000));
    let mut client = shelf.client();
    let mut round = || {
        client.ask("GET", "/small", "");
        assert!(client.head().length == 1000 && client.body(1000) == numbered(1000));
    };
    round();
    let strace = Strace::attach(shelf.daemon.pid(), "trace=!epoll_wait,fcntl,futex,write,newfstatat");
    (0..ROUNDS).for_each(|_| round());
    let calls = strace.detach();
    // Received, found, asked about, let go, read, sent.
    for (name, times) in [("recvfrom", 1), ("openat2", 1), ("statx", 1), ("close", 1), ("preadv2", 1), ("sendto", 1)] {
        let count = calls.iter().filter(|(found, _)| found == name).count();
        assert!((ROUNDS * times..ROUNDS * times + ROUNDS / 2).contains(&count), "{count} times {name}: {:?}", &calls[..40]);
    }
    // It is opened once a second.
    assert!(calls.len() < ROUNDS * 7, "{} calls: {:?}", calls.len(), &calls[..40]);
}
