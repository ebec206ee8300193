//! Many answers on one connection, large files and small ones in turn, and requests that do not wait for the answers before them.

use std::fmt::Write as _;
use std::io::Write as _;

use super::shelf::{Client, Shelf, numbered};
use crate::support::until;

/// A request of the mix: method, path, fields; the status and the body of its answer, `length` where a body is only announced.
struct Exchange {
    method: &'static str,
    path: &'static str,
    fields: String,
    status: u16,
    body: Vec<u8>,
    length: usize,
}

const SIZES: [(&str, usize); 6] =
    [("/empty", 0), ("/1k", 1000), ("/64k", 64 << 10), ("/65k", (64 << 10) + 1), ("/600k", 600_001), ("/3m", 3_000_000)];

fn shelf(rule: &str) -> Shelf {
    let shelf = Shelf::new(rule);
    for (path, length) in SIZES {
        shelf.write(&path[1..], &content(path, length));
    }
    shelf
}

/// Each file has bytes of its own.
fn content(path: &str, length: usize) -> Vec<u8> {
    let of_its_own = path.bytes().fold(0_u8, u8::wrapping_add);
    numbered(length).iter().map(|byte| byte ^ of_its_own).collect()
}

/// The request that is number `turn` of the mix.
fn exchange(turn: usize, etag: &str) -> Exchange {
    let (path, length) = SIZES[turn / 5 % SIZES.len()];
    let whole = content(path, length);
    let exchange =
        |method, fields: String, status, body: &[u8], length| Exchange { method, path, fields, status, body: body.to_vec(), length };
    match turn % 5 {
        0 | 1 => exchange("GET", String::new(), 200, &whole, length),
        2 => exchange("HEAD", String::new(), 200, &[], length),
        3 if length > 0 => {
            let (first, last) = (length / 3, length - 1 - length / 7);
            exchange("GET", format!("Range: bytes={first}-{last}\r\n"), 206, &whole[first..=last], last - first + 1)
        }
        4 if path == "/3m" => exchange("GET", format!("If-None-Match: {etag}\r\n"), 304, &[], 0),
        _ => exchange("POST", "Content-Length: 0\r\n".into(), 405, &[], 0),
    }
}

fn check(client: &mut Client, turn: usize, expected: &Exchange) {
    let head = client.head();
    let (method, path) = (expected.method, expected.path);
    assert_eq!(head.status, expected.status, "{turn}: {method} {path}");
    // The page of an error is of no interest here.
    if expected.status == 405 {
        client.body(head.length);
        return;
    }
    assert_eq!(head.length, expected.length, "{turn}: {method} {path}");
    assert!(client.body(expected.body.len()) == expected.body, "{turn}: other bytes for {method} {path}");
}

fn etag(client: &mut Client) -> String {
    client.ask("HEAD", "/3m", "");
    client.head().etag
}

#[test]
fn every_answer_is_exact_whatever_came_before_it() {
    // A limit wraps the body.
    for rule in ["", "timeouts: {request: 60s}"] {
        let shelf = shelf(rule);
        let mut client = shelf.client();
        let etag = etag(&mut client);
        for turn in 0..150 {
            let expected = exchange(turn * 7, &etag);
            client.ask(expected.method, expected.path, &expected.fields);
            check(&mut client, turn, &expected);
        }
    }
}

#[test]
fn requests_that_do_not_wait_for_answers_are_answered_in_their_order() {
    let shelf = shelf("");
    let mut client = shelf.client();
    let etag = etag(&mut client);
    let exchanges: Vec<Exchange> = (0..150).map(|turn| exchange(turn * 7, &etag)).collect();
    let mut requests = String::new();
    for Exchange { method, path, fields, .. } in &exchanges {
        write!(requests, "{method} {path} HTTP/1.1\r\nHost: shelf\r\n{fields}\r\n").unwrap();
    }
    let mut writer = client.writer();
    let writer = std::thread::spawn(move || writer.write_all(requests.as_bytes()).unwrap());
    for (turn, expected) in exchanges.iter().enumerate() {
        check(&mut client, turn, expected);
    }
    writer.join().unwrap();
}

#[test]
fn thousands_of_small_files_come_on_one_connection_and_leave_no_descriptor() {
    let shelf = shelf("");
    let (mut client, expected) = (shelf.client(), content("/1k", 1000));
    let before = shelf.descriptors(&shelf.path(""));
    for turn in 0..5000 {
        client.ask("GET", "/1k", "");
        let head = client.head();
        assert_eq!((head.status, head.length), (200, 1000));
        assert!(client.body(1000) == expected, "{turn}");
    }
    until("the file is let go", || (shelf.descriptors(&shelf.path("")) == before).then_some(()));
}

#[test]
fn a_client_of_http_1_0_gets_the_file_and_the_end() {
    let shelf = shelf("");
    let mut client = shelf.client();
    client.writer().write_all(b"GET /3m HTTP/1.0\r\nHost: shelf\r\n\r\n").unwrap();
    assert_eq!(client.head().status, 200);
    assert!(client.rest() == content("/3m", 3_000_000));
}
