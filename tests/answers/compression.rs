//! `Compression`: which answers, in which coding, with which fields.

use std::io::Write;

use super::{Says, Shop, decoded, path, prose};
use crate::support::curl::Response;
use crate::support::needs;

const FILTER: &str = "filters: [{type: Compression, compression: {}}]";

/// Answers of the backend, by path: fields, and how many bytes.
const ANSWERS: [(&str, &str, &str, usize); 16] = [
    ("/html", "200 OK", "Content-Type: text/html; charset=utf-8\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\nContent-MD5: x", 5000),
    ("/json", "200 OK", "Content-Type: Application/JSON\r\nVary: Origin\r\nVary: Cookie\r\nETag: W/\"v2\"", 5000),
    ("/denied", "403 Forbidden", "Content-Type: text/plain", 5000),
    ("/missing", "404 Not Found", "Content-Type: text/plain", 5000),
    ("/star", "200 OK", "Content-Type: text/css\r\nVary: *", 5000),
    ("/1024", "200 OK", "Content-Type: text/plain", 1024),
    ("/encoded", "200 OK", "Content-Type: text/plain\r\nContent-Encoding: br", 5000),
    ("/no-transform", "200 OK", "Content-Type: text/plain\r\nCache-Control: max-age=5, No-Transform", 5000),
    ("/part", "206 Partial Content", "Content-Type: text/plain\r\nContent-Range: bytes 0-4999/9999", 5000),
    ("/odd-part", "200 OK", "Content-Type: text/plain\r\nContent-Range: bytes 0-4999/9999", 5000),
    ("/created", "201 Created", "Content-Type: text/plain", 5000),
    ("/failed", "500 Internal Server Error", "Content-Type: text/plain", 5000),
    ("/image", "200 OK", "Content-Type: image/png", 5000),
    ("/binary", "200 OK", "Content-Type: application/octet-stream", 5000),
    ("/untyped", "200 OK", "X-A: b", 5000),
    ("/1023", "200 OK", "Content-Type: text/plain", 1023),
];

/// How many of these are compressed: the first.
const COMPRESSED: usize = 6;

fn shop(rule: &str) -> Shop {
    let files = [
        ("www/files/a.css", prose(5000)),
        ("www/files/short.css", prose(1023)),
        ("www/files/a.png", prose(5000)),
        ("www/files/empty.css", String::new()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Shop::new(&files, &Says { rule, ..Says::default() }, |request, stream| {
        if path(request) == "/empty" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n").is_ok();
        }
        if path(request) == "/chunked" {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
            return stream.write_all(format!("{head}5\r\nshort\r\n0\r\n\r\n").as_bytes()).is_ok();
        }
        let Some((_, status, fields, length)) = ANSWERS.iter().find(|(place, ..)| *place == path(request)) else { return false };
        let body = if request.line().starts_with("HEAD") { String::new() } else { prose(*length) };
        stream.write_all(format!("HTTP/1.1 {status}\r\n{fields}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).is_ok()
    })
}

fn get(shop: &Shop, path: &str, accept: &str) -> Response {
    shop.daemon.request(path).header("Accept-Encoding", accept).send()
}

#[test]
fn an_answer_comes_in_the_coding_that_the_client_likes_best() {
    needs!(curl);
    let shop = shop(FILTER);
    for (accept, coding) in [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *;q=0.1", "br"),
        ("gzip;q=0.5, identity;q=0.9", ""),
        ("deflate", ""),
        ("gzip;q=0", ""),
        ("identity", ""),
        ("", ""),
    ] {
        for path in ["/html", "/files/a.css"] {
            let answer = get(&shop, path, accept);
            assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{accept} {path}");
            assert_eq!(decoded(&answer), prose(5000), "{accept} {path}");
            assert_eq!(answer.header("vary"), "Accept-Encoding", "{accept} {path}");
            assert_eq!(answer.has("content-length"), coding.is_empty(), "{accept} {path}");
            assert_eq!(answer.has("accept-ranges"), coding.is_empty(), "{accept} {path}");
            assert_eq!(answer.header("etag").starts_with("W/"), !coding.is_empty(), "{accept} {path}");
            assert!(coding.is_empty() || !answer.has("content-md5"), "{accept} {path}");
        }
    }
    let plain = shop.daemon.get("/html");
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "Accept-Encoding"), "no field at all");
}

#[test]
fn the_manifest_orders_the_codings_and_names_types_and_size() {
    needs!(curl);
    let all = "gzip, br, zstd";
    let filter = "filters: [{type: Compression, compression: {algorithms: [gzip, br], types: [\"*/*\"], minimumSize: 1}}]";
    let shop = shop(filter);
    for (path, coding) in [("/html", "gzip"), ("/1023", "gzip"), ("/binary", "gzip"), ("/image", ""), ("/untyped", ""), ("/empty", "")] {
        assert_eq!(get(&shop, path, all).header("content-encoding"), coding, "{path}");
    }
    assert_eq!(get(&shop, "/html", "br").header("content-encoding"), "br");
    assert_eq!(get(&shop, "/html", "zstd").header("content-encoding"), "");
}

#[test]
fn only_what_is_worth_it_and_may_be_touched_is_compressed() {
    needs!(curl);
    let shop = shop(FILTER);
    for (at, (path, status, _, length)) in ANSWERS.iter().enumerate() {
        let answer = get(&shop, path, "gzip");
        assert!(status.starts_with(&answer.status.to_string()), "{path}");
        if at < COMPRESSED {
            assert_eq!((answer.header("content-encoding"), decoded(&answer)), ("gzip", prose(*length)), "{path}");
            continue;
        }
        let before = if *path == "/encoded" { "br" } else { "" };
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), (before, ""), "{path}");
        assert_eq!((answer.header("content-length"), answer.body.len()), (length.to_string().as_str(), *length), "{path}");
    }
    for (path, coding) in [("/chunked", "gzip"), ("/empty", ""), ("/files/short.css", ""), ("/files/a.png", ""), ("/files/empty.css", "")] {
        let answer = get(&shop, path, "gzip");
        assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{path}");
    }
    assert_eq!(decoded(&get(&shop, "/chunked", "gzip")), "short", "what is not measured is not short");
    assert_eq!(get(&shop, "/1023", "gzip, identity;q=0").header("content-encoding"), "gzip", "the client refuses anything else");
    let json = get(&shop, "/json", "gzip");
    let vary: Vec<_> = json.headers.iter().filter(|(name, _)| name == "vary").map(|(_, value)| value.as_str()).collect();
    assert_eq!((vary, json.header("etag")), (vec!["Origin, Cookie, Accept-Encoding"], "W/\"v2\""));
    assert_eq!(get(&shop, "/star", "gzip").header("vary"), "*");
}

