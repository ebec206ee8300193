//! Field lines: names, values, line ends (RFC 9112 section 5), and fields that belong to one connection.

use super::case::{Case, Front, forwarded, refused};

#[test]
fn lines_that_are_no_fields_are_refused() {
    let rows: Vec<Case> = [
        ("a space before the colon", "X : y\r\n"),
        ("a tab before the colon", "X\t: y\r\n"),
        ("a space in the name", "X y: z\r\n"),
        ("a space before the name", " X: y\r\n"),
        ("no name", ": y\r\n"),
        ("a colon alone", ":\r\n"),
        ("no colon", "X\r\n"),
        ("a name in quotes", "\"X\": y\r\n"),
        ("a name in brackets", "X[0]: y\r\n"),
        ("a slash in a name", "X/y: z\r\n"),
        ("NUL in a name", "X\0: y\r\n"),
        ("a control byte in a name", "X\x01: y\r\n"),
        ("DEL in a name", "X\x7f: y\r\n"),
        ("a byte above 0x7f in a name", "X\u{e9}: y\r\n"),
        ("a return in a name", "X\ry: z\r\n"),
        ("NUL in a value", "X: a\0b\r\n"),
        ("NUL at the end of a value", "X: a\0\r\n"),
        ("a control byte in a value", "X: a\x01b\r\n"),
        ("a backspace in a value", "X: a\x08\r\n"),
        ("a vertical tab in a value", "X: a\x0bb\r\n"),
        ("a form feed in a value", "X: a\x0cb\r\n"),
        ("an escape in a value", "X: \x1b[31m\r\n"),
        ("DEL in a value", "X: a\x7fb\r\n"),
        ("a return in a value", "X: a\rY: b\r\n"),
        ("a return at the end of a value", "X: a\r\r\n"),
        ("a line feed as line end", "X: a\nY: b\r\n"),
        ("a line feed after an empty value", "X:\n"),
        ("a return as line end", "X: a\rContent-Length: 5\r\n"),
        ("a value that goes on behind a space", "X: a\r\n b\r\n"),
        ("a value that goes on behind a tab", "X: a\r\n\tb\r\n"),
        ("a value that goes on with nothing", "X: a\r\n \r\n"),
        ("a second request line", "GET /b HTTP/1.1\r\n"),
    ]
    .iter()
    .map(|(name, line)| refused(name, 400, format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n")))
    .chain([
        refused("the first line goes on", 400, "GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n"),
        refused("an end of two line feeds", 400, "GET / HTTP/1.1\r\nHost: a\n\n"),
        refused("an end of a return and no line feed", 400, "GET / HTTP/1.1\r\nHost: a\r\n\rX"),
        refused("an end of a line feed", 400, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
    ])
    .collect();
    Front::new().hold(&rows);
}

#[test]
fn fields_that_are_legal_are_forwarded() {
    let rows: Vec<Case> = [
        ("no space behind the colon", "X:y\r\n", "x: y"),
        ("white space around a value", "X: \t y z\t \r\n", "x: y z"),
        ("a tab in a value", "X: a\tb\r\n", "x: a\tb"),
        ("an empty value", "X:\r\n", "x: "),
        ("a value of white space", "X: \t \r\n", "x: "),
        ("bytes above 0x7f in a value", "X: \u{e9}\r\n", "x: \u{e9}"),
        ("colons in a value", "X:: a:b:\r\n", "x: : a:b:"),
        ("a name of all token bytes", "X!#$%&'*+-.^_`|~9: y\r\n", "x!#$%&'*+-.^_`|~9: y"),
        ("an underscore in a name", "Content_Length: 5\r\n", "content_length: 5"),
        ("a field twice", "X: a\r\nX: b\r\n", "x: a|x: b"),
        ("a length of another name", "XContent-Length: 5\r\n", "xcontent-length: 5"),
    ]
    .iter()
    .map(|(name, line, seen)| {
        let mut fields = ["host: a".to_owned(), (*seen).to_owned()];
        fields.sort();
        forwarded(name, format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n"), &[&format!("GET / HTTP/1.1|{}", fields.join("|"))])
    })
    .collect();
    Front::new().hold(&rows);
}

#[test]
fn fields_of_one_connection_end_there_and_only_we_say_who_asks() {
    let rows: Vec<Case> = [
        ("Connection names a field", "Connection: X-Hop\r\nX-Hop: 1\r\nX: y\r\n"),
        ("Connection names a field that comes before", "X-Hop: 1\r\nconnection: keep-alive , x-hOP\r\nX: y\r\n"),
        ("Connection twice", "Connection: X-Hop\r\nConnection: X-Hip\r\nX-Hop: 1\r\nX-Hip: 1\r\nX: y\r\n"),
        ("Connection names a field of ours", "Connection: X-Forwarded-For\r\nX-Forwarded-For: 6.6.6.6\r\nX: y\r\n"),
        ("Connection names nonsense", "Connection: ,, \"x\", (\r\nX: y\r\n"),
        ("Connection names Host", "Connection: close, hOst\r\nX: y\r\n"),
        ("Connection names a length", "Connection: Content-Length\r\nX: y\r\n"),
        ("hop by hop", "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: X-T\r\nX: y\r\n"),
        ("credentials for a proxy", "Proxy-Authorization: Basic eDp5\r\nX: y\r\n"),
        ("claims", "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-proto: https\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX: y\r\n"),
        ("an expectation in HTTP/1.1 without a body", "Expect: 100-continue\r\nX: y\r\n"),
    ]
    .iter()
    .map(|(name, fields)| forwarded(name, format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), &["GET / HTTP/1.1|host: a|x: y"]))
    .collect();
    let front = Front::new();
    front.hold(&rows);
    let _ = front.daemon.request("/").header("X-Forwarded-For", "6.6.6.6").header("Connection", "X-Forwarded-For, X-Real-IP").send();
    let seen = front.backend.next();
    assert_eq!((seen.values("x-forwarded-for"), seen.values("x-real-ip")), (vec!["127.0.0.1"], vec!["127.0.0.1"]));
}
