//! Containers of systemd-nspawn, known by machined's name for them, by a file with the pid of their init, or by both.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::nspawn::{Machine, Machined};
use crate::support::{needs, scratch};

const SOCKET: &str = "/run/app.sock";

fn manifest(app: &str, container: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {app}}}
spec:
  container: {container}
  hostnames: [{app}.example.org]
  backends: [{{name: web, http: {{unix: {SOCKET}}}}}]
  rules:
  - {{matches: [{{path: {{value: /page}}}}], files: {{root: /var/www}}}}
  - {{backendRefs: [{{name: web}}]}}
"
    )
}

fn ask(daemon: &Daemon, app: &str, path: &str) -> (u16, String) {
    let answer = daemon.request(path).host(&format!("{app}.example.org")).send();
    (answer.status, answer.text())
}

fn wait_for(daemon: &Daemon, app: &str, path: &str, status: u16, text: &str) {
    daemon.eventually(PATIENCE, || match ask(daemon, app, path) {
        (seen, body) if seen == status && body.contains(text) => Ok(()),
        other => Err(format!("{app}{path}: {other:?}, and not {status} {text}")),
    });
}

/// As a supervisor does: nobody sees half of it.
fn write_pid(file: &Path, pid: u32) {
    let hidden = file.with_extension("new");
    fs::write(&hidden, format!("{pid}\n")).unwrap();
    fs::rename(hidden, file).unwrap();
}

fn machine(registered: Option<&Machined>) -> Machine {
    let machine = Machine::web(&format!("unix:{SOCKET}"), registered);
    machine.write("/var/www/page", "of the root on disk");
    machine
}

#[test]
fn a_machine_is_found_by_the_name_that_machined_knows_it_by_and_heals_when_it_is_started_again() {
    needs!(nspawn, machined, lxc, root, nginx, curl);
    let machined = Machined::start();
    let machine = machine(Some(&machined));
    let name = machine.name();
    let placed = format!("{{name: {name}, path: {}, runtime: Nspawn}}", machine.images().display());
    let daemon = Daemon::builder().manifest("placed.yaml", &manifest("placed", &placed)).start();
    let named = format!("{{name: {name}, runtime: Nspawn}}");
    daemon.manifest("named.yaml", &manifest("named", &named));
    daemon.manifest("auto.yaml", &manifest("auto", name));
    daemon.wait_reason("placed", "ResolvedRefs", "ContainerStopped", PATIENCE);
    let message = daemon.wait_reason("named", "ResolvedRefs", "ContainerNotFound", PATIENCE);
    assert!(message.contains("/var/lib/machines"), "{message}");
    assert_eq!(ask(&daemon, "placed", "/page"), (200, "of the root on disk".to_owned()));
    for _ in 0..2 {
        machine.start();
        let listed = machined.call("GetMachine", &["s", name]);
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        for app in ["placed", "named", "auto"] {
            daemon.wait_condition(app, "Ready", PATIENCE);
            assert_eq!(ask(&daemon, app, "/a?b"), (200, format!("{name} GET /a?b {app}.example.org")));
            assert_eq!(ask(&daemon, app, "/page"), (200, "of the root on disk".to_owned()));
        }
        machine.shell("mount -t tmpfs tmpfs /var/www && echo of the live root > /var/www/page");
        assert_eq!(ask(&daemon, "named", "/page"), (200, "of the live root\n".to_owned()));
        machine.stop();
        assert!(!Path::new("/run/systemd/machines").join(name).exists(), "systemd-nspawn has told machined");
        daemon.wait_reason("placed", "ResolvedRefs", "ContainerStopped", PATIENCE);
        daemon.wait_reason("named", "ResolvedRefs", "ContainerNotFound", PATIENCE);
        assert_eq!(ask(&daemon, "placed", "/a").0, 503);
        assert_eq!(ask(&daemon, "placed", "/page"), (200, "of the root on disk".to_owned()));
    }
}

