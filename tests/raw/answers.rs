//! Answers around bodies: `100 Continue`, expectations, answers that come before the body, backends that hang up.

use std::io::{Read, Write};
use std::time::Duration;

use super::case::{Front, connect, forwarded, read_answers, read_to_end, refused, statuses};
use crate::support::recorder::Recorder;
use crate::support::until;

#[test]
fn expectations_are_met_or_417() {
    let head = |version: &str, value: &str| format!("POST / HTTP/{version}\r\nHost: a\r\nContent-Length: 2\r\nExpect: {value}\r\n\r\nab");
    let seen = ["POST / HTTP/1.1|content-length: 2|host: a||ab"];
    Front::new().hold(&[
        forwarded("100-continue", head("1.1", "100-continue"), &seen),
        forwarded("100-continue in other letters", head("1.1", "100-Continue"), &seen),
        forwarded("anything in HTTP/1.0", head("1.0", "x"), &seen).closing(),
        refused("something else", 417, head("1.1", "200-ok")),
        refused("something else besides", 417, head("1.1", "100-continue, x")),
        forwarded("nothing", head("1.1", ""), &seen),
        refused("100-continue and a parameter", 417, head("1.1", "100-continue;q=1")),
        refused("twice, once something else", 417, head("1.1", "100-continue\r\nExpect: x")),
    ]);
}

#[test]
fn a_client_that_waits_for_100_is_told_to_go_on() {
    let front = Front::new();
    let mut client = connect(front.daemon.address());
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").unwrap();
    let mut word = [0; 25];
    client.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"ab").unwrap();
    assert_eq!(statuses(&read_answers(&mut client, 1).unwrap()), [200]);
    assert_eq!(front.backend.next().body, b"ab");
}

#[test]
fn an_answer_before_the_body_ends_the_connection_and_the_body_is_no_request() {
    let limited = |limit: &str| {
        let backend = Recorder::new();
        let manifest = backend.manifest(&format!("limits: {{requestBody: {limit}}}"));
        let daemon = crate::support::daemon::Daemon::builder().manifest("app.yaml", &manifest).start();
        Front { daemon, backend }
    };
    let front = limited("1k");
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    for rest in [hidden.repeat(40), hidden.to_owned(), String::new()] {
        let mut client = connect(front.daemon.address());
        let head = "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1320\r\n\r\n";
        client.write_all(format!("{head}{rest}").as_bytes()).unwrap();
        let answers = if rest.len() >= 1320 { read_answers(&mut client, 1).unwrap() } else { read_to_end(&mut client).unwrap() };
        assert_eq!(statuses(&answers)[0], 413, "{}", String::from_utf8_lossy(&answers));
        assert!(front.backend.try_next().is_none(), "what was announced as a body is none of the requests");
    }
    let mut client = connect(front.daemon.address());
    let chunks = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "21\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n\r\n".repeat(40)
    );
    client.write_all(chunks.as_bytes()).unwrap();
    assert_eq!(statuses(&read_to_end(&mut client).unwrap()), [413]);
    assert!(front.backend.try_next().is_none());
}

#[test]
fn a_backend_that_answers_before_it_has_read_gives_no_body_away_as_a_request() {
    let backend = Recorder::before_bodies(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let front = Front::of(backend);
    for length in [33_usize, 70, 100_000] {
        let mut client = connect(front.daemon.address());
        let head = format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        // The body may be whole: then the connection can go on, with requests only.
        let answers = if length == 33 { read_answers(&mut client, 1).unwrap() } else { read_to_end(&mut client).unwrap() };
        assert_eq!(statuses(&answers), [413], "{}", String::from_utf8_lossy(&answers));
        assert_eq!(front.backend.next().line(), "POST /early HTTP/1.1");
        assert!(front.backend.try_next().is_none());
    }
}

#[test]
fn a_body_that_breaks_off_breaks_off_for_the_backend() {
    let front = Front::new();
    for body in ["3\r\nabc\r\nnonsense\r\n", "3\r\nabc\r\n-1\r\n"] {
        let mut client = connect(front.daemon.address());
        client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").unwrap();
        let before = front.backend.broken();
        // The backend has heard of it by then.
        until("the backend is asked", || (front.backend.connections() > before).then_some(()));
        client.write_all(body.as_bytes()).unwrap();
        assert_eq!(statuses(&read_to_end(&mut client).unwrap()), [400]);
        until("the backend's request is broken off", || (front.backend.broken() > before).then_some(()));
        assert!(front.backend.try_next().is_none(), "no whole request came");
    }
}

#[test]
fn an_answer_that_has_begun_is_finished_when_the_body_breaks() {
    let backend = Recorder::before_bodies(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        std::thread::park_timeout(Duration::from_millis(50));
        let _ = stream.write_all(b"cd");
    });
    let front = Front::of(backend);
    let mut client = connect(front.daemon.address());
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let mut begin = [0; 15];
    client.read_exact(&mut begin).unwrap();
    client.write_all(b"-1\r\n").unwrap();
    let rest = read_to_end(&mut client).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"), "there is one answer: {}", String::from_utf8_lossy(&rest));
}
