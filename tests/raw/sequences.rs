//! Several requests on one connection: each is answered in its turn, and nothing behind a refusal is heard.

use super::case::{Front, forwarded, refused};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const A: &str = "GET /a HTTP/1.1|host: a";

#[test]
fn requests_that_come_at_once_are_answered_in_their_turn() {
    let post = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";
    let p = "POST /p HTTP/1.1|content-length: 2|host: a||xy";
    Front::new().hold(&[
        forwarded("two", GET.repeat(2), &[A, A]),
        forwarded("thirty", GET.repeat(30), &[A; 30]),
        forwarded("with bodies", format!("{post}{GET}{post}{post}{GET}"), &[p, A, p, p, A]),
        forwarded("with empty lines between", format!("{GET}\r\n{GET}\r\n\r\n{GET}"), &[A, A, A]),
        forwarded("behind a close", format!("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{GET}"), &[A]).closing(),
        forwarded("behind a close among others", format!("GET /a HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n{GET}"), &[A])
            .closing(),
        forwarded("behind HTTP/1.0", format!("GET /a HTTP/1.0\r\nHost: a\r\n\r\n{GET}"), &[A]).closing(),
    ]);
}

#[test]
fn a_request_behind_others_is_refused_in_its_turn_and_what_follows_it_is_not_heard() {
    let bad = "GET /bad HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n";
    let behind = |requests: &str, statuses: &[u16], seen: &[&str]| {
        forwarded(&format!("{requests:?}"), format!("{requests}{GET}"), seen).answered(statuses).closing()
    };
    Front::new().hold(&[
        behind(&format!("{GET}{bad}"), &[200, 400], &[A]),
        behind(&format!("{}{bad}", GET.repeat(20)), &[[200; 20].as_slice(), &[400]].concat(), &[A; 20]),
        behind(&format!("{GET}GET / HTTP/2.0\r\n\r\n"), &[200, 505], &[A]),
        behind(&format!("{GET}CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), &[200, 501], &[A]),
        behind(&format!("{GET}\0"), &[200, 400], &[A]),
        behind(&format!("{GET}\n"), &[200, 400], &[A]),
        behind(
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx(",
            &[200, 400],
            &["POST /a HTTP/1.1|content-length: 1|host: a||x"],
        )
        .named("more than announced"),
        refused("two that are refused", 400, bad.repeat(2)),
        behind(&format!("{GET}HEAD /bad HTTP/1.1\r\n\r\n"), &[200, 400], &[A]),
    ]);
}
