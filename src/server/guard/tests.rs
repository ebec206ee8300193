//! Bytes in pieces of every size; limits; and hyper's own reading of the same bytes.

mod agree;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Found, Guard, Limits, Refusal, Then};

const LIMITS: Limits = Limits { head: 400, line: 200, fields: 5 };

/// Shows `bytes` to a guard in pieces that end at `ends`: what was passed, and the end.
fn in_pieces(bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Found {
    let mut guard = Guard::new(LIMITS);
    let (mut passed, mut then) = (0, Then::More);
    for end in ends.into_iter().chain([bytes.len()]) {
        loop {
            let found = guard.look(&bytes[passed..end]);
            (passed, then) = (passed + found.passed, found.then);
            match then {
                Then::More => break,
                Then::Decision => guard.decide(false),
                Then::Refused(_) | Then::Broken(_) => return Found { passed, then },
            }
        }
    }
    Found { passed, then }
}

/// Pieces mean what the whole means. A line that can't be right may be refused at once or at its end.
fn look_at_pieces(bytes: &[u8], ends: impl IntoIterator<Item = usize> + Clone) -> Found {
    let whole = in_pieces(bytes, []);
    let mut pieces = in_pieces(bytes, ends.clone());
    if pieces.then == Then::More && whole.then != Then::More {
        pieces = in_pieces(&[bytes, b"\n"].concat(), ends.into_iter().chain([bytes.len()]));
    }
    assert_eq!(pieces, whole, "{:?}", String::from_utf8_lossy(bytes));
    whole
}

/// All at once, and byte by byte.
fn look(bytes: &[u8]) -> Found {
    look_at_pieces(bytes, 0..bytes.len())
}

fn refused(bytes: &[u8]) -> Option<Refusal> {
    match look(bytes).then {
        Then::Refused(refusal) | Then::Broken(refusal) => Some(refusal),
        Then::More | Then::Decision => None,
    }
}

#[test]
fn requests_in_order_are_passed_to_their_last_byte() {
    for bytes in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost:a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n00\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://A:80?x HTTP/1.1\r\nhOST: \t a:80 \t\r\n\r\n",
    ] {
        assert_eq!(look(bytes.as_bytes()), Found { passed: bytes.len(), then: Then::More }, "{bytes:?}");
    }
}

#[test]
fn what_is_not_whole_is_kept_back_and_bodies_are_not() {
    for (bytes, passed) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r", 0),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP", 27),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", 49),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nab", 63),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: 1\r", 59),
    ] {
        assert_eq!(look(bytes.as_bytes()), Found { passed, then: Then::More }, "{bytes:?}");
    }
}

#[test]
fn limits_hold_before_and_after_the_end_of_what_they_limit() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "x".repeat(length));
    assert_eq!(refused(line(185).as_bytes()), Some(Refusal::LineTooLong));
    assert_eq!(refused(line(184).as_bytes()), None);
    assert_eq!(refused(&line(200).as_bytes()[..201]), Some(Refusal::LineTooLong), "before its end");
    assert_eq!(refused(&b"\r\n".repeat(201)), Some(Refusal::LineTooLong));
    let head = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length));
    assert_eq!(refused(head(368).as_bytes()), None, "{}", head(368).len());
    assert_eq!(refused(head(369).as_bytes()), Some(Refusal::HeadTooLarge));
    assert_eq!(refused(&head(500).as_bytes()[..401]), Some(Refusal::HeadTooLarge), "before its end");
    let fields = |count: usize| format!("GET / HTTP/1.1\r\n{}", "Host:\r\n".to_owned() + &"X:\r\n".repeat(count - 1)) + "\r\n";
    assert_eq!(refused(fields(5).as_bytes()), None);
    assert_eq!(refused(fields(6).as_bytes()), Some(Refusal::TooManyFields));
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailers = |count: usize, length: usize| format!("{chunked}0\r\n{}\r\n", format!("X: {}\r\n", "x".repeat(length)).repeat(count));
    assert_eq!(refused(trailers(5, 3).as_bytes()), None);
    assert_eq!(refused(trailers(6, 3).as_bytes()), Some(Refusal::Trailers));
    assert_eq!(refused(trailers(2, 94).as_bytes()), None);
    assert_eq!(refused(trailers(2, 95).as_bytes()), Some(Refusal::Trailers));
    assert_eq!(refused(&trailers(1, 300).as_bytes()[..chunked.len() + 204]), Some(Refusal::Trailers), "before its end");
    let extension = |length: usize| format!("{chunked}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length));
    assert_eq!(refused(extension(8190).as_bytes()), None);
    assert_eq!(refused(extension(8191).as_bytes()), Some(Refusal::Extensions));
}

#[test]
fn every_chunk_that_two_readers_may_read_in_two_ways_breaks_the_message() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, passed) in [
        ("-1\r\na", 0),
        ("+1\r\na", 0),
        ("0x1\r\na", 1),
        ("1 \r\na", 2),
        (" 1\r\na", 0),
        ("\r\n", 0),
        (";a\r\n", 0),
        ("1\na", 1),
        ("1\rXa", 2),
        ("1;a\na", 3),
        ("1;a\0\r\na", 3),
        ("1\r\nab\r\n", 4),
        ("1\r\na\n", 4),
        ("1\r\na\rX", 5),
        ("G\r\n", 0),
        ("8000000000000000\r\n", 15),
        ("00000000000000001\r\n", 16),
        ("FFFFFFFFFFFFFFFFF\r\n", 15),
        ("0\r\nX : 1\r\n\r\n", 3),
        ("0\r\n 1\r\n\r\n", 3),
        ("0\r\nX: 1\n\r\n", 3),
        ("0\r\n\n", 3),
        ("0\r\n\rX", 3),
    ] {
        let found = look(format!("{head}{body}").as_bytes());
        assert!(matches!(found.then, Then::Broken(_)), "{body:?}: {found:?}");
        assert_eq!(found.passed, head.len() + passed, "{body:?}");
    }
    assert_eq!(refused(format!("{head}7fffffffffffffff\r\nabc").as_bytes()), None);
}

