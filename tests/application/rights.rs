//! The rights that the packaged unit grants, and no others: they are enough for every kind of container.

use std::collections::BTreeSet;
use std::net::TcpListener;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, LxcPath, Spec};
use crate::support::nspawn::Machine;
use crate::support::{lxd, needs};

const UNIT: &str = include_str!("../../packaging/lxcproxy.service");
const SOCKET: &str = "/run/app.sock";
const PAGE: &str = "of its own users only\n";

/// A daemon with the capabilities of the unit.
fn confined(lxcpath: &LxcPath) -> Daemon {
    let granted = UNIT.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let set: Vec<String> =
        granted.split_whitespace().map(|name| format!("+{}", name.strip_prefix("CAP_").unwrap().to_lowercase())).collect();
    let set = format!("--bounding-set=-all,{}", set.join(","));
    let daemon = Daemon::builder().lxcpath(lxcpath.path()).within(&["setpriv", &set, "--no-new-privs", "--"]).start();
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let masks: BTreeSet<&str> =
        ["CapBnd:\t", "CapPrm:\t", "CapEff:\t"].iter().filter_map(|name| status.lines().find_map(|line| line.strip_prefix(name))).collect();
    let mask = masks.first().map(|mask| u64::from_str_radix(mask, 16).unwrap()).unwrap();
    assert_eq!((masks.len(), mask.count_ones() as usize), (1, granted.split_whitespace().count()), "{status}");
    daemon
}

fn serve(daemon: &Daemon, app: &str, container: &str, address: &str) {
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {app}}}
spec:
  container: {container}
  hostnames: [{app}.example.org]
  backends: [{{name: web, http: {{{address}}}}}]
  rules:
  - {{matches: [{{path: {{value: /page}}}}], files: {{root: /var/www}}}}
  - {{backendRefs: [{{name: web}}]}}
"
    );
    daemon.manifest(&format!("{app}.yaml"), &manifest);
    daemon.wait_condition(app, "Ready", PATIENCE);
}

fn ask(daemon: &Daemon, app: &str, path: &str) -> (u16, String) {
    let answer = daemon.request(path).host(&format!("{app}.example.org")).send();
    (answer.status, answer.text())
}

#[test]
fn the_rights_of_the_unit_are_enough_for_sockets_ports_and_files_of_unprivileged_containers_and_machines() {
    needs!(lxc, nspawn, root, nginx, curl, setpriv);
    // A port that is free here is free in there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let lxcpath = LxcPath::new();
    let spec = || Spec { lxcpath: Some(lxcpath.clone()), ..Spec::default() };
    let by_socket = Container::web(Spec { shifted: true, ..spec() }, &format!("unix:{SOCKET}"));
    let by_port = Container::web(spec(), &format!("127.0.0.1:{port}"));
    let keep = format!(
        "mkdir -p /var/www && echo '{}' > /var/www/page && chown www-data /var/www/page /var/www {SOCKET} && \
         chmod 0600 /var/www/page {SOCKET} && chmod 0700 /var/www",
        PAGE.trim()
    );
    assert!(by_socket.shell(&keep).status.success());
    let machine = Machine::web(&format!("unix:{SOCKET}"), None);
    machine.write("/var/www/page", PAGE);
    machine.start();
    let pid = machine.leader().unwrap().to_string();

    let daemon = confined(&lxcpath);
    std::fs::write(daemon.manifests().join("machine.pid"), pid).unwrap();
    let unix = format!("unix: {SOCKET}");
    serve(&daemon, "socket", by_socket.name(), &unix);
    serve(&daemon, "port", by_port.name(), &format!("port: {port}"));
    serve(&daemon, "machine", "{pidFile: machine.pid}", &unix);
    for (app, name) in [("socket", by_socket.name()), ("port", by_port.name()), ("machine", machine.name())] {
        assert_eq!(ask(&daemon, app, "/a?b"), (200, format!("{name} GET /a?b {app}.example.org")));
    }
    for app in ["socket", "machine"] {
        assert_eq!(ask(&daemon, app, "/page"), (200, PAGE.to_owned()), "{app}");
    }
}

#[test]
fn the_rights_of_the_unit_are_enough_for_a_container_of_lxd() {
    needs!(lxd, root, nginx, busybox, curl, setpriv);
    let (web, lxcpath) = (lxd::Container::started(), LxcPath::new());
    web.wait_for_socket();
    let daemon = confined(&lxcpath);
    let container = format!("{{name: {}, path: {}}}", web.name(), web.directory().display());
    serve(&daemon, "lxd", &container, &format!("unix: {}", lxd::SOCKET));
    assert_eq!(ask(&daemon, "lxd", "/a?b"), (200, format!("{} /a?b", web.name())));
}