#[test]
fn who_speaks_http_1_0_or_wants_nothing_transformed_gets_it_as_it_is() {
    needs!(curl);
    let shop = shop(FILTER);
    let old = shop.daemon.request("/html").header("Accept-Encoding", "gzip").arg("--http1.0").send();
    assert_eq!((old.header("content-encoding"), old.text()), ("", prose(5000)));
    let whole = shop.daemon.request("/html").header("Accept-Encoding", "gzip").header("Cache-Control", "no-transform").send();
    assert_eq!((whole.header("content-encoding"), whole.text()), ("", prose(5000)));
}

#[test]
fn head_has_the_fields_of_get_without_a_length() {
    needs!(curl);
    let shop = shop(FILTER);
    for path in ["/html", "/json", "/1023", "/image", "/files/a.css", "/files/short.css"] {
        let get = get(&shop, path, "br");
        let head = shop.daemon.request(path).header("Accept-Encoding", "br").method("HEAD").send();
        let fields = |answer: &Response| {
            let kept = |(name, _): &&(String, String)| !matches!(name.as_str(), "date" | "transfer-encoding");
            answer.headers.iter().filter(kept).cloned().collect::<Vec<_>>()
        };
        assert_eq!((head.status, fields(&head)), (200, fields(&get)), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
}

#[test]
fn filters_beside_it_see_the_answer_in_their_order() {
    needs!(curl);
    let typed = "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: Content-Type, value: text/plain}]}}";
    let compression = "{type: Compression, compression: {}}";
    // The filter that stands last is the first to see an answer.
    for (filters, coding) in [(format!("{compression}, {typed}"), "br"), (format!("{typed}, {compression}"), "")] {
        let shop = shop(&format!("filters: [{filters}]"));
        let answer = get(&shop, "/untyped", "br");
        assert_eq!((answer.header("content-encoding"), answer.header("content-type")), (coding, "text/plain"));
    }
}

#[test]
fn without_the_filter_nothing_is_compressed() {
    needs!(curl);
    let answer = get(&shop(""), "/html", "gzip, br, zstd");
    assert_eq!((answer.header("content-encoding"), answer.header("vary"), answer.header("etag")), ("", "", "\"v1\""));
}
