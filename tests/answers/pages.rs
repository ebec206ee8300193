//! Errors that lxcproxy answers itself: small pages in the form that the client reads, or the App's own.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::{Says, Shop, decoded, path, prose};
use crate::support::curl::Response;
use crate::support::daemon::Daemon;
use crate::support::needs;

/// A backend that is fine at `/fine` and `/own`, and breaks the protocol everywhere else.
fn shop(files: &[(&str, &str)], spec: &str, rule: &str) -> Shop {
    Shop::new(files, &Says { spec, rule, backend: "" }, |request, stream| match path(request) {
        "/fine" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n").is_ok(),
        "/own" => stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/x-own\r\nContent-Length: 4\r\n\r\nown\n").is_ok(),
        _ => stream.write_all(b"nonsense\r\n\r\n").is_ok(),
    })
}

fn ask(daemon: &Daemon, path: &str, accept: &str) -> Response {
    daemon.request(path).header("Accept", accept).send()
}

/// The App and the request that a page of ours names; fails if it names more.
fn named(answer: &Response) -> (Option<String>, String) {
    let text = answer.text();
    match answer.header("content-type") {
        "text/plain; charset=utf-8" => {
            let mut lines = text.lines().skip(1).peekable();
            let app = lines.next_if(|line| line.starts_with("app: ")).map(|line| line["app: ".len()..].to_owned());
            let id = lines.next().and_then(|line| line.strip_prefix("request: ")).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(lines.next(), None, "{text}");
            (app, id.to_owned())
        }
        "text/html; charset=utf-8" => {
            assert!(text.starts_with("<!doctype html>") && text.len() < 512, "{text}");
            let between = |from: &str, to: &str| Some(text.split_once(from)?.1.split_once(to)?.0.to_owned());
            (between("<p>App: ", "</p>"), between("<code>", "</code>").unwrap_or_else(|| panic!("{text}")))
        }
        "application/problem+json" => {
            let page: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&page["type"], &page["status"]), (&Value::from("about:blank"), &Value::from(answer.status)));
            (page["app"].as_str().map(str::to_owned), page["requestId"].as_str().unwrap().to_owned())
        }
        other => panic!("{other}: {text}"),
    }
}

#[test]
fn a_page_has_the_form_that_the_client_reads_and_names_app_and_request_only() {
    needs!(curl);
    let shop = shop(&[], "", "");
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    for (accept, content_type) in [
        ("*/*", "text/plain; charset=utf-8"),
        ("", "text/plain; charset=utf-8"),
        (browser, "text/html; charset=utf-8"),
        ("application/json, text/plain, */*", "application/problem+json"),
        ("application/json;q=0.9, text/html;q=0.8", "application/problem+json"),
        ("image/png", "text/plain; charset=utf-8"),
    ] {
        let mut ids = Vec::new();
        for (path, status, title) in [("/broken", 502, "Bad Gateway"), ("/files/none", 404, "Not Found")] {
            let answer = ask(&shop.daemon, path, accept);
            assert_eq!((answer.status, answer.header("content-type")), (status, content_type), "{accept}");
            assert_eq!((answer.header("cache-control"), answer.header("content-length")), ("no-store", &*answer.body.len().to_string()));
            assert!(answer.text().contains(title), "{}", answer.text());
            let (app, id) = named(&answer);
            assert_eq!(app.as_deref(), Some("shop"));
            ids.push(id);
        }
        assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 16), "{ids:?}");
    }
}

#[test]
fn a_request_that_no_app_is_for_gets_the_same_without_a_name() {
    needs!(curl);
    let daemon = Daemon::builder().start();
    for accept in ["*/*", "text/html", "application/json"] {
        let answer = ask(&daemon, "/", accept);
        assert_eq!((answer.status, named(&answer).0, answer.header("cache-control")), (404, None, "no-store"));
    }
}

#[test]
fn head_has_the_fields_and_no_body_and_a_file_says_what_it_takes() {
    needs!(curl);
    let shop =
        shop(&[("www/files/a.css", "x"), ("errors/50x.html", "<p>sorry")], "errorPages: [{statuses: [502], file: /errors/50x.html}]", "");
    for (path, status) in [("/broken", 502), ("/files/none", 404)] {
        let (get, head) = (shop.daemon.get(path), shop.daemon.request(path).method("HEAD").send());
        assert_eq!((head.status, head.body.len(), head.header("content-length")), (status, 0, get.header("content-length")));
    }
    let refused = shop.daemon.request("/files/a.css").body("x").send();
    assert_eq!((refused.status, refused.header("allow"), named(&refused).0.as_deref()), (405, "GET, HEAD", Some("shop")));
}

