//! Hand-made objects, and what their sheets say first.

use serde_json::json;

use super::*;

const NOW: &str = "2026-01-01T00:10:00Z";

fn text(kind: Kind, object: &Value, events: &[Value]) -> String {
    text_with(kind, object, events, &[])
}

fn text_with(kind: Kind, object: &Value, events: &[Value], backends: &[BackendResource]) -> String {
    let now = humantime::parse_rfc3339(NOW).unwrap();
    let around = Around { events, backends, manifests: Some(Path::new("/etc/lxcproxy.d")), now };
    anstream::adapter::strip_str(&describe(kind, object, &around).unwrap()).to_string()
}

#[test]
fn several_endpoints_are_shown_as_they_are() {
    let backend = |name: &str, endpoints: Value| -> BackendResource {
        serde_json::from_value(json!({
            "apiVersion": "lxcproxy.dev/v1", "kind": "Backend", "metadata": {"name": format!("ttrss.{name}")},
            "spec": {"app": "ttrss", "backend": name, "protocol": "HTTP", "loadBalancer": "RoundRobin"},
            "status": {"readyEndpoints": 1, "endpoints": endpoints}
        }))
        .unwrap()
    };
    let check = json!({"passed": false, "message": "no answer in time", "time": "2026-01-01T00:09:55Z"});
    let several = json!([
        {"name": "/run/a.sock", "state": "Ready", "inFlight": 3},
        {"name": "/run/b.sock", "state": "Unhealthy", "inFlight": 0, "consecutiveErrors": 2, "lastCheck": check}
    ]);
    let one = json!([{"name": "/run/fpm.sock", "state": "Ready"}]);
    let backends = [backend("php", one), backend("api", several)];
    let expected = "\
Endpoints:
  Backend   Endpoint      State       In-Flight   Errors   Last Check          Checked
  -------   --------      -----       ---------   ------   ----------          -------
  api       /run/a.sock   Ready       3           0        -                   -
  api       /run/b.sock   Unhealthy   0           2        no answer in time   5s
Rules:
";
    let shown = text_with(Kind::App, &app(&[]), &[], &backends);
    assert!(shown.contains(expected), "{shown}");
    assert!(!text_with(Kind::App, &app(&[]), &[], &backends[..1]).contains("Endpoints:"));
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message,
           "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:05:00Z"})
}

fn app(conditions: &[Value]) -> Value {
    json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "App",
        "metadata": {"name": "ttrss", "uid": "7e", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"tier": "web"}},
        "spec": {
            "container": "ttrss", "hostnames": ["home.example.org"],
            "backends": [
                {"name": "php", "fastcgi": {"unix": "/run/php/fpm.sock", "root": "/var/www"}},
                {"name": "api", "http": {"tcp": "192.0.2.1:80"}}
            ],
            "rules": [
                {"matches": [{"path": {"value": "/ttrss"}}],
                 "files": {"root": "/var/www", "scripts": [{"extension": ".php", "backend": "php"}]}},
                {"name": "api", "matches": [{"path": {"type": "Exact", "value": "/api"}, "method": "GET"}],
                 "backendRefs": [{"name": "api", "weight": 2}]}
            ]
        },
        "status": {"file": "ttrss.yaml", "servedGeneration": 2, "listeners": ["--listen"], "conditions": conditions}
    })
}

/// `Ready` says what the first of the others says.
fn failing(type_: &str, reason: &str, message: &str) -> Vec<Value> {
    let order = ["Accepted", "ResolvedRefs", "Programmed"];
    let all = order.map(|name| if name == type_ { condition(name, "False", reason, message) } else { condition(name, "True", name, "") });
    [all.to_vec(), vec![condition("Ready", "False", reason, &format!("{type_}: {message}"))]].concat()
}

