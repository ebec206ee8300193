//! `ForwardAuth`: a backend is asked, and its word is law.

use std::io::Write;
use std::net::TcpStream;

use super::{daemon, manifest, nobody};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::recorder::{Recorder, Request};

/// An authority that answers what the request's `X-Answer` says.
fn authority() -> Recorder {
    Recorder::answering(|request: &Request, stream: &mut TcpStream| {
        let answer = match request.values("x-answer").first().copied().unwrap_or("yes") {
            "yes" => "HTTP/1.1 200 OK\r\nX-User: bob\r\nX-Group: a\r\nX-Group: b\r\nX-Secret: 1\r\nContent-Length: 3\r\n\r\nyes".to_owned(),
            "created" => "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "login" => "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                        Content-Type: text/html\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Accel-Redirect: /private/a\r\n\
                        X-Sendfile: /srv/a\r\nKeep-Alive: timeout=5\r\nContent-Length: 7\r\n\r\n<login>"
                .to_owned(),
            "elsewhere" => {
                "HTTP/1.1 302 Found\r\nLocation: https://login.test/?rd=x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
                    .to_owned()
            }
            "large" => format!("HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)),
            "garbage" => "what?\r\n\r\n".to_owned(),
            "half" => "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhalf".to_owned(),
            "silence" => {
                // Until the daemon has had enough.
                let _ = std::io::Read::read(stream, &mut [0]);
                return false;
            }
            other => panic!("{other}"),
        };
        stream.write_all(answer.as_bytes()).is_ok() && !answer.contains("half")
    })
}

fn asking(fields: &str) -> String {
    format!(
        "  - matches: [{{path: {{value: /app}}}}]
    filters:
    - type: URLRewrite
      urlRewrite: {{hostname: inner.test, path: {{type: ReplacePrefixMatch, replacePrefixMatch: /inner}}}}
    - {{type: ForwardAuth, forwardAuth: {{backendRef: authority{fields}}}}}
    timeouts: {{backendRead: 400ms}}
    backendRefs: [{{name: web}}]"
    )
}

#[test]
fn after_a_yes_the_request_goes_on_with_fields_of_the_answer_and_none_of_the_clients_in_their_place() {
    let (web, authority) = (Recorder::new(), authority());
    let daemon = daemon(&[("web", &web), ("authority", &authority)], &asking(", allowedResponseHeaders: [X-User, X-Group, X-Mail]"));
    let request = daemon.request("/app/./x/../a%20b?c=d&e").host("Home.test:8080").header("X-User", "root").header("X_User", "root");
    let request = request.header("X-Mail", "root@a").header("Cookie", "session=1").header("Authorization", "Bearer token");
    let request = request.header("If-None-Match", "\"x\"").header("Range", "bytes=0-1").header("X-Forwarded-Method", "TRACE");
    let answer = request.header("X-Forwarded-Uri", "/open").header("Expect", "100-continue").method("PUT").body("content").send();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    let question = authority.next();
    assert_eq!(question.line(), "GET /app/a%20b?c=d&e HTTP/1.1");
    assert!(question.body.is_empty());
    for (name, values) in [
        ("x-forwarded-method", &["PUT"][..]),
        ("x-forwarded-uri", &["/app/a%20b?c=d&e"]),
        ("x-forwarded-host", &["Home.test:8080"]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("host", &["Home.test:8080"]),
        ("cookie", &["session=1"]),
        ("authorization", &["Bearer token"]),
        ("x-user", &["root"]),
        ("content-length", &[]),
        ("transfer-encoding", &[]),
        ("expect", &[]),
        ("if-none-match", &[]),
        ("range", &[]),
    ] {
        assert_eq!(question.values(name), values, "{name} in {}", question.head);
    }
    let seen = web.next();
    assert_eq!((seen.line(), seen.body.as_slice()), ("PUT /inner/a%20b?c=d&e HTTP/1.1", &b"content"[..]));
    for (name, values) in [
        ("x-user", &["bob"][..]),
        ("x_user", &[]),
        ("x-group", &["a", "b"]),
        ("x-mail", &[]),
        ("x-secret", &[]),
        ("x-forwarded-method", &[]),
        ("x-forwarded-uri", &[]),
        ("if-none-match", &["\"x\""]),
        ("authorization", &["Bearer token"]),
        ("host", &["inner.test"]),
    ] {
        assert_eq!(seen.values(name), values, "{name} in {}", seen.head);
    }
    assert_eq!(daemon.request("/app/").header("X-Answer", "created").send().status, 200);
    assert_eq!(authority.connections(), 1, "connections are kept");
}

#[test]
fn the_authority_is_told_what_it_is_allowed_to_see() {
    let (web, authority) = (Recorder::new(), authority());
    let fields = ", path: /check/me, allowedHeaders: [X-Token]";
    let daemon = daemon(&[("web", &web), ("authority", &authority)], &asking(fields));
    let request = daemon.request("/app/?a=b").host("home.test").header("X-Token", "1").header("X-Private", "1").header("Cookie", "c=1");
    assert_eq!(request.header("Authorization", "Basic eA==").send().status, 200);
    let question = authority.next();
    assert_eq!(question.line(), "GET /check/me HTTP/1.1");
    for (name, values) in [
        ("x-token", &["1"][..]),
        ("x-private", &[]),
        ("user-agent", &[]),
        ("cookie", &["c=1"]),
        ("authorization", &["Basic eA=="]),
        ("host", &["home.test"]),
        ("x-forwarded-uri", &["/app/?a=b"]),
    ] {
        assert_eq!(question.values(name), values, "{name} in {}", question.head);
    }
    assert_eq!(web.next().values("x-private"), ["1"]);
}

#[test]
fn a_no_is_the_answer() {
    let (web, authority) = (Recorder::new(), authority());
    let daemon = daemon(&[("web", &web), ("authority", &authority)], &asking(""));
    let ask = |answer: &str| daemon.request("/app/").header("X-Answer", answer);
    let answer = ask("login").send();
    assert_eq!((answer.status, answer.text().as_str()), (401, "<login>"));
    assert_eq!((answer.header("www-authenticate"), answer.header("content-type")), ("Bearer", "text/html"));
    let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert!(["x-hop", "keep-alive", "x-accel-redirect", "x-sendfile"].iter().all(|name| !answer.has(name)), "{answer:?}");
    let answer = ask("elsewhere").send();
    assert_eq!((answer.status, answer.text().as_str(), answer.header("location")), (302, "hi", "https://login.test/?rd=x"));
    let answer = ask("login").method("HEAD").send();
    assert_eq!((answer.status, answer.text().as_str()), (401, ""));
    assert_eq!(ask("login").body("a body that nobody wants").send().status, 401);
    for (word, status) in [("large", 502), ("garbage", 502), ("half", 502), ("silence", 504)] {
        let answer = ask(word).send();
        assert_eq!(answer.status, status, "{word}");
        assert!(answer.text().contains("app: app\nrequest: "), "{}", answer.text());
    }
    assert!(web.is_idle(), "nothing has passed");
}

#[test]
fn an_authority_that_is_away_lets_nobody_pass() {
    let web = Recorder::new();
    let backends = [("web", web.address()), ("authority", nobody())];
    let daemon = Daemon::builder().manifest("app.yaml", &manifest(&backends, &asking(""))).start();
    daemon.wait_reason("app", "ResolvedRefs", "ConnectionRefused", PATIENCE);
    let answer = daemon.get("/app/");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(web.is_idle());
}
