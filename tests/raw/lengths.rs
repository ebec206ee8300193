//! Where a body ends: `Content-Length`, `Transfer-Encoding`, and both (RFC 9112 section 6).

use super::case::{Case, Front, forwarded, refused};

/// What would be a request of its own if the body before it were taken for another length.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(fields: &str, rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{rest}")
}

#[test]
fn lengths_that_two_readers_may_read_in_two_ways_are_refused() {
    let values = [
        "+5",
        "-5",
        "-0",
        "+0",
        "0x5",
        "0x",
        "5 5",
        "5,5",
        "5, 5",
        "5,6",
        ",5",
        "5,",
        "5;",
        "5.0",
        "5e0",
        "5_0",
        "05",
        "0005",
        "00",
        "",
        "five",
        "99999999999999999999",
        "18446744073709551616",
        "18446744073709551621",
        "000000000000000000005",
        "5\x0b",
        "5\u{a0}",
        "\u{665}",
        "\"5\"",
        "5 ;a=b",
        "(5)",
    ];
    let rows: Vec<Case> = values
        .iter()
        .map(|value| refused(&format!("{value:?}"), 400, post(&format!("Content-Length: {value}\r\n"), &format!("12345{HIDDEN}"))))
        .chain([
            refused("twice the same", 400, post("Content-Length: 5\r\nContent-Length: 5\r\n", &format!("12345{HIDDEN}"))),
            refused("twice, the second shorter", 400, post("Content-Length: 5\r\nContent-Length: 0\r\n", &format!("12345{HIDDEN}"))),
            refused("twice, the second longer", 400, post("Content-Length: 0\r\nContent-Length: 5\r\n", &format!("12345{HIDDEN}"))),
            refused("twice in other letters", 400, post("Content-Length: 5\r\ncontent-length: 5\r\n", "12345")),
            refused("twice nothing", 400, post("Content-Length: 0\r\nContent-Length: 0\r\n", "")),
            refused("a space before the colon", 400, post("Content-Length : 5\r\n", &format!("12345{HIDDEN}"))),
            refused("behind a line feed", 400, post("X: y\nContent-Length: 5\r\n", &format!("12345{HIDDEN}"))),
            refused("behind a return", 400, post("X: y\rContent-Length: 5\r\n", &format!("12345{HIDDEN}"))),
            refused("on a second line", 400, post("Content-Length:\r\n 5\r\n", "12345")),
            refused("of GET", 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
            refused("in HTTP/1.0", 400, "POST / HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
        ])
        .collect();
    Front::new().hold(&rows);
}

#[test]
fn codings_that_are_not_exactly_chunked_are_refused() {
    let chunked = format!("5\r\n12345\r\n0\r\n\r\n{HIDDEN}");
    let rows: Vec<Case> = [
        ("gzip", 501),
        ("identity", 501),
        ("deflate", 501),
        ("xchunked", 501),
        ("chunkedx", 501),
        ("x-chunked", 501),
        ("gzip, chunked", 501),
        ("identity, chunked", 501),
        ("cow", 501),
        ("chunke\u{64}-", 501),
        ("", 400),
        (",", 400),
        (",chunked", 400),
        ("chunked,", 400),
        ("chunked,chunked", 400),
        ("chunked, chunked", 400),
        ("chunked, identity", 400),
        ("chunked, gzip", 400),
        ("chunked chunked", 400),
        ("chunked;q=1", 400),
        ("chunked;", 400),
        ("\"chunked\"", 400),
        ("'chunked", 501),
        ("\x0bchunked", 400),
        ("chunked\x0b", 400),
        ("\x0cchunked", 400),
        ("chunked\0", 400),
        ("\u{a0}chunked", 400),
        ("chun\u{212a}ed", 400),
        ("[chunked]", 400),
        ("{chunked}", 400),
        ("chunked\x08", 400),
        ("gzip;a=b, chunked", 400),
        ("gzip chunked", 400),
    ]
    .iter()
    .map(|(value, status)| refused(&format!("{value:?}"), *status, post(&format!("Transfer-Encoding: {value}\r\n"), &chunked)))
    .chain([
        refused("twice", 400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &chunked)),
        refused("twice, the second identity", 400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &chunked)),
        refused("twice, the first identity", 400, post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", &chunked)),
        refused("twice, the second nonsense", 400, post("Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n", &chunked)),
        refused("a space before the colon", 400, post("Transfer-Encoding : chunked\r\n", &chunked)),
        refused("a tab before the colon", 400, post("Transfer-Encoding\t: chunked\r\n", &chunked)),
        refused("a space before the name", 400, post(" Transfer-Encoding: chunked\r\n", &chunked)),
        refused("behind a line feed", 400, post("X: y\nTransfer-Encoding: chunked\r\n", &chunked)),
        refused("behind a return", 400, post("X: y\rTransfer-Encoding: chunked\r\n", &chunked)),
        refused("on a second line", 400, post("Transfer-Encoding:\r\n chunked\r\n", &chunked)),
        refused("a line feed behind the colon", 400, post("Transfer-Encoding:\nchunked\r\n", &chunked)),
        refused("in HTTP/1.0", 400, format!("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")),
        refused(
            "in HTTP/1.0 that goes on",
            400,
            format!("POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        ),
        refused("identity in HTTP/1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n"),
    ])
    .collect();
    Front::new().hold(&rows);
}

#[test]
fn two_lengths_are_refused_whichever_comes_first() {
    let short = format!("0\r\n\r\n{HIDDEN}");
    let rows: Vec<Case> = [
        ("CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"),
        ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        ("TE.CL of nothing", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        ("CL.TE in other letters", "content-length: 5\r\ntransfer-encoding: CHUNKED\r\n"),
        ("CL, others, TE", "Content-Length: 5\r\nX: y\r\nZ: z\r\nTransfer-Encoding: chunked\r\n"),
        ("CL.TE of gzip", "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n"),
        ("CL.TE of identity", "Content-Length: 5\r\nTransfer-Encoding: identity\r\n"),
        ("CL.TE of nothing", "Content-Length: 5\r\nTransfer-Encoding:\r\n"),
        ("TE.CL of nonsense", "Transfer-Encoding: chunked\r\nContent-Length: x\r\n"),
        ("TE.TE.CL", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\nContent-Length: 5\r\n"),
        ("TE.CL named by Connection", "Connection: Content-Length\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("CL.TE named by Connection", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    ]
    .iter()
    .map(|(name, fields)| refused(name, 400, post(fields, &short)))
    .collect();
    Front::new().hold(&rows);
}

#[test]
fn bodies_of_a_legal_length_are_forwarded_with_a_length_of_ours() {
    let next = "GET /next HTTP/1.1|host: a";
    let get = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    Front::new().hold(&[
        forwarded("a length", post("Content-Length: 5\r\n", "12345"), &["POST / HTTP/1.1|content-length: 5|host: a||12345"]),
        forwarded(
            "a length in spaces",
            post("content-LENGTH: \t 5 \t\r\n", "12345"),
            &["POST / HTTP/1.1|content-length: 5|host: a||12345"],
        ),
        forwarded("nothing", post("Content-Length: 0\r\n", ""), &["POST / HTTP/1.1|content-length: 0|host: a"]),
        forwarded(
            "a body that looks like a request",
            post("Content-Length: 33\r\n", HIDDEN),
            &[&format!("POST / HTTP/1.1|content-length: 33|host: a||{HIDDEN}")],
        ),
        forwarded(
            "a request behind a body",
            post("Content-Length: 5\r\n", &format!("12345{get}")),
            &["POST / HTTP/1.1|content-length: 5|host: a||12345", next],
        ),
        forwarded(
            "a body of GET",
            format!("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc{get}"),
            &["GET / HTTP/1.1|content-length: 3|host: a||abc", next],
        ),
        forwarded(
            "chunks",
            post("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n0\r\n\r\n"),
            &["POST / HTTP/1.1|host: a|transfer-encoding: chunked||12345"],
        ),
        forwarded(
            "chunks in other letters",
            post("tRANSFER-eNCODING:  ChunKed \r\n", "0\r\n\r\n"),
            &["POST / HTTP/1.1|host: a|transfer-encoding: chunked"],
        ),
        forwarded(
            "a request behind chunks",
            post("Transfer-Encoding: chunked\r\n", &format!("1\r\na\r\n0\r\n\r\n{get}")),
            &["POST / HTTP/1.1|host: a|transfer-encoding: chunked||a", next],
        ),
        forwarded(
            "a length in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
            &["POST / HTTP/1.1|content-length: 2|host: a||ab"],
        )
        .closing(),
        forwarded("no length", post("", get), &["POST / HTTP/1.1|content-length: 0|host: a", next]),
    ]);
}