#[test]
fn filters_see_the_errors_too() {
    needs!(curl);
    let modifier = "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Version, value: \"2\"}, \
                    {name: Cache-Control, value: no-cache}], remove: [Content-Type]}}";
    let shop = shop(&[("404.html", &prose(5000))], "errorPages: [{statuses: [404], file: /404.html}]", &format!("filters: [{modifier}]"));
    for (path, status) in [("/broken", 502), ("/files/none", 404), ("/fine", 200)] {
        let answer = shop.daemon.get(path);
        assert_eq!((answer.status, answer.header("x-version"), answer.header("cache-control")), (status, "2", "no-cache"), "{path}");
        assert!(!answer.has("content-type"), "{path}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{path}");
    }
}

#[test]
fn an_app_has_pages_of_its_own_for_what_is_answered_in_its_stead() {
    needs!(curl);
    let large = prose(300_000);
    let files = [("errors/404.html", "<p>not here"), ("srv/broken.json", "{}"), ("errors/large.html", &large)];
    let pages = "errorPages: [{statuses: [404], file: /errors/404.html}, {statuses: [502, 504], file: /errors/50x}, \
                 {statuses: [405], file: /errors/large.html}]";
    let shop = shop(&files, pages, "");
    symlink("/srv/broken.json", shop.root.path().join("errors/50x")).unwrap();
    shop.write("www/files/a.css", "x");
    let missing = ask(&shop.daemon, "/files/none", "application/json");
    assert_eq!((missing.status, missing.text().as_str()), (404, "<p>not here"), "whatever the client likes");
    let fields = ["content-type", "content-length", "cache-control"].map(|name| missing.header(name));
    assert_eq!(fields, ["text/html; charset=utf-8", "11", "no-store"]);
    let broken = shop.daemon.get("/broken");
    assert_eq!((broken.status, broken.text().as_str()), (502, "{}"), "a link is the container's own");
    let refused = shop.daemon.request("/files/a.css").method("DELETE").send();
    assert!(refused.status == 405 && refused.text() == large, "{} bytes", refused.body.len());
    assert_eq!(refused.header("allow"), "GET, HEAD");
    let own = shop.daemon.get("/own");
    assert_eq!((own.status, own.text().as_str(), own.header("content-type")), (502, "own\n", "text/x-own"), "the backend's word stands");
    assert_eq!(shop.daemon.get("/fine").status, 200);

    shop.write("errors/404.html", "<p>still not here");
    assert_eq!(shop.daemon.get("/files/none").text(), "<p>still not here", "it is read when it is sent");
}

#[test]
fn a_page_that_can_not_be_sent_is_replaced_by_ours() {
    needs!(curl);
    let pages = "errorPages: [{statuses: [404], file: /none.html}, {statuses: [502], file: /pipe}, {statuses: [405], file: /www}]";
    let shop = shop(&[("www/files/a.css", "x")], pages, "");
    let pipe = shop.root.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    symlink("/etc/passwd", shop.root.path().join("none.html")).unwrap();
    for (path, method, status) in [("/files/none", "GET", 404), ("/broken", "GET", 502), ("/files/a.css", "DELETE", 405)] {
        let answer = shop.daemon.request(path).method(method).send();
        assert_eq!((answer.status, named(&answer).0.as_deref()), (status, Some("shop")), "{path}");
    }
    shop.daemon.wait_condition("shop", "Ready", crate::support::PATIENCE);
}

#[test]
fn a_stopped_backend_has_a_page_that_says_when_to_come_back() {
    needs!(curl);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let root = crate::support::scratch();
    super::write(root.path(), "sorry.html", &prose(5000));
    let says = Says { spec: "errorPages: [{statuses: [503], file: /sorry.html}]", ..Says::default() };
    let daemon = Daemon::builder().manifest("shop.yaml", &super::manifest(root.path(), address, &says)).start();
    let answer = daemon.get("/");
    assert_eq!((answer.status, answer.text(), answer.header("retry-after")), (503, prose(5000), "1"));
}

#[test]
fn a_large_page_is_compressed_where_that_is_asked_for() {
    needs!(curl);
    let pages = "errorPages: [{statuses: [404], file: /404.html}]";
    let shop = shop(&[("404.html", &prose(5000))], pages, "filters: [{type: Compression, compression: {}}]");
    let answer = shop.daemon.request("/files/none").header("Accept-Encoding", "gzip").send();
    assert_eq!((answer.status, answer.header("content-encoding"), decoded(&answer)), (404, "gzip", prose(5000)));
    assert!(!answer.has("content-length"));
}

#[test]
fn an_error_before_any_app_is_matched_has_no_page_of_an_app() {
    needs!(curl);
    let shop = shop(&[("400.html", "own")], "errorPages: [{statuses: [400], file: /400.html}]", "");
    let answer = shop.daemon.get("/../x");
    assert_eq!((answer.status, named(&answer).0), (400, None));
}
