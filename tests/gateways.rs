//! Listeners that come and go by manifest, and the Apps that attach to them, against the real daemon.

use std::fs;
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::support::curl::{Curl, Response};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::gateway::free_port;
use crate::support::keepalive::Agent;
use crate::support::site::Site;

const HOST: &str = "site.example.org";

/// `more`: further fields, each after a comma.
fn listener(name: &str, port: u16, more: &str) -> String {
    format!("{{name: {name}, address: 127.0.0.1, port: {port}, protocol: HTTP{more}}}")
}

fn gateway(name: &str, listeners: &[String]) -> String {
    let listeners = listeners.join(", ");
    format!("apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {{name: {name}}}\nspec: {{listeners: [{listeners}]}}\n")
}

/// The App of a site with `parentRefs`.
fn attached(site: &Site, name: &str, host: &str, parents: &str) -> String {
    site.version(name, host, name).replace("spec:\n", &format!("spec:\n  parentRefs: [{parents}]\n"))
}

fn get(port: u16, host: &str) -> Result<Response, String> {
    Curl::new(&format!("http://127.0.0.1:{port}/"), None).host(host).try_send()
}

fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Waits until a port answers with this status.
fn wait_status(daemon: &Daemon, port: u16, host: &str, status: u16) -> Response {
    daemon.eventually(PATIENCE, || match get(port, host)? {
        response if response.status == status => Ok(response),
        other => Err(format!("port {port} answers {}, not {status}", other.status)),
    })
}

fn wait_closed(daemon: &Daemon, port: u16) {
    daemon.eventually(PATIENCE, || if is_open(port) { Err(format!("port {port} is open")) } else { Ok(()) });
}

/// Waits until the last line of the log on a condition of a Gateway has this reason; returns its message.
fn wait_said(daemon: &Daemon, gateway: &str, condition: &str, reason: &str) -> String {
    daemon.eventually(PATIENCE, || {
        let log = daemon.log();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let fields = |event: Value| if event["fields"].is_object() { event["fields"].clone() } else { event };
        let last = events.map(fields).rfind(|fields| fields["gateway"] == gateway && fields["condition"] == condition);
        match last {
            Some(fields) if fields["reason"] == reason => Ok(fields["message"].as_str().unwrap_or_default().to_owned()),
            other => Err(format!("{condition} of {gateway} is {other:?}, not {reason}")),
        }
    })
}

/// A daemon with a site that attaches to every listener, ready.
fn daemon_with(site: &Site, manifests: &[(&str, &str)]) -> Daemon {
    let mut builder = Daemon::builder().manifest("site.yaml", &site.version("site", HOST, "1"));
    for (name, text) in manifests {
        builder = builder.manifest(name, text);
    }
    let daemon = builder.start();
    daemon.wait_condition("site", "Ready", PATIENCE);
    daemon
}

