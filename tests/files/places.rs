//! Files on other file systems: in memory, of several layers, and such as have no size.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::Command;

use rustix::fs::{Advice, fadvise};

use super::shelf::{Shelf, numbered};
use crate::support::{needs, run, scratch, scratch_in_memory};

/// Set where the test has mounts of its own.
const ALONE: &str = "LXCPROXY_TEST_ALONE";
const LENGTH: usize = 5_000_000;

/// Runs an ignored test of this program where it has mounts of its own.
pub fn alone(test: &str) {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(ALONE, "1");
    // What is mounted in there keeps its directories until it ends: they are removed here.
    let tmp = scratch();
    command.env("TMPDIR", tmp.path());
    let said = run(&mut command);
    assert!(said.contains("1 passed"), "{said}");
}

/// Whether this is such a test, or somebody runs all that are ignored.
pub fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Mounts `www` of a root as an overlay, whose lower layer has a file `large` of so many bytes.
pub fn overlay(root: &Path, length: usize) {
    let at = |name: &str| root.join(name);
    fs::create_dir(at("layers")).unwrap();
    // Not every file system can be the upper layer: one in memory can.
    run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(at("layers")));
    for place in ["www", "layers/lower", "layers/upper", "layers/work"] {
        fs::create_dir(at(place)).unwrap();
    }
    fs::write(at("layers/lower/large"), numbered(length)).unwrap();
    let option = format!(
        "lowerdir={},upperdir={},workdir={}",
        at("layers/lower").display(),
        at("layers/upper").display(),
        at("layers/work").display()
    );
    run(Command::new("mount").args(["-t", "overlay", "-o", &option, "overlay"]).arg(at("www")));
}

fn is_sent_whole(shelf: &Shelf) {
    let content = numbered(LENGTH);
    let mut client = shelf.client();
    for _ in 0..2 {
        client.ask("GET", "/large", "");
        assert_eq!(client.head().length, LENGTH);
        assert!(client.body(LENGTH) == content);
        client.ask("GET", "/large", "Range: bytes=1234567-4321098\r\n");
        assert_eq!(client.head().status, 206);
        assert!(client.body(3_086_532) == content[1_234_567..=4_321_098]);
    }
}

#[test]
fn a_file_in_memory_is_sent_whole() {
    let shelf = Shelf::at(scratch_in_memory(), "");
    shelf.write("large", &numbered(LENGTH));
    is_sent_whole(&shelf);
}

#[test]
fn a_file_that_the_page_cache_has_lost_in_part_is_sent_whole() {
    let shelf = Shelf::new("");
    shelf.write("large", &numbered(LENGTH));
    let file = fs::File::open(shelf.path("large")).unwrap();
    for (first, length) in [(0, 0), (1 << 20, 2 << 20), (0, 1 << 20)] {
        // Only what is on the disk can be dropped; no length means all of it.
        file.sync_all().unwrap();
        fadvise(&file, first, NonZeroU64::new(length), Advice::DontNeed).unwrap();
        is_sent_whole(&shelf);
    }
}

#[test]
fn a_file_of_an_overlay_and_of_pseudo_file_systems_is_answered_sanely() {
    needs!(root, unshare, mount, setpriv);
    alone("files::places::with_own_mounts");
}

#[test]
#[ignore = "needs mounts of its own: it is run by the test above"]
fn with_own_mounts() {
    if !is_alone() {
        return;
    }
    let root = scratch();
    overlay(root.path(), LENGTH);
    let at = |name: &str| root.path().join(name);
    for place in ["proc", "sys"] {
        fs::create_dir(at("www").join(place)).unwrap();
        run(Command::new("mount").args(["--bind", &format!("/{place}")]).arg(at("www").join(place)));
    }
    let shelf = Shelf::at(root, "");
    is_sent_whole(&shelf);
    // A file of the lower layer that is written to becomes another file, in the upper one: the download goes on with the one it has.
    let mut client = shelf.client();
    client.ask("GET", "/large", "");
    let head = client.head();
    let mut body = client.body(1000);
    fs::OpenOptions::new()
        .append(true)
        .open(shelf.path("large"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"more"))
        .unwrap();
    body.extend(client.body(LENGTH - 1000));
    assert!(head.length == LENGTH && body == numbered(LENGTH));
    // It says that it has no bytes.
    client.ask("GET", "/proc/sys/kernel/ostype", "");
    let head = client.head();
    assert_eq!((head.status, head.length), (200, 0));
    // It says that it has 4096, and has a few: they come, or nothing if that shows before the head has left; and the connection ends.
    client.ask("GET", "/sys/kernel/uevent_seqnum", "");
    let answer = String::from_utf8(client.rest()).unwrap();
    let is_cut = |(head, body): (&str, &str)| {
        head.starts_with("HTTP/1.1 200 ") && head.to_ascii_lowercase().contains("content-length: 4096") && body.len() < 4096
    };
    assert!(answer.is_empty() || answer.split_once("\r\n\r\n").is_some_and(is_cut), "{answer}");
    let mut client = shelf.client();
    client.ask("GET", "/large", "");
    assert_eq!(client.head().length, LENGTH + 4);
}