fn problem(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| !line.starts_with("Problem:"));
    let mut lines = lines.enumerate().take_while(|(number, line)| *number == 0 || line.starts_with(' ')).map(|(_, line)| line);
    let first = lines.next().map(|line| line.trim_start_matches("Problem:").trim());
    first.into_iter().chain(lines.map(str::trim)).collect()
}

#[test]
fn a_missing_socket_is_the_second_line_and_says_where_to_look() {
    let app = app(&failing("ResolvedRefs", "SocketNotFound", "backend `php`: there is no socket at /run/php/fpm.sock"));
    let event = json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "Event", "metadata": {"name": "ttrss.1", "resourceVersion": "5"},
        "involvedObject": {"kind": "App", "name": "ttrss"}, "type": "Warning", "reason": "SocketNotFound", "message": "no socket",
        "count": 4, "firstTimestamp": "2026-01-01T00:05:00Z", "lastTimestamp": "2026-01-01T00:09:00Z"
    });
    let expected = "\
Name:         ttrss
Problem:      SocketNotFound: backend `php`: there is no socket at /run/php/fpm.sock
              Requests that need it are answered with 503 until it is there.
              To do: start the application, or correct the path; what is there: lxc-attach -n ttrss -- ls -l /run/php
Labels:       tier=web
Annotations:  <none>
File:         ttrss.yaml
Created:      2026-01-01T00:00:00Z (10m ago)
UID:          7e
Generation:   2 (2 is served)
Container:    ttrss (Auto)
Hostnames:    home.example.org
Listeners:    --listen
Backends:
  Name   Protocol   Address
  ----   --------   -------
  php    FastCGI    unix:/run/php/fpm.sock
  api    HTTP/1.1   tcp:192.0.2.1:80
