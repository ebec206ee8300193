//! The local redirect of a script (RFC 3875 section 6.2.2): a path, and nothing else, is answered by the App's own rules.

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::responder::Responder;

/// A script at `/cgi` that answers with the field `A-Output`; one at `/there` that tells what it was asked.
fn house() -> (Daemon, Responder, Responder) {
    let first = Responder::new(|asked| asked.param("HTTP_A_OUTPUT").replace("\\n", "\n").into_bytes());
    let second = Responder::new(|asked| {
        let told =
            ["REQUEST_METHOD", "SCRIPT_NAME", "QUERY_STRING", "REQUEST_URI", "CONTENT_LENGTH"].map(|name| asked.param(name).to_owned());
        format!("Status: 203\nX-Second: 1\n\n{}", told.join("|")).into_bytes()
    });
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  backends:
  - {{name: first, fastcgi: {{tcp: \"{}\"}}}}
  - {{name: second, fastcgi: {{tcp: \"{}\"}}}}
  rules:
  - matches: [{{path: {{value: /cgi}}}}]
    limits: {{requestBody: 4M}}
    backendRefs: [{{name: first}}]
  - matches: [{{path: {{value: /there}}}}]
    backendRefs: [{{name: second}}]
  - matches: [{{path: {{value: /nobody}}}}]
    filters: [{{type: IPAccess, ipAccess: {{allow: [192.0.2.0/24]}}}}]
    backendRefs: [{{name: second}}]
",
        first.address(),
        second.address()
    );
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    (daemon, first, second)
}

#[test]
fn a_path_alone_is_answered_here_and_anything_more_is_the_clients_business() {
    needs!(curl);
    let (daemon, ..) = house();
    for (output, status, body) in [
        (r"Location: /there/x?a=b\n\n", 203, "GET|/there/x|a=b|/cgi?q|"),
        (r"location:/there\n\nwhat nobody reads", 203, "GET|/there||/cgi?q|"),
        (r"Location: /nobody\n\n", 403, ""),
        // The client follows these.
        (r"Status: 302 Found\nLocation: /there\n\n", 302, ""),
        (r"Location: /there\nContent-Type: text/plain\n\nbody", 302, "body"),
        (r"Location: /there#part\n\n", 302, ""),
        (r"Location: //there\n\n", 302, ""),
        (r"Location: http://other.example/\n\n", 302, ""),
        // This server has them, and the App has not.
        (r"Location: /elsewhere\n\n", 302, ""),
        (r"Location: /there/../nobody\n\n", 302, ""),
    ] {
        let answer = daemon.request("/cgi?q").header("A-Output", output).body("a body").send();
        assert_eq!(answer.status, status, "{output}: {answer:?}");
        match status {
            302 => assert!(answer.has("location") && answer.text() == body, "{output}: {answer:?}"),
            403 => assert!(!answer.has("location"), "{output}"),
            _ => assert_eq!((answer.text().as_str(), answer.has("location"), answer.header("x-second")), (body, false, "1"), "{output}"),
        }
    }
    let head = daemon.request("/cgi").header("A-Output", r"Location: /there\n\n").method("HEAD").send();
    assert_eq!((head.status, head.body.len(), head.header("x-second")), (203, 0, "1"), "{head:?}");
    assert_eq!(daemon.request("/cgi").header("A-Output", r"Location: /cgi\n\n").send().status, 502, "round and round");
}

#[test]
fn a_body_that_waited_in_a_file_does_not_go_with_a_redirect() {
    needs!(curl);
    let (daemon, first, second) = house();
    let body = "x".repeat(3 << 20);
    for coding in ["chunked", ""] {
        let mut request = daemon.request("/cgi?q").header("A-Output", r"Location: /there\n\n");
        if !coding.is_empty() {
            request = request.header("Transfer-Encoding", coding);
        }
        let answer = request.body(body.as_str()).send();
        assert_eq!((answer.status, answer.text().as_str()), (203, "GET|/there||/cgi?q|"), "{coding}");
        assert_eq!((first.next().body.len(), second.next().body.len()), (body.len(), 0), "{coding}");
    }
}
