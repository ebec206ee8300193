//! Paths and queries: which bytes they may hold, and what becomes of dot segments (RFC 3986).

use super::case::{Case, Front, declined, forwarded, refused};

#[test]
fn bytes_that_have_no_place_in_a_target_are_refused() {
    let targets = [
        "/a#b", "/a?b#c", "/#", "/a\\b", "/..\\x", "/a\0b", "/a\x01b", "/a\x7fb", "/a<b", "/a>b", "/a`b", "/?a\"b", "/?a<b", "/?a>b",
        "/?\x08",
    ];
    let rows: Vec<Case> = targets.iter().map(|target| refused(target, 400, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))).collect();
    let broken: [&[u8]; 5] = [b"/\xe9", b"/?\xff", b"/\xc3", b"/a\xc0\xafb", b"/\xed\xa0\x80"];
    let no_utf8 =
        broken.iter().map(|target| refused(&format!("{target:?}"), 400, [b"GET ", *target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat()));
    Front::new().hold(&rows.into_iter().chain(no_utf8).collect::<Vec<_>>());
}

#[test]
fn paths_that_lead_nowhere_are_400_and_the_connection_goes_on() {
    let paths = [
        "/..",
        "/../x",
        "/a/../../x",
        "/%2e%2e/x",
        "/%2E./x",
        "/.%2e",
        "/a/%2e%2e/%2e%2e/x",
        "/%00",
        "/a%00b",
        "/%0a",
        "/%0d%0aX:%20y",
        "/%1f",
        "/%7f",
        "/%",
        "/%2",
        "/%zz",
        "/a%2",
        "/%%20",
    ];
    let rows: Vec<Case> = paths.iter().map(|path| declined(path, 400, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))).collect();
    Front::new().hold(&rows);
}

#[test]
fn paths_are_forwarded_as_they_are_but_for_dot_segments() {
    let rows: Vec<Case> = [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E/b", "/a/b"),
        ("/a/.%2E/b", "/b"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a/...", "/a/..."),
        ("/a..b", "/a..b"),
        ("//", "//"),
        ("//a//b//", "//a//b//"),
        ("//a/../b", "//b"),
        ("/a%2fb", "/a%2fb"),
        ("/a%5cb", "/a%5cb"),
        ("/%41", "/%41"),
        ("/%e9", "/%e9"),
        ("/\u{e9}?\u{20ac}", "/\u{e9}?\u{20ac}"),
        ("/;a=b/c,d", "/;a=b/c,d"),
        ("/a:b@c!d$e&f'g(h)i*j+k,l;m=n", "/a:b@c!d$e&f'g(h)i*j+k,l;m=n"),
        ("/[a]{b}|c^d\"e", "/[a]{b}|c^d\"e"),
        ("/?", "/?"),
        ("/?a/../b", "/?a/../b"),
        ("/??a=http://b/?c", "/??a=http://b/?c"),
        ("/?%00%zz%", "/?%00%zz%"),
        ("/?a\\b[c]{d}|e^f`g", "/?a\\b[c]{d}|e^f`g"),
        ("/http://b/", "/http://b/"),
    ]
    .iter()
    .map(|(sent, seen)| forwarded(sent, format!("GET {sent} HTTP/1.1\r\nHost: a\r\n\r\n"), &[&format!("GET {seen} HTTP/1.1|host: a")]))
    .collect();
    Front::new().hold(&rows);
}