Rules:
  Rule    Matches      Filters   Answered By
  ----    -------      -------   -----------
  0       /ttrss/*               files /var/www (*.php to php)
  1 api   GET = /api             api (weight 2)
Conditions:
  Type           Status   Since   Reason           Message
  ----           ------   -----   ------           -------
  Accepted       True     5m      Accepted
  ResolvedRefs   False    5m      SocketNotFound   backend `php`: there is no socket at /run/php/fpm.sock
  Programmed     True     5m      Programmed
  Ready          False    5m      SocketNotFound   ResolvedRefs: backend `php`: there is no socket at /run/php/fpm.sock
Events:
  Type      Reason           Age              Message
  ----      ------           ---              -------
  Warning   SocketNotFound   60s (x4 over 5m) no socket
"
    .replace("60s (x4 over 5m) no", "60s (x4 over 5m)   no")
    .replace("Age              Message", "Age                Message")
    .replace("---              -------", "---                -------");
    assert_eq!(text(Kind::App, &app, &[event]), expected);
}

#[test]
fn an_app_that_is_ready_has_no_problem_unless_an_older_one_answers_for_it() {
    let mut fine = ["Accepted", "ResolvedRefs", "Programmed", "Ready"].map(|name| condition(name, "True", name, "")).to_vec();
    assert_eq!(problem(&text(Kind::App, &app(&fine), &[])), Vec::<&str>::new());
    fine.push(condition("Conflicted", "True", "Conflicted", "spec.rules[0] has a match of the older App `x`, which answers"));
    let shown = text(Kind::App, &app(&fine), &[]);
    assert_eq!(problem(&shown), ["Conflicted: spec.rules[0] has a match of the older App `x`, which answers"]);
}

#[test]
fn an_invalid_manifest_says_what_is_served_and_lists_every_error() {
    let errors = "ttrss.yaml:7:3: spec.rule: unknown field\nttrss.yaml:9:3: spec.x: unknown field";
    let mut broken = app(&failing("Accepted", "Invalid", errors));
    broken["status"]["errors"] = json!([
        {"file": "ttrss.yaml", "line": 7, "column": 3, "field": "spec.rule", "message": "unknown field\u{1b}"},
        {"file": "ttrss.yaml", "line": 9, "column": 3, "field": "spec.x", "message": "unknown field"}
    ]);
    broken["status"]["servedGeneration"] = 1.into();
    let shown = text(Kind::App, &broken, &[]);
    let expected = [
        "Invalid: ttrss.yaml:7:3: spec.rule: unknown field (and 1 more, see Errors)",
        "Generation 1 is served as before, until the manifest is valid again.",
        "To do: correct the manifest, and check it: lxcproxy validate /etc/lxcproxy.d/ttrss.yaml",
    ];
    assert_eq!(problem(&shown), expected);
    let message = shown.lines().position(|line| line.ends_with("   ttrss.yaml:7:3: spec.rule: unknown field")).unwrap();
    assert_eq!(shown.lines().nth(message + 1).map(str::trim), Some("ttrss.yaml:9:3: spec.x: unknown field"), "{shown}");
    assert!(shown.contains("Accepted: ttrss.yaml:7:3: spec.rule: unknown field (and 1 more)\n"), "{shown}");
    assert!(shown.contains("\nErrors:\n  error: spec.rule: unknown field"), "{shown}");
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
    broken["status"].as_object_mut().unwrap().shift_remove("servedGeneration");
    broken.as_object_mut().unwrap().shift_remove("spec");
    let shown = text(Kind::App, &broken, &[]);
    assert_eq!(problem(&shown)[1], "Nothing of it is served: no request is routed to it.");
}

#[test]
fn every_reason_of_an_app_comes_with_what_to_do() {
    let message = "backend `php`: bad\nroot /var/www does not exist";
    for (reason, container, words) in [
        ("ContainerNotFound", json!("ttrss"), "correct spec.container"),
        ("ContainerNotFound", json!({"runtime": "Directory", "rootfs": "../root"}), "mkdir /etc/lxcproxy.d/../root"),
        ("ContainerStopped", json!({"name": "ttrss", "path": "/srv/my lxc"}), "lxc-start -P '/srv/my lxc' -n ttrss"),
        ("SocketNotFound", json!({"name": "ttrss", "runtime": "Incus"}), "incus exec ttrss -- ls -l /run/php"),
        ("NotASocket", json!({"runtime": "Directory", "rootfs": "../root"}), "ls -l /etc/lxcproxy.d/../root/run/php"),
        ("ContainerNotFound", json!({"pidFile": "web.pid"}), "correct spec.container.pidFile"),
        ("ContainerStopped", json!({"name": "web", "pidFile": "web.pid"}), "cat /etc/lxcproxy.d/web.pid"),
        ("SocketNotFound", json!({"pidFile": "/run/a b.pid"}), r#"nsenter -a -t "$(cat '/run/a b.pid')" ls -l /run/php"#),
        ("SocketNotFound", Value::Null, "what is there: ls -l /run/php"),
        ("ConnectionRefused", json!("ttrss"), "lxc-attach -n ttrss -- ss -lntxp"),
        ("PermissionDenied", json!("ttrss"), "CAP_SYS_PTRACE"),
        ("CertificateNotFound", json!("ttrss"), "the certificate"),
        ("InternalError", json!("ttrss"), "journalctl -u lxcproxy"),
    ] {
        let mut app = app(&failing("ResolvedRefs", reason, message));
        app["spec"]["container"] = container;
        let shown = text(Kind::App, &app, &[]);
        let last = problem(&shown).pop().unwrap().to_owned();
        assert!(last.starts_with("To do: ") && last.contains(words), "{reason}: {last}");
    }
}

#[test]
fn filters_are_named_as_manifests_write_them() {
    let mut app = app(&failing("ResolvedRefs", "SocketNotFound", "backend `php`"));
    app["spec"]["rules"][0]["filters"] = json!([
        {"type": "IPAccess", "ipAccess": {"allow": ["192.0.2.0/24"]}},
        {"type": "URLRewrite", "urlRewrite": {"hostname": "a.org"}},
        {"type": "CORS", "cors": {"allowOrigins": ["*"]}}
    ]);
    assert!(text(Kind::App, &app, &[]).contains(" IPAccess, URLRewrite, CORS "));
}

#[test]
fn advice_looks_where_the_endpoint_is_that_the_message_names() {
    let endpoints = json!([{"unix": "/run/a/1.sock"}, {"unix": "/run/b/2.sock"}, {"tcp": "127.0.0.1:9091"}]);
    for (reason, message, words) in [
        ("SocketNotFound", "endpoint `/run/b/2.sock` of backend `api`: there is no socket at /run/b/2.sock", "ls -l /run/b"),
        ("ConnectionRefused", "backend `api`: connection to 127.0.0.1:9091 refused", "the host itself connects to it"),
        ("ConnectionRefused", "backend `api`: connection to /run/a/1.sock refused", "lxc-attach -n ttrss -- ss -lntxp"),
    ] {
        let mut app = app(&failing("ResolvedRefs", reason, message));
        app["spec"]["backends"][1]["http"] = json!({"endpoints": endpoints});
        let shown = text(Kind::App, &app, &[]);
        assert!(problem(&shown).pop().unwrap().contains(words), "{shown}");
    }
}

#[test]
fn a_version_that_waits_says_which_one_is_served() {
    let mut app = app(&failing("ResolvedRefs", "RootNotFound", "root /var/www does not exist"));
    let shown = text(Kind::App, &app, &[]);
    assert_eq!(problem(&shown)[1], "Requests for its files are answered with 404.");
    assert!(problem(&shown)[2].ends_with("lxc-attach -n ttrss -- ls -l /var"), "{shown}");
    app["status"]["servedGeneration"] = 1.into();
    assert_eq!(problem(&text(Kind::App, &app, &[]))[1], "Generation 1 is served as before; generation 2 waits.");
}

#[test]
fn a_gateway_names_the_listener_that_has_no_port() {
    let programmed = condition("Programmed", "False", "PortUnavailable", "address in use");
    let gateway = json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "Gateway", "metadata": {"name": "public", "generation": 1},
        "spec": {"listeners": [{"name": "alt", "port": 8081, "protocol": "HTTP"}]},
        "status": {"file": "gw.yaml", "servedGeneration": 1, "conditions": failing("Programmed", "PortUnavailable", "listener alt"),
                   "listeners": [{"name": "alt", "address": "0.0.0.0:8081", "attachedApps": 2,
                                  "conditions": [condition("Accepted", "True", "Accepted", ""), programmed]}]}
    });
    let shown = text(Kind::Gateway, &gateway, &[]);
    let expected = [
        "PortUnavailable: listener alt (0.0.0.0:8081): address in use",
        "To do: choose another port, or stop who has this one: ss -lntp 'sport = :8081'",
    ];
    assert_eq!(problem(&shown), expected);
    assert!(shown.contains("  alt    0.0.0.0:8081   HTTP       *          2      True       False        address in use\n"), "{shown}");
}

#[test]
fn a_source_says_that_what_was_there_is_served() {
    let source = json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "Source", "metadata": {"name": "manifests", "generation": 1},
        "spec": {"path": "/etc/lxcproxy.d"},
        "status": {"revision": "4d9c", "files": 3, "lastChange": "2026-01-01T00:00:00Z", "unread": {"sub": "permission denied"},
                   "conditions": [condition("Ready", "False", "DirectoryEmpty", "it has become empty"), condition("Watching", "True", "Watching", "")]}
    });
    let shown = text(Kind::Source, &source, &[]);
    assert_eq!(problem(&shown)[0], "DirectoryEmpty: it has become empty");
    assert!(problem(&shown)[1].contains("--allow-empty"), "{shown}");
    for line in ["Path:         /etc/lxcproxy.d", "Last Change:  2026-01-01T00:00:00Z (10m ago)", "Unread:       sub: permission denied"] {
        assert!(shown.contains(&format!("\n{line}\n")), "{line}\n{shown}");
    }
}
