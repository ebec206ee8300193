//! A container that plants links, pipes and devices: what is served is the container's own, or nothing.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{HOST, Ttrss};
use crate::support::daemon::PATIENCE;
use crate::support::needs;

/// A socket in the host's own `/run`, with a listener that nobody may reach. It is removed with the value.
struct HostSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl HostSocket {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = PathBuf::from(format!("/run/lxcproxy-test-{}-{}.sock", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { path, listener }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Whether somebody has connected; a connection is taken.
    fn was_reached(&self) -> bool {
        self.listener.accept().is_ok()
    }
}

impl Drop for HostSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn backend_at(app: &str, path: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {app}}}
spec:
  container: ttrss
  hostnames: [{app}.example.org]
  backends: [{{name: web, http: {{unix: {path}}}}}]
  rules: [{{backendRefs: [{{name: web}}]}}]
"
    )
}

#[test]
fn a_planted_link_gives_the_containers_own_file_or_nothing() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let container = &ttrss.container;
    container.write("/etc/app.conf", "inside\n");
    container.write("/var/lib/feeds/icon", "icon\n");
    let links = [
        ("/etc/hostname", "evil"),
        ("../../../../../../../etc/hostname", "climb"),
        ("/proc/1/root/etc/hostname", "magic"),
        ("/etc/shadow", "shadow"),
        ("../../../../../../../etc/shadow", "shadow2"),
        ("/etc/app.conf", "abs"),
        ("/var/lib/feeds", "feeds"),
        ("/var/www/ttrss/index.php", "run.php"),
        ("loop", "loop"),
        ("/", "root"),
    ];
    for (target, name) in links {
        container.link(target, &format!("/var/www/ttrss/{name}"));
    }
    assert!(Path::new("/etc/shadow").exists(), "the host has one");
    assert!(!container.rootfs().join("etc/shadow").exists(), "the container has none");
    let check = |running: &str| {
        for (path, status, text) in [
            ("evil", 200, "ttrss\n"),
            ("climb", 200, "ttrss\n"),
            ("root/etc/hostname", 200, "ttrss\n"),
            ("magic", 404, ""),
            ("shadow", 404, ""),
            ("shadow2", 404, ""),
            ("root/etc/shadow", 404, ""),
            ("abs", 200, "inside\n"),
            ("feeds/icon", 200, "icon\n"),
            ("loop", 404, ""),
        ] {
            let answer = ttrss.get(&format!("/ttrss/{path}"));
            assert_eq!(answer.status, status, "{path}, {running}: {}", answer.text());
            assert!(status != 200 || answer.text() == text, "{path}, {running}: {}", answer.text());
        }
    };
    check("running");
    assert_eq!(ttrss.seen("/ttrss/run.php")["server"]["SCRIPT_FILENAME"], "/var/www/ttrss/run.php");
    container.stop();
    ttrss.daemon.wait_reason("ttrss", "ResolvedRefs", "ContainerStopped", PATIENCE);
    check("stopped");
}

#[test]
fn a_pipe_or_a_device_among_the_files_is_404_and_hangs_nobody() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let www = ttrss.container.rootfs().join("var/www/ttrss");
    for (name, kind, device) in [
        ("pipe", FileType::Fifo, 0),
        ("pipe.php", FileType::Fifo, 0),
        ("zero", FileType::CharacterDevice, makedev(1, 5)),
        ("disk", FileType::BlockDevice, makedev(1, 0)),
    ] {
        mknodat(CWD, www.join(name), kind, Mode::from_raw_mode(0o666), device).unwrap();
    }
    let _listener = UnixListener::bind(www.join("socket")).unwrap();
    ttrss.container.link("/dev/zero", "/var/www/ttrss/link-to-zero");
    for path in ["pipe", "pipe.php", "pipe.php/x", "zero", "disk", "socket", "link-to-zero"] {
        for what in ["-XGET", "-I", "-XPOST"] {
            let answer = ttrss.daemon.request(&format!("/ttrss/{path}")).host(HOST).arg(what).send();
            assert_eq!(answer.status, 404, "{what} {path}");
        }
    }
    assert_eq!(ttrss.get("/ttrss/style.css").status, 200);
}

#[test]
fn a_link_to_a_socket_of_the_host_is_no_backend() {
    needs!(lxc, root, php_fpm, php, curl);
    let ttrss = Ttrss::served();
    let host = HostSocket::new();
    let socket = host.path();
    assert!(std::os::unix::net::UnixStream::connect(socket).is_ok() && host.was_reached(), "it is served on the host");
    let links =
        format!("ln -s {socket} /run/x.sock; ln -s ../../../../../..{socket} /run/climb.sock; ln -s /proc/1/root{socket} /run/magic.sock");
    ttrss.container.exec(&["sh", "-c", &links]);
    ttrss.container.link(socket, "/var/www/x.sock");
    for (app, path) in [
        ("link", "/run/x.sock"),
        ("climb", "/run/climb.sock"),
        ("disk", "/var/www/x.sock"),
        ("direct", socket),
        // `/var/run -> /run`, as Debian has it.
        ("var-run", &format!("/var{socket}")),
    ] {
        ttrss.daemon.manifest(&format!("{app}.yaml"), &backend_at(app, path));
        ttrss.daemon.wait_reason(app, "ResolvedRefs", "SocketNotFound", PATIENCE);
        assert_eq!(ttrss.daemon.condition(app, "Accepted").unwrap().0, "True", "{app}");
        let answer = ttrss.daemon.request("/").host(&format!("{app}.example.org")).send();
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{app}");
    }
    ttrss.daemon.manifest("magic.yaml", &backend_at("magic", "/run/magic.sock"));
    ttrss.daemon.eventually(PATIENCE, || match ttrss.daemon.condition("magic", "ResolvedRefs") {
        Some((status, ..)) if status == "False" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(ttrss.daemon.request("/").host("magic.example.org").send().status, 503);
    assert!(!host.was_reached(), "nobody came through to the host");

    // The container's own socket of that very name is used.
    let server = format!(
        "$listener = stream_socket_server('unix://{socket}');
        while ($c = stream_socket_accept($listener, -1)) {{
            if (fread($c, 9999) != '') fwrite($c, \"HTTP/1.0 200 OK\\r\\n\\r\\ninside\\n\");
            fclose($c);
        }}"
    );
    ttrss.container.exec(&["sh", "-c", "php8.2 -n -r \"$1\" >/dev/null 2>&1 &", "sh", &server]);
    for app in ["direct", "var-run", "link"] {
        ttrss.daemon.wait_condition(app, "Ready", PATIENCE);
        let answer = ttrss.daemon.request("/").host(&format!("{app}.example.org")).send();
        assert_eq!((answer.status, answer.text().as_str()), (200, "inside\n"), "{app}");
    }
    assert!(!host.was_reached(), "nobody came through to the host");
}
