//! Parts of files, and conditions on them: RFC 9110 sections 13 and 14 through the real daemon, and nginx beside it.

use std::io::Write;

use super::{Says, Shop};
use crate::support::curl::{Curl, Response};
use crate::support::needs;
use crate::support::nginx::Nginx;

/// Long enough that its parts are several frames.
const LENGTH: usize = 400_000;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| u8::try_from(at * 7 % 253).unwrap()).collect()
}

/// `/files/a.bin`, `/files/empty.bin`; the backend names the former, as a type of its own.
fn shop() -> Shop {
    let shop = Shop::new(
        &[("www/files/empty.bin", ""), ("www/files/dir/index.html", "0123456789")],
        &Says {
            spec: "errorPages: [{statuses: [404], file: /www/files/dir/index.html}]",
            backend: "internalFiles: [{path: /protected, root: /www/files}]",
            ..Says::default()
        },
        |_, stream| {
            let head = "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /protected/a.bin\r\nContent-Type: video/own\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(head.as_bytes()).is_ok()
        },
    );
    std::fs::write(shop.root.path().join("www/files/a.bin"), content()).unwrap();
    shop
}

fn with(request: Curl, fields: &[(&str, &str)]) -> Response {
    fields.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

/// The parts of an answer: their heads, and their bytes.
fn parts(answer: &Response) -> Vec<(String, Vec<u8>)> {
    let boundary = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=").expect("a multipart body");
    let (mut rest, mut parts) = (&*answer.body, Vec::new());
    loop {
        rest = rest.strip_prefix(format!("\r\n--{boundary}").as_bytes()).expect("a boundary");
        if rest == b"--\r\n" {
            return parts;
        }
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of a head");
        let head = String::from_utf8(rest[..end].to_vec()).unwrap();
        let range = head.split("bytes ").nth(1).and_then(|range| range.split_once('/')).expect("a range").0;
        let (first, last) = range.split_once('-').expect("two numbers");
        let length = last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1;
        let (part, after) = rest[end + 4..].split_at(length);
        parts.push((head, part.to_vec()));
        rest = after;
    }
}

#[test]
fn a_body_of_several_parts_is_read_back_byte_for_byte() {
    needs!(curl);
    let (shop, content) = (shop(), content());
    let wanted = [(0, 0), (5, 200_004), (LENGTH - 70_000, LENGTH - 1), (1, 2)];
    let range = wanted.map(|(first, last)| format!("{first}-{last}")).join(", ");
    for (path, media, version) in [
        ("/files/a.bin", "application/octet-stream", "--http1.1"),
        ("/files/a.bin", "application/octet-stream", "--http1.0"),
        ("/download", "video/own", "--http1.1"),
    ] {
        let request = shop.daemon.request(path).arg(version);
        let answer = with(request, &[("Range", &format!("bytes={range},{LENGTH}-"))]);
        assert_eq!((answer.status, answer.header("content-length")), (206, answer.body.len().to_string().as_str()), "{path}");
        assert!(!answer.has("content-range") && answer.has("etag"), "{answer:?}");
        let parts = parts(&answer);
        assert_eq!(parts.len(), wanted.len(), "the one behind the end is left out");
        for ((head, part), (first, last)) in parts.iter().zip(wanted) {
            assert_eq!(*head, format!("\r\nContent-Type: {media}\r\nContent-Range: bytes {first}-{last}/{LENGTH}"));
            assert!(*part == content[first..=last], "{first}-{last}");
        }
    }
}

#[test]
fn ranges_are_those_of_nginx() {
    needs!(curl, nginx, root);
    let shop = shop();
    let nginx = Nginx::start(&format!("root {};", shop.root.path().join("www").display()), None);
    for (path, range) in [
        ("a.bin", "bytes=0-0"),
        ("a.bin", "bytes=0-0,2-3"),
        ("a.bin", "bytes=0-,0-"),
        ("a.bin", "bytes=0-399999,0-0"),
        ("a.bin", "bytes=-5, 10-70000 ,7-8"),
        ("a.bin", "bytes=7-8,7-8,7-8"),
        ("a.bin", "bytes=0-5,400000-"),
        ("a.bin", "bytes=400000-"),
        ("a.bin", "bytes=400000-,-0"),
        ("a.bin", "bytes=399999-"),
        ("a.bin", "bytes=-400001"),
        ("a.bin", "bytes=1-400001"),
        ("a.bin", "Bytes=1-2"),
        ("a.bin", "items=1-2"),
        ("empty.bin", "bytes=0-"),
        ("empty.bin", "bytes=-5"),
        ("empty.bin", "bytes=1-"),
        ("dir/", "bytes=1-2,4-"),
    ] {
        let ask = |request: Curl| with(request, &[("Range", range)]);
        let (ours, theirs) = (ask(shop.daemon.request(&format!("/files/{path}"))), ask(nginx.request(&format!("/files/{path}"))));
        assert_eq!((ours.status, ours.header("content-range")), (theirs.status, theirs.header("content-range")), "{path} {range}");
        if theirs.status == 416 {
            continue;
        }
        if !theirs.header("content-type").starts_with("multipart/") {
            assert!(ours.body == theirs.body, "{path} {range}");
            continue;
        }
        let (ours, theirs) = (parts(&ours), parts(&theirs));
        let bare = |parts: Vec<(String, Vec<u8>)>| -> Vec<_> {
            parts.into_iter().map(|(head, part)| (head.replace("; charset=utf-8", ""), part)).collect()
        };
        assert!(bare(ours.clone()) == bare(theirs.clone()), "{path} {range}: {ours:?} {theirs:?}");
    }
}

#[test]
fn a_client_that_has_a_part_gets_the_rest_of_the_same_file_or_all_of_another() {
    needs!(curl);
    let shop = shop();
    let ask = |fields: &[(&str, &str)]| with(shop.daemon.request("/files/a.bin"), fields);
    let whole = ask(&[]);
    let (tag, date) = (whole.header("etag"), whole.header("last-modified"));
    assert!(tag.starts_with('"') && !date.is_empty());
    assert_eq!(ask(&[("Range", "bytes=1-2,4-5"), ("If-Range", tag)]).status, 206);
    for stale in ["\"old\"", &format!("W/{tag}"), "Sun, 06 Nov 1994 08:49:37 GMT", "junk"] {
        let answer = ask(&[("Range", "bytes=1-2"), ("If-Range", stale)]);
        assert_eq!((answer.status, answer.body.len()), (200, LENGTH), "{stale}");
    }
    assert_eq!(ask(&[("If-None-Match", tag), ("Range", "bytes=1-2")]).status, 304);
    assert_eq!(ask(&[("If-Modified-Since", date), ("Range", "bytes=1-2,4-5")]).status, 304);
    assert_eq!(ask(&[("If-Match", "\"old\""), ("Range", "bytes=1-2")]).status, 412);
    assert_eq!(ask(&[("If-Match", "\"old\""), ("If-None-Match", tag)]).status, 412);
    assert_eq!(ask(&[("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Range", "bytes=999999-")]).status, 412);
    assert_eq!(ask(&[("If-Match", tag), ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")]).status, 200);
    let head = with(shop.daemon.request("/files/a.bin").method("HEAD"), &[("Range", "bytes=1-2,4-5")]);
    assert_eq!((head.status, head.header("content-length")), (200, LENGTH.to_string().as_str()));
    shop.write("www/files/a.bin", "0123456789");
    let changed = ask(&[("Range", "bytes=1-2"), ("If-Range", tag)]);
    assert_eq!((changed.status, changed.text().as_str()), (200, "0123456789"));
    let behind = ask(&[("Range", "bytes=200000-")]);
    assert_eq!((behind.status, behind.header("content-range"), behind.body.len()), (416, "bytes */10", 0));
}

#[test]
fn an_error_is_told_as_a_whole_and_is_not_a_file_that_anybody_has() {
    needs!(curl);
    let shop = shop();
    for (name, value) in
        [("Range", "bytes=1-2"), ("Range", "bytes=1-2,4-5"), ("Range", "bytes=99-"), ("If-None-Match", "*"), ("If-Match", "\"x\"")]
    {
        let answer = with(shop.daemon.request("/files/none"), &[(name, value)]);
        assert_eq!((answer.status, answer.text().as_str()), (404, "0123456789"), "{name}: {value}");
        assert!(!answer.has("content-range") && !answer.has("etag"), "{name}: {value}");
    }
}

#[test]
fn who_asks_for_thousands_of_ranges_gets_the_file_once() {
    needs!(curl);
    let shop = shop();
    let many = format!("bytes={}", (0..3000).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(","));
    let answer = with(shop.daemon.request("/files/a.bin"), &[("Range", &many)]);
    assert_eq!((answer.status, answer.body.len()), (200, LENGTH));
}
