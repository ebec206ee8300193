//! What a request is answered when no backend answers it.

use std::net::TcpListener;

use super::echo::Echoes;
use super::table::hold;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::recorder::Recorder;

#[test]
fn a_backend_that_is_too_slow_is_504_and_0s_is_no_limit() {
    let spec = "
rules:
- matches: [{path: {value: /request}}]
  backendRefs: [{name: one}]
  timeouts: {request: 3s}
- matches: [{path: {value: /silence}}]
  backendRefs: [{name: one}]
  timeouts: {backendRead: 3s}
- matches: [{path: {value: /unlimited}}]
  backendRefs: [{name: one}]
  timeouts: {request: 0s, backendRead: 0s, backendConnect: 0s}
";
    let table = "
        GET /request                        => one
        GET /request; X-Delay: 30000        => 504
        GET /silence                        => one
        GET /silence; X-Delay: 30000        => 504
        GET /unlimited; X-Delay: 500        => one
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn each_failure_has_its_status() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let garbage = Recorder::answering(|_, stream| std::io::Write::write_all(stream, b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
    let hangs_up = Recorder::answering(|_, _| false);
    let root = crate::support::scratch();
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  hostnames: [host.test]
  backends:
  - {{name: missing, http: {{unix: /run/none.sock}}}}
  - {{name: missing-h2, http: {{unix: /run/none.sock, protocol: H2C}}}}
  - {{name: closed, http: {{tcp: \"{closed}\"}}}}
  - {{name: closed-h2, http: {{tcp: \"{closed}\", protocol: H2C}}}}
  - {{name: garbage, http: {{tcp: \"{garbage}\"}}}}
  - {{name: garbage-h2, http: {{tcp: \"{garbage}\", protocol: H2C}}}}
  - {{name: hangs-up, http: {{tcp: \"{hangs_up}\"}}}}
  rules:
  - {{matches: [{{path: {{value: /missing}}}}], backendRefs: [{{name: missing}}]}}
  - {{matches: [{{path: {{value: /missing-h2}}}}], backendRefs: [{{name: missing-h2}}]}}
  - {{matches: [{{path: {{value: /closed}}}}], backendRefs: [{{name: closed}}]}}
  - {{matches: [{{path: {{value: /closed-h2}}}}], backendRefs: [{{name: closed-h2}}]}}
  - {{matches: [{{path: {{value: /garbage}}}}], backendRefs: [{{name: garbage}}]}}
  - {{matches: [{{path: {{value: /garbage-h2}}}}], backendRefs: [{{name: garbage-h2}}]}}
  - {{matches: [{{path: {{value: /hangs-up}}}}], backendRefs: [{{name: hangs-up}}]}}
  - {{matches: [{{path: {{value: /none}}}}]}}
  - {{matches: [{{path: {{value: /files}}}}], files: {{root: /www}}}}
",
        root = root.path().display(),
        garbage = garbage.address(),
        hangs_up = hangs_up.address()
    );
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).start();
    daemon.wait_condition("app", "Programmed", PATIENCE);
    let table = "
        GET /missing                => 503; <retry-after: 1
        GET /missing-h2             => 503; <retry-after: 1
        GET /closed                 => 503; <retry-after: 1
        GET /closed-h2              => 503; <retry-after: 1
        GET /garbage                => 502; <-retry-after
        GET /garbage-h2             => 502; <-retry-after
        GET /hangs-up               => 502
        GET /none                   => 500
        GET /files                  => 404
        GET /elsewhere              => 404
        GET /none; @other.test      => 404
        GET /missing/%00            => 400
        POST /none; Content-Length: 0 => 500
        POST /missing; Content-Length: 99999999 => 413
        ";
    hold(daemon.address(), table);
}
