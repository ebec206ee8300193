//! Chunked bodies: sizes, extensions, data, trailers (RFC 9112 section 7.1). A request that has begun is broken off.

use super::case::{Case, Front, forwarded, refused};

fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn chunks_that_two_readers_may_read_in_two_ways_break_the_request_off() {
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let rows: Vec<Case> = [
        ("no size", "\r\nabc\r\n"),
        ("a size that is none", "G\r\nabc\r\n"),
        ("a negative size", "-3\r\nabc\r\n"),
        ("a size with a sign", "+3\r\nabc\r\n"),
        ("a size with 0x", "0x3\r\nabc\r\n"),
        ("a size in quotes", "\"3\"\r\nabc\r\n"),
        ("a space before a size", " 3\r\nabc\r\n"),
        ("a space behind a size", "3 \r\nabc\r\n"),
        ("a tab behind a size", "3\t\r\nabc\r\n"),
        ("a space in a size", "1 0\r\nabc\r\n"),
        ("an underscore in a size", "1_0\r\nabc\r\n"),
        ("a comma in a size", "3,3\r\nabc\r\n"),
        ("NUL behind a size", "3\0\r\nabc\r\n"),
        ("a size over 64 bits", "10000000000000003\r\nabc\r\n"),
        ("a size over 63 bits", "8000000000000003\r\nabc\r\n"),
        ("a size of many zeros", "00000000000000003\r\nabc\r\n"),
        ("a size of many digits", "ffffffffffffffffffffffffffffffff\r\nabc\r\n"),
        ("a line feed behind a size", "3\nabc\r\n"),
        ("a return behind a size", "3\rabc\r\n"),
        ("two returns behind a size", "3\r\r\nabc\r\n"),
        ("a line feed behind data", "3\r\nabc\n"),
        ("a return behind data", "3\r\nabc\rX"),
        ("nothing behind data", "3\r\nabc3\r\nabc\r\n"),
        ("more data than announced", "3\r\nabcd\r\n"),
        ("less data than announced", "4\r\nabc\r\n"),
        ("a line feed in an extension", "3;a\nabc\r\n"),
        ("a line feed in a quoted extension", "3;a=\"\n\"\r\nabc\r\n"),
        ("a return in an extension", "3;a\rb\r\nabc\r\n"),
        ("NUL in an extension", "3;a\0\r\nabc\r\n"),
        ("an extension without a size", ";a\r\nabc\r\n"),
        ("an extension without a semicolon", "3 a\r\nabc\r\n"),
        ("a line feed behind the last size", "0\n\r\n"),
        ("a line feed behind the last chunk", "0\r\n\n"),
        ("a trailer with a space before the colon", "0\r\nX : y\r\n\r\n"),
        ("a trailer that goes on", "0\r\nX: y\r\n z\r\n\r\n"),
        ("a trailer that begins with a space", "0\r\n X: y\r\n\r\n"),
        ("a trailer without a colon", "0\r\nX\r\n\r\n"),
        ("a trailer with NUL", "0\r\nX: \0\r\n\r\n"),
        ("a trailer and a line feed", "0\r\nX: y\n\r\n"),
        ("a request instead of a trailer", "0\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]
    .iter()
    .map(|(name, body)| refused(name, 400, chunked(&format!("{body}{hidden}"))))
    .chain([
        refused("extensions without an end", 400, chunked(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(9000)))),
        refused("many extensions", 400, chunked(&format!("{}0\r\n\r\n", "1;xxxxxxxxxxxxxxxxxxxx\r\na\r\n".repeat(400)))),
        refused("spaces without an end", 400, chunked(&format!("1{};a\r\na\r\n0\r\n\r\n", " ".repeat(9000)))),
        refused("a trailer without an end", 400, chunked(&format!("0\r\nX: {}\r\n\r\n", "x".repeat(17_000)))),
        refused("trailers without an end", 400, chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(101)))),
    ])
    .collect();
    Front::new().hold(&rows);
}

#[test]
fn chunks_that_are_legal_are_forwarded_without_extensions_and_trailers() {
    let get = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    let rows: Vec<Case> = [
        ("one chunk", "3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("some chunks", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        ("hexadecimal in small letters", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("hexadecimal in capitals", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("zeros before a size", "0003\r\nabc\r\n000\r\n\r\n", "abc"),
        ("an extension", "3;a\r\nabc\r\n0\r\n\r\n", "abc"),
        ("an extension with a value", "3;a=b;c=\"d e;f\"\r\nabc\r\n0;x\r\n\r\n", "abc"),
        ("spaces around an extension", "3 \t; a = b\r\nabc\r\n0\r\n\r\n", "abc"),
        ("line ends in data", "5\r\n\r\n\n\r0\r\n0\r\n\r\n", "\r\n\n\r0"),
        ("a trailer", "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", "abc"),
        (
            "trailers that are forbidden",
            "3\r\nabc\r\n0\r\nHost: b\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
            "abc",
        ),
        ("a trailer that was announced", "0\r\nX-T: 1\r\n\r\n", ""),
    ]
    .iter()
    .map(|(name, body, seen)| {
        let body = if seen.is_empty() { (*body).to_owned() } else { format!("{body}{get}") };
        let first = if seen.is_empty() { String::new() } else { format!("||{seen}") };
        let first = format!("POST / HTTP/1.1|host: a|transfer-encoding: chunked{first}");
        let all = [first.as_str(), "GET /next HTTP/1.1|host: a"];
        forwarded(name, chunked(&body), if seen.is_empty() { &all[..1] } else { &all })
    })
    .collect();
    Front::new().hold(&rows);
}