#[test]
fn nothing_passes_while_it_is_undecided_whether_there_is_a_tunnel() {
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let both = [&ask[..], b"\0\x01GET"].concat();
    for tunnel in [false, true] {
        let mut guard = Guard::new(LIMITS);
        assert_eq!(guard.look(&both), Found { passed: ask.len(), then: Then::Decision });
        assert_eq!(guard.look(b"\0\x01GET /"), Found { passed: 0, then: Then::Decision });
        guard.decide(tunnel);
        let found = guard.look(b"\0\x01GET /");
        let expected = if tunnel { Found { passed: 7, then: Then::More } } else { Found { passed: 0, then: Then::Refused(Refusal::Line) } };
        assert_eq!(found, expected);
        assert_eq!((guard.heads(), guard.is_tunnel()), (1, tunnel));
    }
}

/// Lines without their ends: of requests, and fields that are in order or not.
const LINES: &str = "GET / HTTP/1.1|POST /a?b HTTP/1.1|GET / HTTP/1.0|OPTIONS * HTTP/1.1|GET http://a/ HTTP/1.1|m-x! /%00{} HTTP/1.1|\
    GET //a/../%2e%2e/ HTTP/1.1|GET http://a?q HTTP/1.1|GET /a#b HTTP/1.1|GET /\\ HTTP/1.1|GET / HTTP/1.2|PRI * HTTP/2.0|GET /|CONNECT a:1 HTTP/1.1";
const FIELDS: &str = "Content-Length: 5|content-length:0|Transfer-Encoding: chunked|TRANSFER-ENCODING:CHUNKED|Connection: close|\
    Connection: keep-alive, x|Upgrade: h2c|Expect: 100-continue|X: y|X:";
const OTHERS: &str = "Host: a|host:a:80|Host:|Host: a@b|Content-Length: +5|Content-Length: 05|Content-Length: 5, 5|Content-Length : 5|\
    Transfer-Encoding: gzip, chunked|Transfer-Encoding: ,chunked|Transfer-Encoding:\x0bchunked|Transfer-Encoding: chunked, identity|\
    Expect: x|x-\u{e9}: 1|X: \u{e9}|: x| folded|X: y\nZ: z|X: y\rZ: z|X: y\r";
/// What may stand behind a head.
const CHUNKS: &[&str] = &[
    "5\r\nhello\r\n",
    "5;a=\"b\"\r\nhello\r\n",
    "05\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nT: x\r\n\r\n",
    "5 ;a\r\nhello\r\n",
    "5 \r\nhello\r\n",
    "5\nhello\r\n",
    "5;a\nhello\r\n",
    "5\r\nhello\n",
    "5\r\nhello!\r\n",
    "0\n\r\n",
    "0;a\n\r\n",
    "0\r\n\n",
    "0\r\nT: x\n\r\n",
    "0\r\nT : x\r\n\r\n",
    "10000000000000000\r\n\r\n",
    "ffffffffffffffff\r\nhello\r\n",
    "7fffffffffffffff\r\nhello\r\n",
    "-1\r\nhello\r\n",
];
const ENDS: &[&str] = &["\r\n", "\r\n\r\n", "\n", "\r", "\0", " ", "hello"];

fn line(of: &'static str) -> impl Strategy<Value = String> {
    select(of.split('|').collect::<Vec<_>>()).prop_map(|line| format!("{line}\r\n"))
}

/// Messages that are in order but for what was done to a few of their bytes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let fields = || prop::collection::vec(prop_oneof![4 => line(FIELDS), 1 => line(OTHERS)], 0..3).prop_map(|fields| fields.concat());
    let chunks = || prop::collection::vec(select(CHUNKS), 1..4).prop_map(|chunks| chunks.concat());
    let head = |more: &'static str| (line(LINES), fields()).prop_map(move |(line, fields)| format!("{line}Host: a\r\n{more}{fields}\r\n"));
    let part = prop_oneof![
        2 => head(""),
        2 => head("Content-Length: 5\r\n").prop_map(|head| head + "hello"),
        3 => (head("Transfer-Encoding: chunked\r\n"), chunks()).prop_map(|(head, chunks)| head + &chunks),
        1 => chunks(),
        1 => select(ENDS).prop_map(str::to_owned),
        1 => prop_oneof![line(LINES), line(FIELDS), line(OTHERS)],
    ];
    let edit = (any::<Index>(), 0..3_u8, prop_oneof![any::<u8>(), select(&b"\r\n\t :;,#0\0\x7f"[..])]);
    (prop::collection::vec(part, 1..4), prop::collection::vec(edit, 0..3)).prop_map(|(parts, edits)| {
        let mut bytes = parts.concat().into_bytes();
        for (index, what, byte) in edits {
            let at = index.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(4000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wherever_the_guard_and_hyper_read_two_things_the_guard_has_refused(bytes in bytes()) {
        prop_assert_eq!(agree::disagreement(&bytes), None, "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_any_size_mean_the_same(bytes in bytes(), ends in prop::collection::vec(any::<Index>(), 0..8)) {
        let mut ends: Vec<usize> = ends.iter().map(|end| end.index(bytes.len())).collect();
        ends.sort_unstable();
        look_at_pieces(&bytes, ends);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        look(&bytes);
    }
}
