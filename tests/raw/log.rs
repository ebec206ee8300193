//! A refusal is counted and logged like any other answer.

use std::fs;
use std::io::Write;

use serde_json::Value;

use super::case::{connect, read_to_end};
use crate::metrics::wait_value;
use crate::support::daemon::Daemon;
use crate::support::recorder::Recorder;
use crate::support::{scratch, until};

#[test]
fn a_refusal_is_in_the_access_log_with_what_is_known_of_it() {
    let dir = scratch();
    let log = dir.path().join("access.log");
    let daemon = Daemon::builder()
        .manifest("app.yaml", &Recorder::new().manifest(""))
        .arg("--access-log")
        .arg("json")
        .arg("--access-log-file")
        .arg(&log)
        .start();
    let rows: &[(&[u8], [&str; 3], u16)] = &[
        (b"GET /a?b HTTP/1.1\r\n\r\n", ["GET", "/a?b", "HTTP/1.1"], 400),
        (b"CONNECT a:443 HTTP/1.0\r\n\r\n", ["CONNECT", "a:443", "HTTP/1.0"], 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ["PRI", "*", "HTTP/2.0"], 505),
        (b"\x16\x03\x01\x1b[2J\"\r\n", ["\u{16}\u{3}\u{1}\u{1b}[2J\"", "-", "HTTP/0.9"], 400),
        (b"\r\n\r\n /x HTTP/1.1\r\n", ["-", "/x", "HTTP/1.1"], 400),
    ];
    for (count, (bytes, [method, path, protocol], status)) in rows.iter().enumerate() {
        let mut client = connect(daemon.address());
        client.write_all(bytes).unwrap();
        let answer = String::from_utf8(read_to_end(&mut client).unwrap()).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"),
            "{answer}"
        );
        let line = until("the line is there", || fs::read_to_string(&log).ok()?.lines().nth(count).map(str::to_owned));
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["method"], &line["path"], &line["protocol"]),
            (&(*method).into(), &(*path).into(), &(*protocol).into()),
            "{line}"
        );
        assert_eq!((&line["status"], &line["app"], &line["client"]), (&(*status).into(), &Value::Null, &"127.0.0.1".into()), "{line}");
        assert!(answer.contains(line["request_id"].as_str().unwrap()), "the answer names the request: {answer}");
    }
    for (class, count) in [("4xx", 3.0), ("5xx", 2.0)] {
        wait_value(&daemon, &format!("lxcproxy_http_requests_total{{app=\"\",code=\"{class}\",rule=\"\"}}"), count);
    }
}

#[test]
fn a_refused_head_request_has_no_body() {
    let daemon = Daemon::builder().manifest("app.yaml", &Recorder::new().manifest("")).start();
    let mut client = connect(daemon.address());
    client.write_all(b"HEAD / HTTP/1.1\r\n\r\n").unwrap();
    let answer = String::from_utf8(read_to_end(&mut client).unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}
