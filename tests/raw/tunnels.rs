//! `Upgrade`: bytes behind the request belong to the tunnel after a 101, and are requests after any other answer.

use std::io::{Read, Write};
use std::net::Shutdown;

use super::case::{Front, connect, forwarded, read_answers, read_to_end, refused, statuses};
use crate::support::recorder::Recorder;

const ASK: &str = "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const A: &str = "GET /a HTTP/1.1|host: a";

/// A backend that says yes to `/tunnel`, and sends back what comes then.
fn echo() -> Recorder {
    Recorder::answering(|request, stream| {
        if !request.line().contains("/tunnel") {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").is_ok();
        }
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        let Ok(mut back) = stream.try_clone() else { return false };
        let _ = std::io::copy(stream, &mut back);
        let _ = back.shutdown(Shutdown::Write);
        false
    })
}

#[test]
fn a_refused_upgrade_leaves_a_connection_for_requests() {
    let asked = "GET /tunnel HTTP/1.1|connection: upgrade|host: a|upgrade: echo";
    let plain = |name: &str, fields: &str| {
        forwarded(name, format!("GET /p HTTP/1.1\r\nHost: a\r\n{fields}\r\n{GET}"), &["GET /p HTTP/1.1|host: a", A])
    };
    Front::new().hold(&[
        forwarded("with a request behind it", format!("{ASK}{GET}"), &[asked, A]),
        forwarded("with a request before it and behind it", format!("{GET}{ASK}{GET}"), &[A, asked, A]),
        forwarded("again and again", format!("{ASK}{ASK}{GET}{ASK}"), &[asked, asked, A, asked]),
        forwarded("with nonsense behind it", format!("{ASK}\0"), &[asked]).answered(&[200, 400]).closing(),
        plain("without Connection", "Upgrade: echo\r\n"),
        plain("Connection without Upgrade", "Connection: upgrade\r\n"),
        plain("h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"),
        plain("h2c in other letters", "Connection: Upgrade\r\nUpgrade: H2C\r\n"),
        plain("h2c among others", "Connection: Upgrade\r\nUpgrade: echo, h2c\r\n"),
        plain("h2c with settings that Connection does not name", "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"),
        forwarded("in HTTP/1.0", "GET /p HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", &["GET /p HTTP/1.1|host: a"]).closing(),
        forwarded(
            "with a body",
            format!("POST /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nab{GET}"),
            &["POST /p HTTP/1.1|content-length: 2|host: a||ab", A],
        ),
        refused("with two lengths", 400, "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ]);
}

#[test]
fn bytes_behind_a_granted_upgrade_are_the_tunnels_and_no_request() {
    let front = Front::of(echo());
    let long = "\0\x01\u{ff}".repeat(40_000);
    for early in ["", "\0raw\r\n", GET, "CONNECT x HTTP/9.9\n\n", &long] {
        let mut client = connect(front.daemon.address());
        client.write_all(format!("{GET}{ASK}").as_bytes()).unwrap();
        client.write_all(early.as_bytes()).unwrap();
        let late = "GET / HTTP/1.1\r\n\r\nHTTP/0.9\0";
        let mut sender = client.try_clone().unwrap();
        let rest = std::thread::spawn(move || {
            sender.write_all(late.as_bytes()).unwrap();
            sender.shutdown(Shutdown::Write).unwrap();
        });
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        rest.join().unwrap();
        let text = String::from_utf8_lossy(&all);
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("HTTP/1.1 101 "), "{text:.300}");
        let tunnel = &all[all.len() - early.len() - late.len()..];
        assert!(tunnel == [early.as_bytes(), late.as_bytes()].concat(), "what went in came back, {} bytes", early.len());
        assert_eq!(front.backend.next().line(), "GET /a HTTP/1.1");
        assert_eq!(front.backend.next().line(), "GET /tunnel HTTP/1.1");
        assert!(front.backend.try_next().is_none(), "no byte of a tunnel is a request");
    }
}

#[test]
fn a_tunnel_that_nobody_asked_for_is_502_and_requests_go_on() {
    let front = Front::of(echo());
    let mut client = connect(front.daemon.address());
    for fields in ["", "Upgrade: echo\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n"] {
        client.write_all(format!("GET /tunnel HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap();
        assert_eq!(statuses(&read_answers(&mut client, 1).unwrap()), [502], "{fields:?}");
    }
    client.write_all(GET.as_bytes()).unwrap();
    assert_eq!(statuses(&read_answers(&mut client, 1).unwrap()), [200]);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut client).unwrap(), b"");
}
