//! `X-Accel-Redirect` to a path of the App itself: its own rules answer, with their filters, as if the client had asked for it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use tempfile::TempDir;

use crate::metrics::scrape;
use crate::support::curl::{Curl, Response};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::recorder::Recorder;
use crate::support::responder::Responder;
use crate::support::scratch;

/// An App with a backend that names what it is told to, one that answers, a script, files, and rules that not everybody may use; and
/// another App on the same host.
struct House {
    daemon: Daemon,
    /// Answers `/`: in `A-Fields`, separated by ` | `, the request has the fields of the answer.
    front: Recorder,
    /// Answers `/api`.
    api: Recorder,
    /// Answers `/app`, and the scripts of `/files`.
    script: Responder,
    root: TempDir,
}

impl House {
    fn new() -> Self {
        let front = Recorder::answering(|request, stream| {
            let fields = request.values("a-fields").join(" | ").replace(" | ", "\r\n");
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 5\r\n\r\nfront").as_bytes()).is_ok()
        });
        let api = Recorder::answering(|request, stream| {
            let body = if request.line().starts_with("HEAD") { "" } else { "api" };
            let fields = "Content-Type: text/api\r\nCache-Control: public\r\nSet-Cookie: c=3\r\nX-Api: 1";
            stream.write_all(format!("HTTP/1.1 201 Created\r\n{fields}\r\nContent-Length: 3\r\n\r\n{body}").as_bytes()).is_ok()
        });
        let script = Responder::new(|asked| match asked.param("QUERY_STRING") {
            "again" => b"X-Accel-Redirect: /api/by-script?a=b\nContent-Type: text/html\n\n".to_vec(),
            _ => b"Content-Type: text/script\n\nscript".to_vec(),
        });
        let root = scratch();
        for (name, text) in [("www/files/a.txt", "0123456789"), ("www/files/run.cgi", "#!"), ("www/files/dir/index.html", "index")] {
            super::write(root.path(), name, text);
        }
        super::write(root.path(), "etc/users", &format!("bob:{}\n", bcrypt::hash("secret", 4).unwrap()));
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: house}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  backends:
  - {{name: front, http: {{tcp: \"{front}\"}}}}
  - {{name: api, http: {{tcp: \"{api}\"}}}}
  - {{name: script, fastcgi: {{tcp: \"{script}\"}}}}
  - {{name: silent, http: {{tcp: \"{silent}\"}}}}
  rules:
  - name: api
    matches: [{{path: {{value: /api}}}}]
    filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{add: [{{name: X-By, value: api}}]}}}}]
    backendRefs: [{{name: api}}]
  - matches: [{{path: {{value: /renamed}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /new}}}}}}]
    backendRefs: [{{name: api}}]
  - matches: [{{path: {{value: /private}}}}]
    filters:
    - {{type: BasicAuth, basicAuth: {{file: /etc/users}}}}
    backendRefs: [{{name: api}}]
  - matches: [{{path: {{value: /nobody}}}}]
    filters: [{{type: IPAccess, ipAccess: {{allow: [192.0.2.0/24]}}}}]
    backendRefs: [{{name: api}}]
  - matches: [{{path: {{value: /moved}}}}]
    filters: [{{type: RequestRedirect, requestRedirect: {{statusCode: 301, path: {{type: ReplaceFullPath, replaceFullPath: /there}}}}}}]
  - matches: [{{path: {{value: /files}}}}]
    files: {{root: /www, index: [index.html], scripts: [{{extension: .cgi, backend: script}}]}}
  - matches: [{{path: {{value: /app}}}}]
    backendRefs: [{{name: script}}]
  - matches: [{{path: {{value: /silent}}}}]
    backendRefs: [{{name: silent}}]
  - name: guarded
    matches: [{{path: {{value: /guarded}}}}]
    filters:
    - {{type: BasicAuth, basicAuth: {{file: /etc/users}}}}
    - {{type: RequestHeaderModifier, requestHeaderModifier: {{remove: [Authorization], set: [{{name: X-Guarded, value: \"yes\"}}]}}}}
    backendRefs: [{{name: front}}]
  - name: hurried
    matches: [{{path: {{value: /hurried}}}}]
    timeouts: {{request: 300ms}}
    backendRefs: [{{name: front}}]
  - name: front
    matches: [{{path: {{value: /front}}}}]
    filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{add: [{{name: X-By, value: front}}]}}}}]
    backendRefs: [{{name: front}}]
",
            root = root.path().display(),
            front = front.address(),
            api = api.address(),
            script = script.address(),
            silent = silent(),
        );
        let other = "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: other}
spec:
  backends: [{name: web, http: {tcp: \"127.0.0.1:1\"}}]
  rules:
  - backendRefs: [{name: web}]
";
        let daemon = Daemon::builder()
            .manifest("house.yaml", &manifest)
            .manifest("other.yaml", other)
            .arg("--access-log")
            .arg("json")
            .arg("--access-log-file")
            .arg(root.path().join("access.log"))
            .start();
        Self { daemon, front, api, script, root }
    }

    fn request(&self, path: &str, fields: &str) -> Curl {
        self.daemon.request(path).header("A-Fields", fields)
    }

    fn ask(&self, fields: &str) -> Response {
        self.request("/front", fields).send()
    }
}

/// A server that takes connections and says nothing, for as long as the test runs.
fn silent() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut taken = Vec::new();
        taken.extend(listener.incoming().map_while(Result::ok));
    });
    address
}

fn values<'a>(answer: &'a Response, name: &str) -> Vec<&'a str> {
    answer.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn the_apps_own_rule_answers_in_place_of_the_backend() {
    needs!(curl);
    let house = House::new();
    let said = "Content-Type: text/front | Set-Cookie: a=1 | Set-Cookie: b=2 | Cache-Control: private | Expires: 0 | \
                Content-Disposition: attachment | X-Accel-Buffering: no | X-Front: 1 | ETag: \"front\"";
    let answer = house.ask(&format!("X-Accel-Redirect: /api/v1/ü?x=y z | {said}"));
    assert_eq!((answer.status, answer.text().as_str()), (201, "api"));
    for (name, wanted) in [
        ("set-cookie", &["a=1", "b=2", "c=3"][..]),
        ("cache-control", &["private"]),
        ("expires", &["0"]),
        ("content-disposition", &["attachment"]),
        ("content-type", &["text/api"]),
        ("x-api", &["1"]),
        ("x-front", &[]),
        ("etag", &[]),
        // Those of the second rule come first, then those of the rule that the client asked.
        ("x-by", &["api", "front"]),
    ] {
        assert_eq!(values(&answer, name), wanted, "{name}");
    }
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("x-accel-")), "{answer:?}");
    let asked = house.api.next();
    assert_eq!(asked.line(), "GET /api/v1/%C3%BC?x=y%20z HTTP/1.1");
    assert_eq!((asked.values("a-fields").len(), asked.values("x-forwarded-for").len()), (1, 1));
}

#[test]
fn the_second_request_is_a_get_without_a_body_and_a_head_stays_one() {
    needs!(curl);
    let house = House::new();
    let named = "X-Accel-Redirect: /api/x";
    let post = house.request("/front?q=1", named).header("Content-Type", "text/mine").header("Range", "bytes=0-1").body("a body").send();
    assert_eq!((post.status, post.text().as_str()), (201, "api"));
    assert_eq!(house.front.next().body, b"a body");
    let asked = house.api.next();
    assert_eq!((asked.line(), asked.body.len()), ("GET /api/x HTTP/1.1", 0));
    for name in ["content-length", "content-type", "transfer-encoding", "range"] {
        assert_eq!(asked.values(name), [""; 0], "{name}");
    }
    let head = house.request("/front", named).method("HEAD").send();
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (201, 0, "3"));
    assert_eq!(house.api.next().line(), "HEAD /api/x HTTP/1.1");
    let options = house.request("/front", named).method("OPTIONS").send();
    assert_eq!((options.status, house.api.next().line()), (201, "GET /api/x HTTP/1.1"));
    let renamed = house.ask("X-Accel-Redirect: /renamed/x?y");
    assert_eq!((renamed.status, house.api.next().line()), (201, "GET /new/x?y HTTP/1.1"));
}

#[test]
fn files_and_scripts_answer_as_for_any_request() {
    needs!(curl);
    let house = House::new();
    let file = house.ask("X-Accel-Redirect: /files/a.txt?x | Content-Type: text/own | Cache-Control: private");
    assert_eq!((file.status, file.text().as_str()), (200, "0123456789"));
    assert_eq!(
        (file.header("content-type"), file.header("cache-control")),
        ("text/own", "private"),
        "nginx: what was said of a file stands"
    );
    let by_name = house.ask("X-Accel-Redirect: /files/a.txt | Content-Type:");
    assert_eq!(by_name.header("content-type"), "text/plain; charset=utf-8");
    let part = house.request("/front", "X-Accel-Redirect: /files/a.txt").header("Range", "bytes=2-4").send();
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    let index = house.ask("X-Accel-Redirect: /files/dir/");
    assert_eq!((index.status, index.text().as_str()), (200, "index"));
    let missing = house.ask("X-Accel-Redirect: /files/none | Set-Cookie: a=1 | Content-Disposition: attachment | Cache-Control: max-age=9");
    assert_eq!((missing.status, missing.header("set-cookie"), missing.has("content-disposition")), (404, "a=1", false));
    assert_eq!(missing.header("cache-control"), "no-store");

    let script = house.request("/front?of=client", "X-Accel-Redirect: /files/run.cgi/more?a=b").body("x").send();
    assert_eq!((script.status, script.text().as_str(), script.header("content-type")), (200, "script", "text/script"));
    let asked = house.script.next();
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/front?of=client"),
        ("QUERY_STRING", "a=b"),
        ("SCRIPT_NAME", "/files/run.cgi"),
        ("SCRIPT_FILENAME", "/www/files/run.cgi"),
        ("PATH_INFO", "/more"),
        ("REDIRECT_STATUS", "200"),
        ("CONTENT_LENGTH", ""),
    ] {
        assert_eq!(asked.param(name), value, "{name}");
    }
    let by_script = house.daemon.get("/app/x?again");
    assert_eq!((by_script.status, by_script.text().as_str(), by_script.header("content-type")), (201, "api", "text/api"));
    assert_eq!(house.api.next().line(), "GET /api/by-script?a=b HTTP/1.1");
}

#[test]
fn the_filters_of_the_rule_that_answers_let_nobody_pass_them_by() {
    needs!(curl);
    let house = House::new();
    let private = |request: Curl| request.arg("--basic").arg("--user").arg("bob:secret").send();
    let named = "X-Accel-Redirect: /private/x | Set-Cookie: a=1";
    let refused = house.ask(named);
    assert_eq!((refused.status, refused.has("www-authenticate"), refused.header("set-cookie")), (401, true, "a=1"));
    assert_eq!(private(house.request("/front", named)).status, 201);
    assert_eq!(house.api.next().line(), "GET /private/x HTTP/1.1");
    assert_eq!(house.ask("X-Accel-Redirect: /nobody").status, 403);
    let moved = house.ask("X-Accel-Redirect: /moved/x | Set-Cookie: a=1");
    assert_eq!((moved.status, moved.header("set-cookie")), (301, "a=1"));
    assert!(moved.header("location").ends_with("/there"), "{moved:?}");
    assert!(house.api.is_idle());

    // What filters of the first rule have made of the request is theirs.
    assert_eq!(private(house.request("/guarded", named)).status, 201);
    let asked = house.api.next();
    assert_eq!((asked.values("x-guarded").len(), asked.values("authorization").len()), (0, 1));
    let first = house.front.taken().pop().unwrap();
    assert_eq!((first.values("x-guarded"), first.values("authorization").len()), (vec!["yes"], 0));
}

#[test]
fn what_is_no_path_of_the_app_is_refused_and_logged() {
    needs!(curl);
    let house = House::new();
    for (named, why) in [
        ("@named", "is no path"),
        ("api/x", "is no path"),
        ("http://other.example/api", "is no path"),
        ("", "is no path"),
        ("/api/../private/x", "is no path"),
        ("/api/%2e%2E/private/x", "is no path"),
        ("/../api", "is no path"),
        ("/api/./x", "is no path"),
        ("/api/100%", "is no path"),
        ("/api/%00", "is no path"),
        // Of another App on this host.
        ("/elsewhere", "neither its `internalFiles` nor the App's rules"),
        ("//api", "neither its `internalFiles` nor the App's rules"),
        ("/API", "neither its `internalFiles` nor the App's rules"),
    ] {
        let answer = house.ask(&format!("X-Accel-Redirect: {named}"));
        assert_eq!(answer.status, 502, "{named}: {}", answer.text());
        assert!(!answer.text().contains("front"), "{named}");
        let shown = format!("\"path\":\"{named}\"");
        house.daemon.wait_log(PATIENCE, |line| line.contains(why) && line.contains(&shown) && line.contains("\"app\":\"house\""));
    }
    let twice = house.ask("X-Accel-Redirect: /api/a | X-Accel-Redirect: /api/b");
    assert_eq!(twice.status, 502);
    assert_eq!(house.ask("X-Sendfile: /api/x").status, 502, "that names files only");
    assert!(house.api.is_idle());
}

#[test]
fn ten_redirects_are_followed_and_no_more() {
    needs!(curl);
    let house = House::new();
    let answer = house.ask("X-Accel-Redirect: /front/again | Set-Cookie: a=1");
    assert_eq!(answer.status, 502);
    assert_eq!(values(&answer, "set-cookie").len(), 10);
    assert_eq!(house.front.taken().len(), 11);
    house.daemon.wait_log(PATIENCE, |line| line.contains("again and again") && line.contains("/front/again"));

    let steps = Recorder::answering(|request, stream| {
        let left: usize = request.line().split('/').nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
        let next = left.checked_sub(1).map(|next| format!("X-Accel-Redirect: /{next}\r\n")).unwrap_or_default();
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{next}Content-Length: 2\r\n\r\nok").as_bytes()).is_ok()
    });
    let daemon = Daemon::builder().manifest("app.yaml", &steps.manifest("")).start();
    assert_eq!((daemon.get("/10").status, daemon.get("/11").status), (200, 502));
}

#[test]
fn it_is_one_request_for_clocks_logs_and_counts() {
    needs!(curl);
    let house = House::new();
    let late = house.request("/hurried", "X-Accel-Redirect: /silent").send();
    assert_eq!(late.status, 504, "the limit of the rule that the client asked is about all of it");
    assert_eq!(house.request("/front", "X-Accel-Redirect: /api/x").send().status, 201);
    let log = || std::fs::read_to_string(house.root.path().join("access.log")).unwrap_or_default();
    let lines = crate::support::until("two lines", || Some(log()).filter(|text| text.lines().count() == 2));
    let line: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    let text = line.to_string();
    assert_eq!((&line["status"], &line["rule"], &line["backend"]), (&201.into(), &"front".into(), &"api".into()), "{text}");
    let counted = scrape(&house.daemon);
    let of = |rule: &str| counted.value(&format!("lxcproxy_http_requests_total{{app=\"house\",code=\"2xx\",rule=\"{rule}\"}}"));
    assert_eq!((of("front"), of("api").unwrap_or(0.0)), (Some(1.0), 0.0));
}

#[test]
fn a_client_that_wants_a_tunnel_gets_it_from_where_it_is_sent() {
    let (front, echo) = (
        Recorder::answering(|_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /ws/inner\r\nContent-Length: 0\r\n\r\n").is_ok()
        }),
        Recorder::answering(|request, stream| {
            assert_eq!(request.values("upgrade"), ["echo"]);
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello").is_ok()
        }),
    );
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  backends:
  - {{name: front, http: {{tcp: \"{}\"}}}}
  - {{name: echo, http: {{tcp: \"{}\"}}}}
  rules:
  - backendRefs: [{{name: front}}]
  - matches: [{{path: {{value: /ws}}}}]
    backendRefs: [{{name: echo}}]
",
        front.address(),
        echo.address()
    );
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).start();
    let mut client = TcpStream::connect(daemon.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"hello") {
        let mut byte = [0];
        assert_eq!(client.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.extend(byte);
    }
    assert!(seen.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&seen));
    assert_eq!(echo.next().line(), "GET /ws/inner HTTP/1.1");
}