#[test]
fn a_container_is_known_by_the_pid_of_its_init_alone() {
    needs!(nspawn, root, nginx, curl);
    let machine = machine(None);
    let place = scratch();
    let file: PathBuf = place.path().join("run/web.pid");
    let absolute = manifest("absolute", &format!("{{pidFile: {}}}", file.display()));
    let daemon = Daemon::builder().manifest("absolute.yaml", &absolute).start();
    // Beside its manifest, and with the root on disk for while it is stopped.
    let relative = format!("{{name: web, pidFile: web.pid, rootfs: {}}}", machine.rootfs().display());
    daemon.manifest("relative.yaml", &manifest("relative", &relative));
    let message = daemon.wait_reason("absolute", "ResolvedRefs", "ContainerStopped", PATIENCE);
    assert!(message.contains("`web`"), "{message}");
    daemon.wait_reason("relative", "ResolvedRefs", "ContainerStopped", PATIENCE);
    assert_eq!(ask(&daemon, "relative", "/page"), (200, "of the root on disk".to_owned()));
    for path in ["/page", "/a"] {
        assert_eq!(ask(&daemon, "absolute", path).0, 503, "{path}");
    }
    fs::create_dir(file.parent().unwrap()).unwrap();
    for _ in 0..2 {
        machine.start();
        let leader = machine.leader().unwrap();
        write_pid(&file, leader);
        fs::write(daemon.manifests().join("web.pid"), leader.to_string()).unwrap();
        for app in ["absolute", "relative"] {
            daemon.wait_condition(app, "Ready", PATIENCE);
            assert_eq!(ask(&daemon, app, "/a?b"), (200, format!("{} GET /a?b {app}.example.org", machine.name())));
        }
        machine.stop();
        // The file stays, with a pid that is nobody's.
        daemon.wait_reason("absolute", "ResolvedRefs", "ContainerStopped", PATIENCE);
        wait_for(&daemon, "absolute", "/page", 503, "");
        wait_for(&daemon, "relative", "/page", 200, "of the root on disk");
    }
}

#[test]
fn a_pid_file_that_names_a_successor_is_followed_while_the_one_before_still_runs() {
    needs!(nspawn, root, nginx, curl);
    let (blue, green) = (machine(None), machine(None));
    blue.start();
    green.start();
    let place = scratch();
    let file = place.path().join("web.pid");
    write_pid(&file, blue.leader().unwrap());
    let app = manifest("web", &format!("{{pidFile: {}}}", file.display()));
    let daemon = Daemon::builder().manifest("web.yaml", &app).start();
    wait_for(&daemon, "web", "/a", 200, blue.name());
    write_pid(&file, green.leader().unwrap());
    wait_for(&daemon, "web", "/a", 200, green.name());
    // In its place, and half of it for a moment.
    fs::write(&file, "").unwrap();
    fs::write(&file, blue.leader().unwrap().to_string()).unwrap();
    wait_for(&daemon, "web", "/a", 200, blue.name());
}

#[test]
fn a_process_of_the_host_is_no_container_whoever_says_so() {
    needs!(root, curl);
    let place = scratch();
    let file = place.path().join("web.pid");
    write_pid(&file, std::process::id());
    let app = manifest("web", &format!("{{pidFile: {}}}", file.display()));
    let daemon = Daemon::builder().manifest("web.yaml", &app).start();
    let message = daemon.wait_reason("web", "ResolvedRefs", "ContainerNotFound", PATIENCE);
    assert!(message.contains("the host's own `/`"), "{message}");
    assert_eq!(ask(&daemon, "web", "/page").0, 503);
    fs::write(&file, "not a pid").unwrap();
    daemon.eventually(PATIENCE, || {
        let message = daemon.wait_reason("web", "ResolvedRefs", "ContainerNotFound", PATIENCE);
        if message.contains("holds no pid") { Ok(()) } else { Err(message) }
    });
    let table = daemon.cli(&["get", "apps", "-o", "wide"]).output().unwrap();
    assert!(String::from_utf8_lossy(&table.stdout).contains(file.to_str().unwrap()), "{}", String::from_utf8_lossy(&table.stdout));
    let sheet = daemon.cli(&["describe", "app", "web"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&sheet.stdout).contains("correct spec.container.pidFile"),
        "{}",
        String::from_utf8_lossy(&sheet.stdout)
    );
}
