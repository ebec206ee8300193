//! `CORS`: what browsers are told (Gateway API conformance: `httproute-cors`; Fetch standard, "CORS protocol").

use std::io::Write;

use super::{daemon, manifest, nobody};
use crate::support::curl::Response;
use crate::support::daemon::Daemon;
use crate::support::recorder::Recorder;

/// The rules of the conformance test.
const RULES: &str = "  - matches: [{path: {value: /cors-1}}]
    filters:
    - type: CORS
      cors:
        allowOrigins: [https://www.foo.com, https://*.bar.com]
        allowMethods: [GET, OPTIONS]
        allowHeaders: [x-header-1, x-header-2]
        exposeHeaders: [x-header-3, x-header-4]
        allowCredentials: true
        maxAge: 3600
    backendRefs: [{name: web}]
  - matches: [{path: {value: /cors-2}}]
    filters: [{type: CORS, cors: {allowOrigins: [https://www.foo.com], allowMethods: [\"*\"]}}]
    backendRefs: [{name: web}]
  - matches: [{path: {value: /cors-wildcard-origin}}]
    filters: [{type: CORS, cors: {allowOrigins: [\"*\"], allowMethods: [PUT], allowCredentials: false}}]
    backendRefs: [{name: web}]
  - matches: [{path: {value: /cors-wildcard-methods-headers}}]
    filters:
    - {type: CORS, cors: {allowOrigins: [\"*\"], allowMethods: [\"*\"], allowHeaders: [\"*\"], allowCredentials: true}}
    backendRefs: [{name: web}]
  - matches: [{path: {value: /cors-wildcard-methods-headers-unauth}}]
    filters: [{type: CORS, cors: {allowOrigins: [\"*\"], allowMethods: [\"*\"], allowHeaders: [\"*\"]}}]
    backendRefs: [{name: web}]";

fn preflight(daemon: &Daemon, path: &str, origin: &str, method: &str, headers: &str) -> Response {
    let request = daemon.request(path).method("OPTIONS").header("Origin", origin).header("access-control-request-method", method);
    if headers.is_empty() { request.send() } else { request.header("access-control-request-headers", headers).send() }
}

/// Compares fields; an empty value: there is no such field.
fn holds(answer: &Response, case: &str, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let name = format!("access-control-{name}");
        assert_eq!(answer.header(&name), *value, "{name} of {case}: {answer:?}");
        assert_eq!(answer.has(&name), !value.is_empty(), "{name} of {case}: {answer:?}");
        assert!(answer.headers.iter().filter(|(found, _)| *found == name).count() < 2, "{name} of {case}: {answer:?}");
    }
}

#[test]
fn preflights_are_answered_as_the_conformance_tests_want_it() {
    let backend = Recorder::new();
    let daemon = daemon(&[("web", &backend)], RULES);
    let asked = "x-header-1, x-header-2";
    for origin in ["https://www.foo.com", "https://www.bar.com", "https://xpto.www.bar.com"] {
        let answer = preflight(&daemon, "/cors-1", origin, "GET", asked);
        assert_eq!((answer.status, answer.text().as_str(), answer.header("vary")), (204, "", "Origin"));
        let fields = [
            ("allow-origin", origin),
            ("allow-methods", "GET, OPTIONS"),
            ("allow-headers", asked),
            ("expose-headers", "x-header-3, x-header-4"),
            ("max-age", "3600"),
            ("allow-credentials", "true"),
        ];
        holds(&answer, origin, &fields);
    }
    let answer = preflight(&daemon, "/cors-1", "https://foobar.com", "GET", "");
    assert_eq!((answer.status, answer.header("vary")), (204, "Origin"));
    let none = ["allow-origin", "allow-methods", "allow-headers", "expose-headers", "max-age", "allow-credentials"];
    holds(&answer, "another origin", &none.map(|name| (name, "")));

    let answer = preflight(&daemon, "/cors-2", "https://www.foo.com", "POST", "");
    let fields = [("allow-origin", "https://www.foo.com"), ("allow-methods", "POST"), ("allow-headers", ""), ("max-age", "5")];
    holds(&answer, "/cors-2", &fields);
    holds(&answer, "/cors-2", &[("allow-credentials", ""), ("expose-headers", "")]);
    for origin in ["https://foobar.com", "https://foobar.com:12345", "null"] {
        let answer = preflight(&daemon, "/cors-wildcard-origin", origin, "PUT", "");
        holds(&answer, origin, &[("allow-origin", "*"), ("allow-methods", "PUT"), ("allow-credentials", "")]);
        assert!(!answer.has("vary"), "{answer:?}");
    }
    let other = "https://other.foo.com";
    let answer = preflight(&daemon, "/cors-wildcard-methods-headers", other, "PUT", asked);
    let fields = [("allow-origin", other), ("allow-methods", "PUT"), ("allow-headers", asked), ("allow-credentials", "true")];
    holds(&answer, "with credentials", &fields);
    let answer = preflight(&daemon, "/cors-wildcard-methods-headers-unauth", other, "PUT", asked);
    let fields = [("allow-origin", "*"), ("allow-methods", "PUT"), ("allow-headers", asked), ("allow-credentials", "")];
    holds(&answer, "without credentials", &fields);
    assert!(backend.is_idle(), "no backend sees a preflight");
}

#[test]
fn answers_say_who_may_read_them_as_the_conformance_tests_want_it() {
    let backend = Recorder::new();
    let daemon = daemon(&[("web", &backend)], RULES);
    for (path, method, origin, allowed, credentials) in [
        ("/cors-1", "GET", "https://www.foo.com", "https://www.foo.com", "true"),
        ("/cors-1", "GET", "https://www.bar.com", "https://www.bar.com", "true"),
        ("/cors-1", "GET", "https://foobar.com", "", ""),
        ("/cors-wildcard-origin", "PUT", "https://foobar.com:12345", "*", ""),
        ("/cors-wildcard-origin", "PUT", "https://foobar.com", "*", ""),
        ("/cors-wildcard-methods-headers", "GET", "https://other.foo.com", "https://other.foo.com", "true"),
        ("/cors-wildcard-methods-headers-unauth", "GET", "https://other.foo.com", "*", ""),
    ] {
        let answer = daemon.request(path).method(method).header("Origin", origin).send();
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
        holds(&answer, &format!("{path} from {origin}"), &[("allow-origin", allowed), ("allow-credentials", credentials)]);
        assert_eq!(backend.next().values("origin"), [origin]);
    }
    // Neither an OPTIONS without a question nor one without an origin is a preflight.
    assert_eq!(daemon.request("/cors-1").method("OPTIONS").header("Origin", "https://www.foo.com").send().text(), "ok\n");
    assert_eq!(daemon.request("/cors-1").method("OPTIONS").header("access-control-request-method", "GET").send().text(), "ok\n");
    assert_eq!(daemon.get("/cors-1").header("vary"), "Origin", "a cache must not give this answer to somebody who has an origin");
}

#[test]
fn what_the_backend_says_itself_is_replaced() {
    let backend = Recorder::answering(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Origin: https://evil.org\r\n\
                    Access-Control-Allow-Credentials: true\r\nAccess-Control-Max-Age: 9\r\nVary: Accept, Origin\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head.as_bytes()).is_ok()
    });
    let daemon = daemon(&[("web", &backend)], RULES);
    let answer = daemon.request("/cors-2").header("Origin", "https://www.foo.com").send();
    holds(&answer, "an origin", &[("allow-origin", "https://www.foo.com"), ("allow-credentials", ""), ("max-age", "")]);
    assert_eq!(answer.header("vary"), "Accept, Origin");
    let answer = daemon.request("/cors-2").header("Origin", "https://evil.org").send();
    holds(&answer, "another origin", &[("allow-origin", ""), ("allow-credentials", ""), ("max-age", "")]);
}

#[test]
fn errors_and_other_filters_answers_may_be_read_as_well() {
    let cors = "{type: CORS, cors: {allowOrigins: [https://a.test]}}";
    let rules = format!(
        "  - {{matches: [{{path: {{value: /away}}}}], filters: [{cors}], backendRefs: [{{name: away}}]}}
  - {{matches: [{{path: {{value: /moved}}}}], filters: [{cors}, {{type: RequestRedirect, requestRedirect: {{port: 1}}}}]}}
  - {{matches: [{{path: {{value: /login}}}}], filters: [{cors}, {{type: BasicAuth, basicAuth: {{hostFile: /nowhere}}}}]}}
  - {{backendRefs: [{{name: away, filters: [{cors}]}}]}}"
    );
    let daemon = Daemon::builder().manifest("app.yaml", &manifest(&[("away", nobody())], &rules)).start();
    for (path, status) in [("/away", 503), ("/moved", 302), ("/login", 503), ("/of-the-backend", 503)] {
        let answer = daemon.request(path).header("Origin", "https://a.test").send();
        assert_eq!(answer.status, status, "{path}");
        holds(&answer, path, &[("allow-origin", "https://a.test")]);
        assert_eq!(preflight(&daemon, path, "https://a.test", "GET", "").status, 204, "{path}");
    }
}