#[test]
fn a_gateway_that_is_dropped_in_opens_its_port_in_the_place_of_the_command_lines() {
    let site = Site::new("hello");
    let daemon = daemon_with(&site, &[]);
    let (command_line, port) = (daemon.address().port(), free_port());
    assert_eq!(get(command_line, HOST).unwrap().status, 200);
    assert_eq!(daemon.apps()["site"]["status"]["listeners"], serde_json::json!(["--listen"]));
    daemon.manifest("web.yaml", &gateway("web", &[listener("http", port, "")]));
    assert_eq!(wait_status(&daemon, port, HOST, 200).text(), "hello\n");
    wait_closed(&daemon, command_line);
    wait_said(&daemon, "web", "Ready", "Ready");
    daemon.eventually(PATIENCE, || match &daemon.apps()["site"]["status"]["listeners"] {
        listeners if *listeners == serde_json::json!(["web/http"]) => Ok(()),
        other => Err(format!("listeners: {other}")),
    });
    daemon.remove_manifest("web.yaml");
    wait_closed(&daemon, port);
    // `--listen` had port 0: it is the one that it was if that is still free.
    let again = || daemon.log().lines().filter(|line| line.contains(r#""listening""#)).count() == 3;
    daemon.eventually(PATIENCE, || if again() { Ok(()) } else { Err("--listen is not open again".to_owned()) });
}

#[test]
fn a_listener_comes_and_goes_without_touching_a_connection_on_another() {
    let site = Site::new("hello");
    let (one, two) = (free_port(), free_port());
    let alone = gateway("web", &[listener("one", one, "")]);
    let daemon = daemon_with(&site, &[("web.yaml", &alone)]);
    let mut agent = Agent::connect(([127, 0, 0, 1], one).into());
    assert_eq!(agent.get("/", HOST).0, 200);
    daemon.manifest("web.yaml", &gateway("web", &[listener("one", one, ""), listener("two", two, "")]));
    wait_status(&daemon, two, HOST, 200);
    assert_eq!(agent.get("/", HOST).0, 200);
    daemon.manifest("web.yaml", &alone);
    wait_closed(&daemon, two);
    assert_eq!(agent.get("/", HOST).0, 200, "it is the connection of the start");
    assert!(is_open(one));
}

#[test]
fn a_port_in_use_is_a_condition_that_heals_when_the_other_server_goes() {
    let site = Site::new("hello");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let (free, busy) = (free_port(), other.local_addr().unwrap().port());
    let daemon = daemon_with(&site, &[("web.yaml", &gateway("web", &[listener("http", free, ""), listener("alt", busy, "")]))]);
    let message = wait_said(&daemon, "web", "Ready", "PortUnavailable");
    assert!(message.contains(&format!("port {busy} on 127.0.0.1 can't be listened on: address in use")), "{message}");
    assert_eq!(get(free, HOST).unwrap().status, 200, "the other listener serves");
    drop(other);
    wait_status(&daemon, busy, HOST, 200);
    wait_said(&daemon, "web", "Ready", "Ready");
}

#[test]
fn an_update_to_a_busy_port_keeps_the_old_one_served() {
    let site = Site::new("hello");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let (old, busy) = (free_port(), other.local_addr().unwrap().port());
    let daemon = daemon_with(&site, &[("web.yaml", &gateway("web", &[listener("http", old, "")]))]);
    daemon.manifest("web.yaml", &gateway("web", &[listener("http", busy, "")]));
    let message = wait_said(&daemon, "web", "Programmed", "LastKnownGood");
    assert!(message.contains("generation 1 is served") && message.contains("generation 2 waits: port "), "{message}");
    assert_eq!(get(old, HOST).unwrap().status, 200);
    drop(other);
    wait_status(&daemon, busy, HOST, 200);
    wait_closed(&daemon, old);
}

#[test]
fn parent_refs_lead_an_app_to_one_listener_only() {
    let site = Site::new("hello");
    let (open, inner) = (free_port(), free_port());
    let web = gateway("web", &[listener("open", open, ""), listener("inner", inner, "")]);
    let by_name = attached(&site, "name", "name.example.org", "{name: web, sectionName: inner}");
    let by_port = attached(&site, "port", "port.example.org", &format!("{{name: web, port: {inner}}}"));
    let daemon = daemon_with(&site, &[("web.yaml", &web), ("name.yaml", &by_name), ("port.yaml", &by_port)]);
    for app in ["name", "port"] {
        daemon.wait_condition(app, "Ready", PATIENCE);
        let host = format!("{app}.example.org");
        assert_eq!((get(inner, &host).unwrap().status, get(open, &host).unwrap().status), (200, 404), "{app}");
        assert_eq!(daemon.apps()[app]["status"]["listeners"], serde_json::json!(["web/inner"]));
    }
    assert_eq!((get(inner, HOST).unwrap().status, get(open, HOST).unwrap().status), (200, 200), "without parentRefs: everywhere");
}

#[test]
fn an_app_without_a_matching_parent_claims_nothing_and_heals_when_that_comes() {
    let site = Site::new("hello");
    let (one, two) = (free_port(), free_port());
    let web = [listener("http", one, "")];
    let app = attached(&site, "late", "late.example.org", "{name: inner, sectionName: http}");
    let daemon = daemon_with(&site, &[("web.yaml", &gateway("web", &web)), ("late.yaml", &app)]);
    let message = daemon.wait_reason("late", "Accepted", "NoMatchingParent", PATIENCE);
    assert_eq!(message, "spec.parentRefs[0]: there is no Gateway `inner`; the Gateway is `web`");
    daemon.wait_reason("late", "Programmed", "NoMatchingParent", PATIENCE);
    assert_eq!(get(one, "late.example.org").unwrap().status, 404);
    daemon.manifest("inner.yaml", &gateway("inner", &[listener("other", two, "")]));
    daemon.eventually(PATIENCE, || {
        let message = daemon.wait_reason("late", "Accepted", "NoMatchingParent", PATIENCE);
        if message.contains("no listener `http` in Gateway `inner`") { Ok(()) } else { Err(message) }
    });
    daemon.manifest("inner.yaml", &gateway("inner", &[listener("http", two, "")]));
    daemon.wait_condition("late", "Ready", PATIENCE);
    assert_eq!(wait_status(&daemon, two, "late.example.org", 200).header("x-version"), "late");
    daemon.remove_manifest("inner.yaml");
    daemon.wait_reason("late", "Programmed", "NoMatchingParent", PATIENCE);
    assert_eq!(daemon.apps()["late"]["status"]["servedGeneration"], 1, "it is kept for the day that one comes back");
    daemon.manifest("inner.yaml", &gateway("inner", &[listener("http", two, "")]));
    daemon.wait_condition("late", "Ready", PATIENCE);
    wait_status(&daemon, two, "late.example.org", 200);
}

#[test]
fn an_update_to_a_parent_that_is_not_there_keeps_the_last_good_generation() {
    let site = Site::new("hello");
    let port = free_port();
    let app = |parents: &str| attached(&site, "app", "app.example.org", parents);
    let mut daemon = daemon_with(&site, &[("web.yaml", &gateway("web", &[listener("http", port, "")])), ("app.yaml", &app("{name: web}"))]);
    daemon.wait_condition("app", "Ready", PATIENCE);
    daemon.manifest("app.yaml", &app("{name: wob}"));
    let message = daemon.wait_reason("app", "Programmed", "LastKnownGood", PATIENCE);
    assert!(message.contains("generation 1 is served; generation 2 waits"), "{message}");
    daemon.wait_reason("app", "Accepted", "NoMatchingParent", PATIENCE);
    assert_eq!(get(port, "app.example.org").unwrap().status, 200);
    daemon.restart();
    daemon.wait_reason("app", "Programmed", "LastKnownGood", PATIENCE);
    assert_eq!(get(port, "app.example.org").unwrap().status, 200);
    daemon.manifest("app.yaml", &app("{name: web, sectionName: http}"));
    daemon.wait_condition("app", "Ready", PATIENCE);
    assert_eq!(daemon.apps()["app"]["metadata"]["generation"], 3);
}

#[test]
fn a_gateway_whose_file_broke_while_the_daemon_was_killed_listens_as_it_did() {
    let site = Site::new("hello");
    let port = free_port();
    let good = gateway("web", &[listener("http", port, "")]);
    let mut daemon = daemon_with(&site, &[("web.yaml", &good)]);
    wait_said(&daemon, "web", "Ready", "Ready");
    for broken in [&good.replace("protocol", "protokoll"), &good[..good.len() / 2], "{{{{", &good.replace("HTTP", "HTTPS")] {
        daemon.kill9();
        daemon.manifest("web.yaml", broken);
        daemon.restart();
        assert_eq!(get(port, HOST).unwrap().status, 200, "{broken}");
        wait_said(&daemon, "web", "Programmed", "LastKnownGood");
    }
    let next = free_port();
    daemon.manifest("web.yaml", &gateway("web", &[listener("http", next, "")]));
    wait_status(&daemon, next, HOST, 200);
    wait_closed(&daemon, port);
}

#[test]
fn a_directory_that_is_empty_or_gone_closes_nothing() {
    let site = Site::new("hello");
    let port = free_port();
    let mut daemon = daemon_with(&site, &[("web.yaml", &gateway("web", &[listener("http", port, "")]))]);
    wait_said(&daemon, "web", "Ready", "Ready");
    daemon.remove_manifest("site.yaml");
    daemon.eventually(PATIENCE, || if daemon.apps().is_empty() { Ok(()) } else { Err("the App is still there".to_owned()) });
    daemon.remove_manifest("web.yaml");
    daemon.wait_log(PATIENCE, |line| line.contains("directory is empty"));
    assert!(is_open(port));
    fs::remove_dir(daemon.manifests()).unwrap();
    daemon.wait_log(PATIENCE, |line| line.contains("what is served stays") && !line.contains("is empty"));
    assert!(is_open(port));
    daemon.restart();
    assert_eq!(daemon.address().port(), port);
    assert!(is_open(port));
}

#[test]
fn listeners_for_hosts_are_walls_between_apps() {
    let (site, other) = (Site::new("site"), Site::new("other"));
    let port = free_port();
    let listeners = [
        listener("any", port, ""),
        listener("wild", port, ", hostname: \"*.example.org\""),
        listener("own", port, ", hostname: own.example.org"),
    ];
    let anyone = attached(&site, "anyone", "HOSTS", "{name: web, sectionName: any}").replace("  hostnames: [HOSTS]\n", "");
    let wild = attached(&other, "wild", "b.example.org", "{name: web, sectionName: wild}");
    let stranger = attached(&other, "stranger", "a.test", "{name: web, sectionName: wild}");
    let daemon = Daemon::builder()
        .manifest("web.yaml", &gateway("web", &listeners))
        .manifest("anyone.yaml", &anyone)
        .manifest("wild.yaml", &wild)
        .manifest("stranger.yaml", &stranger)
        .start();
    daemon.wait_condition("anyone", "Ready", PATIENCE);
    daemon.wait_condition("wild", "Ready", PATIENCE);
    let version = |host: &str| get(port, host).map(|answer| (answer.status, answer.header("x-version").to_owned())).unwrap();
    assert_eq!(version("some.test"), (200, "anyone".to_owned()));
    assert_eq!(version("b.example.org"), (200, "wild".to_owned()));
    assert_eq!(version("own.example.org").0, 404, "nothing falls through to a less specific listener");
    let message = daemon.wait_reason("stranger", "Accepted", "NoMatchingParent", PATIENCE);
    assert_eq!(message, "spec.hostnames: no listener takes `a.test`; the listeners are for `*.example.org`");
}

#[test]
fn of_two_gateways_with_one_name_the_older_file_keeps_it() {
    let site = Site::new("hello");
    let (one, two) = (free_port(), free_port());
    let mut daemon = daemon_with(&site, &[("b.yaml", &gateway("web", &[listener("http", one, "")]))]);
    wait_said(&daemon, "web", "Ready", "Ready");
    daemon.manifest("a.yaml", &gateway("web", &[listener("http", two, "")]));
    daemon.wait_log(PATIENCE, |line| line.contains("a.yaml") && line.contains("NameConflict"));
    assert_eq!((is_open(one), is_open(two)), (true, false));
    daemon.restart();
    assert_eq!((is_open(one), is_open(two)), (true, false), "who is older is kept on disk");
    daemon.remove_manifest("b.yaml");
    wait_status(&daemon, two, HOST, 200);
    wait_closed(&daemon, one);
}

#[test]
fn of_two_gateways_with_one_port_the_older_keeps_it_unless_their_hosts_differ() {
    let site = Site::new("hello");
    let port = free_port();
    let daemon = daemon_with(&site, &[("old.yaml", &gateway("old", &[listener("http", port, "")]))]);
    wait_said(&daemon, "old", "Ready", "Ready");
    daemon.manifest("new.yaml", &gateway("new", &[listener("web", port, "")]));
    let message = wait_said(&daemon, "new", "Ready", "ListenerConflict");
    assert!(message.contains("listener `new/web`: the older `old/http` is for any host"), "{message}");
    daemon.manifest("new.yaml", &gateway("new", &[listener("web", port, ", hostname: new.example.org")]));
    wait_said(&daemon, "new", "Ready", "Ready");
    assert_eq!((get(port, HOST).unwrap().status, get(port, "new.example.org").unwrap().status), (200, 404));
}

#[test]
fn of_two_gateways_with_one_port_both_or_none_has_the_proxy_protocol_and_the_stricter_limits_hold() {
    let site = Site::new("hello");
    let port = free_port();
    let daemon = daemon_with(&site, &[("old.yaml", &gateway("old", &[listener("http", port, "")]))]);
    wait_said(&daemon, "old", "Ready", "Ready");
    let new = |more: &str| gateway("new", &[listener("web", port, &format!(", hostname: new.example.org{more}"))]);
    daemon.manifest("new.yaml", &new(", proxyProtocol: true"));
    let message = wait_said(&daemon, "new", "Ready", "ListenerConflict");
    assert!(message.contains("listener `new/web` has `proxyProtocol`, the older `old/http` on 127.0.0.1:"), "{message}");
    assert_eq!(get(port, HOST).unwrap().status, 200);
    daemon.manifest("new.yaml", &new("").replace("spec: {", "spec: {limits: {requestHead: 2Ki}, "));
    wait_said(&daemon, "new", "Ready", "Ready");
    let large = || Curl::new(&format!("http://127.0.0.1:{port}/"), None).host(HOST).header("X-Large", &"x".repeat(3000)).send().status;
    daemon.eventually(PATIENCE, || match large() {
        431 => Ok(()),
        status => Err(format!("a large head is answered {status}")),
    });
    daemon.remove_manifest("new.yaml");
    daemon.eventually(PATIENCE, || match large() {
        200 => Ok(()),
        status => Err(format!("a large head is answered {status}")),
    });
}
