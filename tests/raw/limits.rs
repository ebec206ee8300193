//! Sizes: 431 and 414, and what is just small enough.

use super::case::{Front, forwarded, refused};

/// Bytes of a head, and half of them for the request line.
const HEAD: usize = 32 * 1024;

#[test]
fn heads_and_lines_over_their_limits_are_431_and_414() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 16));
    let head = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length - 32));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X:\r\n".repeat(count - 1));
    let seen = format!("GET /{} HTTP/1.1|host: a", "x".repeat(HEAD / 2 - 16));
    let long = format!("GET / HTTP/1.1|host: a|x: {}", "x".repeat(HEAD - 32));
    let many = format!("GET / HTTP/1.1|host: a{}", "|x: ".repeat(99));
    Front::new().hold(&[
        forwarded("a line of the largest size", line(HEAD / 2), &[&seen]),
        refused("a line that is too long", 414, line(HEAD / 2 + 1)),
        refused("a line that is much too long", 414, line(HEAD * 3)),
        refused("a line without an end", 414, format!("GET /{}", "x".repeat(HEAD))),
        refused("a method without an end", 414, "x".repeat(HEAD)),
        refused("empty lines without an end", 414, "\r\n".repeat(HEAD)),
        forwarded("a head of the largest size", head(HEAD), &[&long]),
        refused("a head that is too large", 431, head(HEAD + 1)),
        refused("a head that is much too large", 431, head(HEAD * 3)),
        refused("a field without an end", 431, &head(HEAD * 2)[..HEAD + 100]),
        refused("a name without an end", 431, format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "x".repeat(HEAD))),
        forwarded("the largest number of fields", fields(100), &[&many]),
        refused("too many fields", 431, fields(101)),
        refused("much too many fields", 431, fields(1000)),
    ]);
}
