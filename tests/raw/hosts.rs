//! `Host`: once, valid, and the same as that of the target (RFC 9112 section 3.2).

use super::case::{Case, Front, forwarded, refused};

#[test]
fn a_host_that_is_missing_repeated_or_no_host_is_refused() {
    let values = [
        "a b",
        "a, b",
        "a@b",
        "user:pass@a",
        "a/b",
        "/",
        "a?b",
        "a#b",
        "a\\b",
        "http://a",
        "a:b",
        "a:80:80",
        ":80",
        "a:-1",
        "a:+80",
        "a:0x50",
        "a:65536",
        "a:000080",
        "[::1",
        "::1",
        "[]",
        "[a]",
        "[::1]x",
        "[::1%25lo]",
        "a%2eb",
        "a\"b",
        "<a>",
        "\u{e9}",
        "a\x0bb",
        "a`b",
        "{a}",
    ];
    let rows: Vec<Case> = values
        .iter()
        .map(|value| refused(value, 400, format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n")))
        .chain([
            refused("missing", 400, "GET / HTTP/1.1\r\n\r\n"),
            refused("missing among others", 400, "GET / HTTP/1.1\r\nX: y\r\nX-Host: a\r\n\r\n"),
            refused("twice", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            refused("twice the same", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: a\r\n\r\n"),
            refused("twice and empty", 400, "GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n"),
            refused("twice in HTTP/1.0", 400, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
            refused("invalid in HTTP/1.0", 400, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n"),
            refused("missing beside absolute-form", 400, "GET http://a/ HTTP/1.1\r\n\r\n"),
            refused("another than the target's", 400, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
            refused("another port than the target's", 400, "GET http://a:80/ HTTP/1.1\r\nHost: a:81\r\n\r\n"),
            refused("empty beside absolute-form", 400, "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n"),
            refused("a user in the target", 400, "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            refused("a user in both", 400, "GET http://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n"),
            refused("no host in the target", 400, "GET http://:80/ HTTP/1.1\r\nHost: :80\r\n\r\n"),
            refused("a target's host that is none", 400, "GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            refused("a fragment in the target's host", 400, "GET http://a#b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ])
        .collect();
    Front::new().hold(&rows);
}

#[test]
fn hosts_that_are_legal_are_forwarded() {
    let values = [
        "a",
        "A.Example",
        "a.example.",
        "a:80",
        "a:",
        "127.0.0.1:8080",
        "[::1]",
        "[2001:db8::1]:443",
        "x_y",
        "a!b",
        "xn--bcher-kva.example",
        "",
    ];
    let rows: Vec<Case> = values
        .iter()
        .map(|value| forwarded(value, format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n"), &[&format!("GET / HTTP/1.1|host: {value}")]))
        .collect();
    Front::new().hold(&rows);
}
