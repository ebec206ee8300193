//! `X-Accel-Redirect`, `X-Sendfile`: files that a backend has sent in its stead.

use std::io::Write;
use std::os::unix::fs::symlink;

use super::{Says, Shop, prose};
use crate::support::curl::Response;
use crate::support::needs;

const INTERNAL: &str = "internalFiles: [{path: /protected, root: /srv}, {path: /protected/deep/, root: /var/deep}, {root: /home/app}]";

/// The request says in fields of its own what the backend answers: `A-Status`, and in `A-Fields` more fields, separated by ` | `.
fn shop(backend: &str) -> Shop {
    let files = [
        ("srv/a.txt", "0123456789"),
        ("srv/dir/ü b.txt", "umlaut"),
        ("srv/.hidden", "hidden"),
        ("srv/run.php", "<?php"),
        ("srv/deep/x", "of srv"),
        ("var/deep/x", "of deep"),
        ("home/app/sent.pdf", "%PDF"),
        ("home/application/x", "next door"),
        ("etc/secret", "secret"),
    ];
    let shop = Shop::new(&files, &Says { backend, ..Says::default() }, |request, stream| {
        let field = |name: &str| request.values(name).first().copied().unwrap_or_default().to_owned();
        let status = Some(field("a-status")).filter(|status| !status.is_empty()).unwrap_or_else(|| "200 OK".to_owned());
        let fields = field("a-fields").replace(" | ", "\r\n");
        let body = if request.line().starts_with("HEAD") { "" } else { "body of the backend" };
        stream.write_all(format!("HTTP/1.1 {status}\r\n{fields}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).is_ok()
    });
    let root = shop.root.path();
    symlink("/srv/a.txt", root.join("srv/near")).unwrap();
    symlink("/etc/passwd", root.join("srv/evil")).unwrap();
    symlink("../../../../../../../etc/passwd", root.join("srv/climb")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("srv/pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    shop
}

fn ask(shop: &Shop, fields: &str, more: &[(&str, &str)]) -> Response {
    let request = shop.daemon.request("/download").header("A-Fields", fields);
    more.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

fn is_clean(answer: &Response) -> bool {
    !answer.headers.iter().any(|(name, _)| name.starts_with("x-accel-") || name.starts_with("x-sendfile"))
}

#[test]
fn the_file_takes_the_place_of_the_answer_and_what_the_backend_said_of_it_stays() {
    needs!(curl);
    let shop = shop(INTERNAL);
    for named in ["X-Accel-Redirect: /protected/a.txt", "X-Sendfile: /srv/a.txt"] {
        let said = "Content-Type: application/x-own | Content-Disposition: attachment | Set-Cookie: a=1 | Set-Cookie: b=2 | \
                    Cache-Control: private | X-Frame-Options: DENY | ETag: \"own\" | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT | \
                    X-Accel-Buffering: no | X-Accel-Limit-Rate: 1000";
        let answer = ask(&shop, &format!("{named} | {said}"), &[]);
        assert_eq!((answer.status, answer.text().as_str()), (200, "0123456789"), "{named}");
        for (name, value) in [
            ("content-type", "application/x-own"),
            ("content-disposition", "attachment"),
            ("cache-control", "private"),
            ("x-frame-options", "DENY"),
            ("content-length", "10"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
        assert_eq!(answer.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 2);
        assert!(answer.header("etag") != "\"own\"" && !answer.header("last-modified").contains("1994"), "those of the file");
        assert!(is_clean(&answer), "{answer:?}");
    }
    let by_name = ask(&shop, "X-Sendfile: /home/app/sent.pdf | Content-Type:", &[]);
    assert_eq!((by_name.header("content-type"), by_name.text().as_str()), ("application/pdf", "%PDF"));
    let untyped = ask(&shop, "X-Accel-Redirect: /protected/a.txt", &[]);
    assert_eq!(untyped.header("content-type"), "text/plain; charset=utf-8");
}

#[test]
fn conditions_ranges_and_methods_are_the_clients() {
    needs!(curl);
    let shop = shop(INTERNAL);
    let named = "X-Accel-Redirect: /protected/a.txt | Content-Type: text/own | Content-Disposition: inline | Cache-Control: private";
    let whole = ask(&shop, named, &[]);
    let part = ask(&shop, named, &[("Range", "bytes=2-4")]);
    assert_eq!((part.status, part.text().as_str(), part.header("content-range")), (206, "234", "bytes 2-4/10"));
    assert_eq!((part.header("content-type"), part.header("content-length")), ("text/own", "3"));
    let known = ask(&shop, named, &[("If-None-Match", whole.header("etag"))]);
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, whole.header("etag")));
    assert_eq!((known.has("content-type"), known.has("content-disposition"), known.header("cache-control")), (false, false, "private"));
    assert_eq!(ask(&shop, named, &[("If-Match", "\"other\"")]).status, 412);
    assert_eq!(ask(&shop, named, &[("Range", "bytes=10-")]).status, 416);

    let head = shop.daemon.request("/download").header("A-Fields", named).method("HEAD").send();
    assert_eq!((head.status, head.body.len(), head.header("content-length"), head.header("content-type")), (200, 0, "10", "text/own"));
    let post = shop.daemon.request("/download").header("A-Fields", named).header("Range", "bytes=2-4").body("x").send();
    assert_eq!((post.status, post.text().as_str()), (200, "0123456789"), "a range is a matter of GET");

    let failed = ask(&shop, named, &[("A-Status", "403 Forbidden"), ("Range", "bytes=2-4"), ("If-None-Match", whole.header("etag"))]);
    assert_eq!((failed.status, failed.text().as_str()), (403, "0123456789"), "an error stays one");
    let created = ask(&shop, named, &[("A-Status", "206 Partial Content")]);
    assert_eq!((created.status, created.text().as_str()), (200, "0123456789"));
}

#[test]
fn a_path_leads_to_a_file_of_the_directory_that_it_stands_for_or_nowhere() {
    needs!(curl);
    let shop = shop(INTERNAL);
    for (named, status, text) in [
        ("X-Accel-Redirect: /protected/dir/%C3%BC%20b.txt", 200, "umlaut"),
        ("X-Accel-Redirect: /protected/dir/ü b.txt", 200, "umlaut"),
        ("X-Accel-Redirect: //protected//a.txt", 200, "0123456789"),
        ("X-Accel-Redirect: /protected/a.txt?download=1", 200, "0123456789"),
        ("X-Accel-Redirect: /protected/.hidden", 200, "hidden"),
        ("X-Accel-Redirect: /protected/run.php", 200, "<?php"),
        ("X-Accel-Redirect: /protected/deep/x", 200, "of deep"),
        ("X-Accel-Redirect: /protected/near", 200, "0123456789"),
        ("X-Sendfile: /srv/deep/x", 200, "of srv"),
        ("X-Sendfile: /var/deep/x", 200, "of deep"),
        ("X-Sendfile: /home/app//sent.pdf", 200, "%PDF"),
        ("X-Sendfile: /srv/dir/%C3%BC%20b.txt", 200, "umlaut"),
        ("X-Sendfile: /etc/secret | X-Accel-Redirect: /protected/a.txt", 200, "0123456789"),
        // Not there, or no file.
        ("X-Accel-Redirect: /protected/none", 404, ""),
        ("X-Accel-Redirect: /protected/dir", 404, ""),
        ("X-Accel-Redirect: /protected/", 404, ""),
        ("X-Accel-Redirect: /protected/a.txt/", 404, ""),
        ("X-Accel-Redirect: /protected/a.txt/x", 404, ""),
        ("X-Accel-Redirect: /protected/pipe", 404, ""),
        ("X-Accel-Redirect: /protected/evil", 404, ""),
        ("X-Accel-Redirect: /protected/climb", 404, ""),
        ("X-Accel-Redirect: /protected/dir%20", 404, ""),
        ("X-Sendfile: /srv/a.txt?download=1", 404, ""),
        // Not one of `internalFiles`, nor of the App's rules: those lead back to the backend, which says the same again.
        ("X-Accel-Redirect: /protected", 502, ""),
        ("X-Accel-Redirect: /protectedx/a.txt", 502, ""),
        ("X-Accel-Redirect: /Protected/a.txt", 502, ""),
        ("X-Accel-Redirect: /srv/a.txt", 502, ""),
        ("X-Accel-Redirect: /home/app/sent.pdf", 502, ""),
        ("X-Accel-Redirect: @named", 502, ""),
        ("X-Accel-Redirect: protected/a.txt", 502, ""),
        ("X-Accel-Redirect: http://other.example/protected/a.txt", 502, ""),
        ("X-Accel-Redirect:", 502, ""),
        ("X-Accel-Redirect: /protected/../etc/secret", 502, ""),
        ("X-Accel-Redirect: /protected/dir/../a.txt", 502, ""),
        ("X-Accel-Redirect: /protected/%2e%2e/etc/secret", 502, ""),
        ("X-Accel-Redirect: /protected/..%2fetc/secret", 502, ""),
        ("X-Accel-Redirect: /protected/..\\etc\\secret", 502, ""),
        ("X-Accel-Redirect: /protected/%00a.txt", 502, ""),
        ("X-Accel-Redirect: /protected/100%", 502, ""),
        ("X-Accel-Redirect: /protected/a.txt | X-Accel-Redirect: /protected/.hidden", 502, ""),
        ("X-Sendfile: /etc/secret", 502, ""),
        ("X-Sendfile: /home/application/x", 502, ""),
        ("X-Sendfile: /srv/../etc/secret", 502, ""),
        ("X-Sendfile: srv/a.txt", 502, ""),
        ("X-Sendfile: /protected/a.txt", 502, ""),
    ] {
        let answer = ask(&shop, named, &[]);
        assert_eq!(answer.status, status, "{named}: {}", answer.text());
        if status == 200 {
            assert_eq!(answer.text(), text, "{named}");
        } else {
            assert!(answer.text().contains("app: shop\nrequest: "), "{named}: {}", answer.text());
        }
        assert!(is_clean(&answer), "{named}: {answer:?}");
    }
    let said = shop.daemon.wait_log(crate::support::PATIENCE, |line| line.contains("internalFiles") && line.contains("/etc/secret"));
    assert!(said.contains("\"backend\":\"web\"") && said.contains("x-sendfile"), "{said}");
}

#[test]
fn without_internal_files_a_backend_names_none_and_its_fields_are_hidden_all_the_same() {
    needs!(curl);
    let shop = shop("");
    for named in ["X-Accel-Redirect: /protected/a.txt", "X-Sendfile: /srv/a.txt"] {
        let answer = ask(&shop, named, &[]);
        assert_eq!((answer.status, is_clean(&answer)), (502, true), "{named}");
    }
    let answer = ask(&shop, "X-Accel-Expires: 5 | X-Accel-Buffering: no | X-Accel-Charset: utf-8 | X-Acceleration: 9.81 | X-Other: 1", &[]);
    assert_eq!((answer.status, answer.text().as_str(), is_clean(&answer)), (200, "body of the backend", true));
    assert_eq!((answer.header("x-acceleration"), answer.header("x-other")), ("9.81", "1"), "only those that begin with X-Accel-");
}

#[test]
fn a_client_can_not_tell_an_application_how_files_are_sent() {
    needs!(curl);
    let shop = shop(INTERNAL);
    let fields = [("X-Sendfile-Type", "X-Accel-Redirect"), ("X-Accel-Mapping", "/=/protected/"), ("X_Sendfile", "1"), ("X-Kept", "1")];
    let _ = ask(&shop, "X-A: b", &fields);
    let seen = shop.backend.next();
    for (name, _) in fields {
        assert_eq!(seen.values(name).len(), usize::from(name == "X-Kept"), "{name} in {}", seen.head);
    }
}

#[test]
fn a_large_file_is_streamed_whole_and_through_filters() {
    needs!(curl);
    let says = Says { backend: INTERNAL, rule: "filters: [{type: Compression, compression: {}}]", ..Says::default() };
    let shop = Shop::new(&[("srv/large.txt", &prose(1_000_000))], &says, |_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /protected/large.txt\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            .is_ok()
    });
    assert!(shop.daemon.get("/").text() == prose(1_000_000));
    let encoded = shop.daemon.request("/").header("Accept-Encoding", "zstd").send();
    assert_eq!(encoded.header("content-encoding"), "zstd");
    assert!(super::decoded(&encoded) == prose(1_000_000));
}
