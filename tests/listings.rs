//! `files.listing`: directories that show what is in them.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::daemon::Daemon;
use crate::support::recorder::Recorder;
use crate::support::{PATIENCE, needs};

const FORMS: &str = "Accept";

/// A daemon with a tree of files: `/` and `/shown` show directories, `/plain` does not, `/app` has an application behind.
fn start(root: &std::path::Path, recorder: &Recorder) -> Daemon {
    for name in ["www/shown/b.txt", "www/shown/sub/<x>&y.txt", "www/plain/x", "www/app/x", "www/shown/.hidden", "www/shown/with/index.html"]
    {
        let place = root.join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, "0123456789").unwrap();
    }
    symlink("/etc/passwd", root.join("www/shown/out")).unwrap();
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: site}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  backends: [{{name: app, http: {{tcp: \"{address}\"}}}}]
  rules:
  - files: {{root: /www, listing: true, cacheControl: max-age=60}}
  - matches: [{{path: {{value: /shown}}}}]
    files: {{root: /www, listing: true, try: [\"{{path}}\", \"{{path}}.html\"]}}
  - matches: [{{path: {{value: /plain}}}}]
    files: {{root: /www}}
  - matches: [{{path: {{value: /app}}}}]
    files: {{root: /www, listing: true}}
    backendRefs: [{{name: app}}]
  - matches: [{{path: {{value: /alias}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}]
    files: {{root: /www/shown, listing: true}}
",
        root = root.display(),
        address = recorder.address(),
    );
    let daemon = Daemon::builder().manifest("site.yaml", &manifest).start();
    daemon.wait_condition("site", "Ready", PATIENCE);
    daemon
}

#[test]
fn a_directory_without_an_index_shows_what_is_in_it_as_a_page_or_as_json() {
    needs!(curl);
    let (root, recorder) = (crate::support::scratch(), Recorder::new());
    let daemon = start(root.path(), &recorder);
    let page = daemon.get("/shown/");
    assert_eq!((page.status, page.header("content-type"), page.header("vary")), (200, "text/html; charset=utf-8", FORMS));
    assert_eq!(page.header("content-length"), page.body.len().to_string());
    assert!(!page.has("cache-control") && !page.has("etag"), "{:?}", page.headers);
    let text = page.text();
    assert!(text.contains("<title>Index of /shown/</title>") && text.contains("<a href=\"b.txt\">b.txt</a>"), "{text}");
    assert!(text.find("href=\"sub/\"").unwrap() < text.find("href=\"b.txt\"").unwrap(), "directories first: {text}");
    for unseen in ["hidden", "out", "../"] {
        assert!(!text.contains(unseen), "{unseen}: {text}");
    }
    let below = daemon.get("/shown/sub/").text();
    assert!(below.contains("<a href=\"../\">") && below.contains("<a href=\"%3Cx%3E%26y.txt\">&lt;x&gt;&amp;y.txt</a>"), "{below}");
    assert_eq!(daemon.get("/shown/sub/%3Cx%3E%26y.txt").text(), "0123456789");

    let ask = |accept: &str| daemon.request("/shown/").header("Accept", accept).send();
    for accept in ["application/json", "application/json, text/plain, */*", "text/html;q=0.5, application/json"] {
        let json = ask(accept);
        assert_eq!((json.status, json.header("content-type"), json.header("vary")), (200, "application/json", FORMS), "{accept}");
        let items: Vec<serde_json::Value> = serde_json::from_slice(&json.body).unwrap();
        let names: Vec<_> = items.iter().map(|item| (item["name"].as_str().unwrap(), item["type"].as_str().unwrap())).collect();
        assert_eq!(names, [("sub", "directory"), ("with", "directory"), ("b.txt", "file")]);
        assert_eq!((&items[2]["size"], &items[0]["size"]), (&10.into(), &serde_json::Value::Null));
    }
    for accept in ["text/html", "*/*", "text/html, application/json;q=0.9", "image/png"] {
        assert_eq!(ask(accept).header("content-type"), "text/html; charset=utf-8", "{accept}");
    }
}

#[test]
fn a_listing_has_its_place_among_index_redirect_application_and_method() {
    needs!(curl);
    let (root, recorder) = (crate::support::scratch(), Recorder::new());
    let daemon = start(root.path(), &recorder);
    let head = daemon.request("/shown/").method("HEAD").send();
    assert_eq!((head.status, head.header("content-length")), (200, daemon.get("/shown/").header("content-length")));
    assert_eq!(daemon.get("/shown/with/").text(), "0123456789", "an index goes first");
    for (path, location) in [("/shown", "/shown/"), ("/shown/sub?x=1&y", "/shown/sub/?x=1&y"), ("/alias?x", "/alias/?x"), ("/app", "/app/")]
    {
        let answer = daemon.get(path);
        assert_eq!((answer.status, answer.header("location")), (301, location), "{path}");
    }
    for (path, status) in
        [("/shown/missing/", 404), ("/shown/b.txt/", 404), ("/plain/", 404), ("/shown/.git/", 404), ("/alias/", 200), ("/app/", 200)]
    {
        assert_eq!(daemon.get(path).status, status, "{path}");
    }
    assert!(!daemon.get("/alias/").text().contains("../"), "the top of a rule has nothing above it");
    let refused = daemon.request("/shown/").body("x").send();
    assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"));
    assert!(recorder.is_idle(), "a directory that is there is shown");
    assert_eq!(daemon.request("/app/").body("x").send().text(), "ok\n", "another method is the application's");
    assert_eq!(daemon.get("/app/missing/").text(), "ok\n");
}
