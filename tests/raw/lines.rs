//! Request lines: methods, targets and their forms, versions, and what stands between them (RFC 9112 section 3).

use super::case::{Case, Front, declined, forwarded, refused};

/// A head with this line, which would be in order otherwise.
fn head(line: &str) -> String {
    format!("{line}\r\nHost: a\r\n\r\n")
}

#[test]
fn request_lines_that_are_none_are_refused() {
    let rows: &[(&str, u16, &str)] = &[
        ("HTTP/0.9", 400, "GET /\r\n"),
        ("HTTP/0.9 with fields", 400, "GET /\r\nHost: a\r\n\r\n"),
        ("a method alone", 400, "GET\r\nHost: a\r\n\r\n"),
        ("no target", 400, "GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("no method", 400, " / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("two spaces before the target", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("two spaces before the version", 400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a tab before the target", 400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a tab before the version", 400, "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a space behind the version", 400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        ("a word behind the version", 400, "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n"),
        ("a space in the target", 400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a line feed alone", 400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        ("line feeds only", 400, "GET / HTTP/1.1\nHost: a\n\n"),
        ("a return alone", 400, "GET / HTTP/1.1\rHost: a\r\n\r\n"),
        ("two returns", 400, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
        ("a line feed before the line", 400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a return before the line", 400, "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a space before the line", 400, "\r\n GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("NUL in the method", 400, "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a method that is no token", 400, "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a method with a colon", 400, "GET: / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a method with a byte above 0x7f", 400, "G\u{c9}T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("TLS", 400, "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03"),
        ("SSH", 400, "SSH-2.0-OpenSSH_9.2\r\n"),
        ("nothing but a number", 400, "0\r\n\r\n"),
    ];
    let rows: Vec<Case> = rows.iter().map(|(name, status, bytes)| refused(name, *status, bytes)).collect();
    Front::new().hold(&rows);
}

#[test]
fn versions_that_are_not_spoken_are_505_and_what_is_no_version_is_400() {
    let rows: Vec<Case> = [
        ("HTTP/2.0", 505),
        ("HTTP/3.0", 505),
        ("HTTP/1.2", 505),
        ("HTTP/1.9", 505),
        ("HTTP/0.9", 505),
        ("HTTP/9.9", 505),
        ("HTTP/1", 400),
        ("HTTP/1.", 400),
        ("HTTP/11", 400),
        ("HTTP/1.10", 400),
        ("HTTP/01.1", 400),
        ("HTTP/1.01", 400),
        ("http/1.1", 400),
        ("HTTPS/1.1", 400),
        ("HTTP 1.1", 400),
        ("HTTP/1,1", 400),
        ("HTTP/a.b", 400),
        ("HTTP/1.1x", 400),
        ("HTTP/-1.1", 400),
        ("HTTP/2", 400),
        ("1.1", 400),
    ]
    .iter()
    .map(|(version, status)| refused(version, *status, head(&format!("GET / {version}"))))
    .chain([
        refused("the preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        refused("a tunnel by HTTP/2", 505, head("CONNECT a:443 HTTP/2.0")),
    ])
    .collect();
    Front::new().hold(&rows);
}

#[test]
fn targets_of_a_form_that_is_not_for_their_method_are_refused() {
    let rows: Vec<Case> = [
        ("no slash", 400, "GET foo HTTP/1.1"),
        ("a host without a scheme", 400, "GET a/b HTTP/1.1"),
        ("authority-form", 400, "GET a:80 HTTP/1.1"),
        ("an asterisk for GET", 400, "GET * HTTP/1.1"),
        ("an asterisk for POST", 400, "POST * HTTP/1.1"),
        ("an asterisk and more", 400, "OPTIONS *x HTTP/1.1"),
        ("an asterisk and a path", 400, "OPTIONS */x HTTP/1.1"),
        ("a query alone", 400, "GET ?a=b HTTP/1.1"),
        ("another scheme", 400, "GET ftp://a/ HTTP/1.1"),
        ("half a scheme", 400, "GET http:/a/ HTTP/1.1"),
        ("a scheme and no more", 400, "GET http:// HTTP/1.1"),
        ("a scheme and a path", 400, "GET http:///a HTTP/1.1"),
        ("a scheme without slashes", 400, "GET mailto:x@a HTTP/1.1"),
        ("CONNECT", 501, "CONNECT a:443 HTTP/1.1"),
        ("CONNECT with a path", 501, "CONNECT / HTTP/1.1"),
        ("CONNECT with a URI", 501, "CONNECT http://a/ HTTP/1.1"),
        ("CONNECT in HTTP/1.0", 501, "CONNECT a:443 HTTP/1.0"),
    ]
    .iter()
    .map(|(name, status, line)| refused(name, *status, head(line)))
    .collect();
    Front::new().hold(&rows);
}

#[test]
fn methods_that_are_tokens_are_forwarded_as_they_are() {
    let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "gEt", "M-SEARCH", "x!#$%&'*+-.^_`|~9", "connect"];
    let rows: Vec<Case> = methods
        .iter()
        .map(|method| {
            let body = matches!(*method, "POST" | "PUT" | "PATCH").then_some("|content-length: 0").unwrap_or_default();
            let length = if body.is_empty() { "" } else { "Content-Length: 0\r\n" };
            forwarded(method, format!("{method} / HTTP/1.1\r\nHost: a\r\n{length}\r\n"), &[&format!("{method} / HTTP/1.1{body}|host: a")])
        })
        .collect();
    Front::new().hold(&rows);
}

#[test]
fn forms_that_are_legal_are_understood() {
    Front::new().hold(&[
        forwarded("one empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &["GET / HTTP/1.1|host: a"]),
        forwarded("some empty lines before", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &["GET / HTTP/1.1|host: a"]),
        forwarded("absolute-form", "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", &["GET /b?c HTTP/1.1|host: a"]),
        forwarded("absolute-form without a path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", &["GET / HTTP/1.1|host: a"]),
        forwarded("absolute-form with a query only", "GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", &["GET /?b HTTP/1.1|host: a"]),
        forwarded("absolute-form in capitals", "GET HTTP://A:80/ HTTP/1.1\r\nHost: a:80\r\n\r\n", &["GET / HTTP/1.1|host: a:80"]),
        forwarded("absolute-form of https", "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", &["GET / HTTP/1.1|host: a"]),
        forwarded("absolute-form in HTTP/1.0 without Host", "GET http://a/ HTTP/1.0\r\n\r\n", &["GET / HTTP/1.1|host: a"]).closing(),
        forwarded("HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", &["GET / HTTP/1.1|host: a"]).closing(),
        forwarded("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", &["GET / HTTP/1.1|host: "]).closing(),
        forwarded("HTTP/1.0 that goes on", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &["GET / HTTP/1.1|host: "]),
        forwarded("OPTIONS of a path", "OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", &["OPTIONS /a HTTP/1.1|host: a"]),
        declined("OPTIONS of all", 200, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        declined("OPTIONS of all, with a body", 200, "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"),
    ]);
}
