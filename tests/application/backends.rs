//! HTTP servers inside containers: on a unix socket of their tmpfs, on a port of their own loopback; containers found by every spelling.

use std::net::{TcpListener, TcpStream};

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, LxcPath, Spec};
use crate::support::needs;

fn manifest(app: &str, container: &str, address: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {app}}}
spec:
  container: {container}
  hostnames: [{app}.example.org]
  backends: [{{name: web, http: {{{address}}}}}]
  rules: [{{backendRefs: [{{name: web}}]}}]
"
    )
}

fn ask(daemon: &Daemon, app: &str) -> (u16, String) {
    let answer = daemon.request("/a?b").host(&format!("{app}.example.org")).send();
    (answer.status, answer.text())
}

#[test]
fn an_http_server_on_a_socket_of_the_containers_tmpfs_answers() {
    needs!(lxc, root, nginx, curl);
    let web = Container::web(Spec::default(), "unix:/run/app.sock");
    let daemon = Daemon::builder().lxcpath(web.lxcpath()).start();
    for (app, path) in [("direct", "/run/app.sock"), ("linked", "/var/run/app.sock")] {
        daemon.manifest(&format!("{app}.yaml"), &manifest(app, web.name(), &format!("unix: {path}")));
        daemon.wait_condition(app, "Ready", PATIENCE);
        assert_eq!(ask(&daemon, app), (200, format!("{} GET /a?b {app}.example.org", web.name())));
    }
    assert!(!web.rootfs().join("run/app.sock").exists(), "the host can't see it");
    // Connections were kept: none of them is used for the successor.
    web.restart();
    daemon.eventually(PATIENCE, || match ask(&daemon, "direct") {
        (200, text) if text.starts_with(web.name()) => Ok(()),
        (503, _) => Err("still 503".to_owned()),
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_port_is_the_containers_own_though_the_host_listens_there_too() {
    needs!(lxc, root, nginx, curl);
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    host.set_nonblocking(true).unwrap();
    let address = host.local_addr().unwrap();
    assert!(TcpStream::connect(address).is_ok() && host.accept().is_ok(), "it is served on the host");
    let web = Container::web(Spec::default(), &address.to_string());
    let port = format!("port: {}", address.port());
    let daemon = Daemon::builder().lxcpath(web.lxcpath()).manifest("web.yaml", &manifest("web", web.name(), &port)).start();
    daemon.wait_condition("web", "Ready", PATIENCE);
    let answer = (200, format!("{} GET /a?b web.example.org", web.name()));
    assert_eq!(ask(&daemon, "web"), answer);
    web.stop();
    daemon.wait_reason("web", "ResolvedRefs", "ContainerStopped", PATIENCE);
    assert_eq!(ask(&daemon, "web").0, 503, "the host's server is no replacement");
    web.start();
    daemon.wait_condition("web", "Ready", PATIENCE);
    assert_eq!(ask(&daemon, "web"), answer);
    // An App without a container is on the host, and so is its port.
    let on_host = manifest("host", "x", &port).replace("  container: x\n", "");
    daemon.manifest("host.yaml", &on_host);
    daemon.wait_condition("host", "Ready", PATIENCE);
    while host.accept().is_ok() {}
    daemon.manifest("web.yaml", &manifest("web", web.name(), &port).replace("/a", "/b"));
    assert_eq!(ask(&daemon, "web"), answer);
    assert!(host.accept().is_err(), "nobody came through to the host");
}

#[test]
fn a_container_is_found_by_name_runtime_and_path_and_an_unknown_one_is_named_with_its_place() {
    needs!(lxc, root, nginx, curl);
    let web = Container::web(Spec::default(), "unix:/run/app.sock");
    let place = web.lxcpath();
    let (name, place) = (web.name(), place.to_str().unwrap());
    let empty = LxcPath::new();
    let (default, daemon) = (empty.path(), Daemon::builder().lxcpath(empty.path()).start());
    for (app, container) in [
        ("auto", format!("{{name: {name}, path: {place}}}")),
        ("written", format!("{{name: {name}, path: {place}, runtime: Auto}}")),
        ("lxc", format!("{{name: {name}, path: {place}, runtime: LXC}}")),
    ] {
        daemon.manifest(&format!("{app}.yaml"), &manifest(app, &container, "unix: /run/app.sock"));
        daemon.wait_condition(app, "Ready", PATIENCE);
        assert_eq!(ask(&daemon, app), (200, format!("{name} GET /a?b {app}.example.org")));
    }
    for (app, container, said) in [
        ("unknown", format!("{{name: nobody, path: {place}}}"), place),
        ("unknown-lxc", format!("{{name: nobody, path: {place}, runtime: LXC}}"), place),
        ("default", name.to_owned(), default.to_str().unwrap()),
    ] {
        daemon.manifest(&format!("{app}.yaml"), &manifest(app, &container, "unix: /run/app.sock"));
        let message = daemon.wait_reason(app, "ResolvedRefs", "ContainerNotFound", PATIENCE);
        assert!(message.contains(said), "{message}");
        assert_eq!(daemon.condition(app, "Accepted").unwrap().0, "True");
        assert_eq!(ask(&daemon, app).0, 503);
    }
}
