//! A file that changes while it is on its way: the client has read its begin, and reads on when the file is another.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::shelf::{Client, Shelf, numbered};
use crate::support::{needs, until};

/// More than the buffers of a connection take, both sides together.
const LARGE: usize = 50 << 20;
const BEGIN: usize = 1 << 20;

/// A download, its first megabyte read. Whatever `change` does then, what comes is a begin of the file as it was, and no more than was
/// announced. Returns how much.
fn download(rule: &str, change: impl FnOnce(&Path)) -> (Shelf, Client, usize) {
    let shelf = Shelf::new(rule);
    let content = numbered(LARGE);
    shelf.write("large", &content);
    let mut client = shelf.client();
    client.ask("GET", "/large", "");
    let head = client.head();
    assert_eq!((head.status, head.length), (200, LARGE));
    let mut body = client.body(BEGIN);
    change(&shelf.path("large"));
    body.extend(client.body(LARGE - BEGIN));
    assert!(content.starts_with(&body), "other bytes than those of the file, or more");
    (shelf, client, body.len())
}

/// The connection goes on behind the answer, and there is not a byte between.
fn goes_on(shelf: &Shelf, client: &mut Client) {
    shelf.write("next", b"next");
    client.ask("GET", "/next", "");
    assert_eq!((client.head().status, client.body(4)), (200, b"next".to_vec()));
}

fn resize(path: &Path, length: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

#[test]
fn a_file_that_shrinks_ends_its_download_and_the_connection_where_it_ends_itself() {
    needs!(curl);
    for (rule, length) in [("", LARGE / 5 * 4), ("timeouts: {request: 60s}", LARGE / 5 * 4), ("", 0)] {
        let (shelf, mut client, got) = download(rule, |path| resize(path, length as u64));
        // What was on its way when it happened still comes.
        assert!(got >= BEGIN && (got == length || length == 0 && got < LARGE), "{got} bytes");
        assert!(client.rest().is_empty(), "bytes behind the end");
        until("the file is let go", || (shelf.descriptors(&shelf.path("large")) == 0).then_some(()));
        assert_eq!(shelf.daemon.get("/large").body.len(), length);
    }
}

#[test]
fn a_file_that_grows_ends_where_it_was_announced_to() {
    let (shelf, mut client, got) = download("", |path| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(&vec![b'x'; 1 << 20]).unwrap();
    });
    assert_eq!(got, LARGE);
    goes_on(&shelf, &mut client);
    client.ask("HEAD", "/large", "");
    assert_eq!(client.head().length, LARGE + (1 << 20));
}

#[test]
fn a_file_that_is_replaced_goes_on_as_it_was() {
    let (shelf, mut client, got) = download("", |path| {
        fs::write(path.with_file_name("new"), vec![b'x'; LARGE]).unwrap();
        fs::rename(path.with_file_name("new"), path).unwrap();
    });
    assert_eq!(got, LARGE);
    goes_on(&shelf, &mut client);
    client.ask("GET", "/large", "Range: bytes=0-3\r\n");
    assert_eq!((client.head().status, client.body(4)), (206, b"xxxx".to_vec()));
}

#[test]
fn a_file_that_is_removed_goes_on_to_its_end_and_is_gone_then() {
    let (shelf, mut client, got) = download("", |path| fs::remove_file(path).unwrap());
    assert_eq!(got, LARGE);
    goes_on(&shelf, &mut client);
    until("the file is let go", || (shelf.descriptors(&shelf.path("large")) == 0).then_some(()));
    client.ask("GET", "/large", "");
    assert_eq!(client.head().status, 404);
}

#[test]
fn a_client_that_leaves_on_the_way_lets_go_of_the_file() {
    let shelf = Shelf::new("");
    shelf.write("large", &numbered(LARGE));
    for _ in 0..3 {
        let mut client = shelf.client();
        client.ask("GET", "/large", "");
        let length = client.head().length;
        assert_eq!((length, client.body(BEGIN).len()), (LARGE, BEGIN));
        assert_eq!(shelf.descriptors(&shelf.path("large")), 1);
        drop(client);
        until("the file is let go", || (shelf.descriptors(&shelf.path("large")) == 0).then_some(()));
    }
}
