//! A network with 192.168.122.21 in it, three containers, their applications, and the two proxies in front of them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::compare::Pair;
use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, LxcPath, PHP_FPM, Spec};
use crate::support::netns::Netns;
use crate::support::nginx::Nginx;

/// The manifests that stand beside the reference's configuration, unmodified.
pub const SAMPLES: [(&str, &str); 3] = [
    ("gitlab.yaml", include_str!("../../manifests/gitlab.yaml")),
    ("seafile.yaml", include_str!("../../manifests/seafile.yaml")),
    ("ttrss.yaml", include_str!("../../manifests/ttrss.yaml")),
];

const HOST: &str = "home.example.org";
const REFERENCE: &str = include_str!("../fixtures/reference.nginx.conf");
const PEERS: &str = include_str!("../fixtures/peers.py");
const SEAHUB: &str = "/home/seafile/base/seafile-server-6.0/seahub";
const PUBLIC: &str = "/home/git/gitlab/public";
const GITLAB_SOCKET: &str = "/home/git/gitlab/tmp/sockets/gitlab.socket";

/// 2001-09-09: older than everything, so that conditions are about it and not about the second in which the test runs.
const MODIFIED: Duration = Duration::from_secs(1_000_000_000);

/// Tells what php-fpm was told, or does what the query asks for.
const ECHO: &str = "<?php
if (isset($_GET['status'])) http_response_code((int) $_GET['status']);
if (isset($_GET['location'])) header('Location: ' . $_GET['location']);
$body = file_get_contents('php://input');
unset($_SERVER['REQUEST_TIME'], $_SERVER['REQUEST_TIME_FLOAT']);
$server = array_map(fn ($value) => is_string($value) ? $value : json_encode($value), $_SERVER);
header('Content-Type: application/json');
setcookie('a', '1'); setcookie('b', '2');
echo json_encode(['seen' => $server + ['file' => __FILE__, 'length' => (string) strlen($body), 'sha256' => hash('sha256', $body)]]);
";

/// Everything. The fields go in this order: who asks, who answers, where.
pub struct House {
    ours: Daemon,
    theirs: Nginx,
    _peers: Peers,
    _containers: [Container; 3],
}

/// The servers in Python.
struct Peers(Child);

impl House {
    /// Builds it, and waits until all three applications are ready.
    pub fn new() -> Self {
        let netns = Arc::new(Netns::new(&["192.168.122.21/32"]));
        let lxcpath = LxcPath::inside(netns.clone());
        let containers = [ttrss(&lxcpath), seafile(&lxcpath), gitlab(&lxcpath)];
        containers.iter().for_each(Container::start);
        let socket = containers[2].rootfs().join(&GITLAB_SOCKET[1..]);
        let peers = Peers::start(&netns, &socket);

        let daemon = Daemon::builder().inside(netns.clone()).lxcpath(lxcpath.path());
        let ours = SAMPLES.iter().fold(daemon, |daemon, (name, text)| daemon.manifest(name, text)).start();
        for app in ["ttrss", "seafile", "gitlab"] {
            ours.wait_condition(app, "Ready", PATIENCE);
        }
        let place = lxcpath.path();
        let place = place.to_str().unwrap();
        let reference = REFERENCE.replace("{lxcpath}", place).replace("{logs}", ours.scratch().to_str().unwrap());
        // `location /gitlab` takes its root from the server.
        let server = format!("server_name {HOST};\nroot {place}/gitlab/rootfs{PUBLIC};\n{reference}");
        let theirs = Nginx::start(&server, Some(&netns));
        Self { ours, theirs, _peers: peers, _containers: containers }
    }
}

impl Pair for House {
    fn ours(&self, path: &str) -> Curl {
        self.ours.request(path).host(HOST)
    }

    fn theirs(&self, path: &str) -> Curl {
        self.theirs.request(path).host(HOST)
    }
}

impl Peers {
    fn start(netns: &Netns, socket: &Path) -> Self {
        let python = std::env::var("LXCPROXY_TEST_PYTHON").unwrap_or_else(|_| {
            let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
            format!("{home}/.cache/lxcproxy-tests/venv/bin/python3")
        });
        let mut command = netns.command("setpriv");
        command.args(["--pdeathsig", "KILL", "--", &python, "-c", PEERS, "192.168.122.21:8000", "192.168.122.21:8082"]).arg(socket);
        let found = Command::new(&python).args(["-c", "import flup"]).stderr(Stdio::null()).status();
        assert!(found.is_ok_and(|status| status.success()), "{python} has no flup: run the tests with `tests/run`, which installs it");
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ttrss(lxcpath: &LxcPath) -> Container {
    let container = container(lxcpath, "ttrss", true);
    // For lxcproxy on the tmpfs, where it is by default; for nginx on the root on disk, where the reference has had to move it.
    let pool = PHP_FPM.split_once("[www]").unwrap().1.replace("/run/php/php8.2-fpm.sock", "/php5-fpm.sock");
    container.write("/etc/php-fpm.conf", &format!("{PHP_FPM}[reference]{pool}"));
    for script in ["index.php", "tool.php", "lib/index.php", "s p.php"] {
        container.write(&format!("/var/www/ttrss/{script}"), ECHO);
    }
    container.write("/var/www/ttrss/fatal.php", "<?php header('X-Before: 1'); http_response_code(500); echo 'it broke';");
    container.write("/var/www/ttrss/slow.php", "<?php for ($i = 0; $i < 5; $i++) { echo str_repeat('x', 9000); flush(); }");
    for name in [
        "logo.png",
        "app.js",
        "feed.xml",
        "data.json",
        "LICENSE",
        "s p.txt",
        "a+b;c=d,e.txt",
        "ü.txt",
        "sub/page.html",
        "empty/.keep",
        ".git/config",
    ] {
        container.write(&format!("/var/www/ttrss/{name}"), &format!("{name}, and a little more\n"));
    }
    container.write("/var/www/ttrss/.well-known/security.txt", "Contact: home\n");
    container.write("/var/www/ttrss/UPPER.PHP", "<?php echo 'source';");
    container.write("/var/www/ttrss/big.bin", &"0123456789abcdef".repeat(1 << 16));
    container.write("/var/www/ttrss/empty.txt", "");
    container.write("/etc/tt-rss/config", "inside\n");
    container.link("/etc/hostname", "/var/www/ttrss/evil");
    container.link("/etc/tt-rss/config", "/var/www/ttrss/config");
    container.link("style.css", "/var/www/ttrss/near.css");
    dated(&container, "/var/www/ttrss/style.css");
    container
}

fn seafile(lxcpath: &LxcPath) -> Container {
    let container = container(lxcpath, "seafile", false);
    for name in ["img/logo.png", "js/a%2Fb.js", "doc/index.html", "assets/app.min.js", "fonts/a.woff2", "x.php"] {
        container.write(&format!("{SEAHUB}/media/{name}"), &format!("{name}, and a little more\n"));
    }
    dated(&container, &format!("{SEAHUB}/media/css/seahub.css"));
    container.link("seafile-server-6.0", "/home/seafile/base/seafile-server-latest");
    container
}

fn gitlab(lxcpath: &LxcPath) -> Container {
    let container = container(lxcpath, "gitlab", false);
    for name in ["index.html", "help.html", "assets/app.js", "dir/index.html", "both", "both.html", "a b.html", "upload/x"] {
        container.write(&format!("{PUBLIC}/gitlab/{name}"), &format!("{name}, and a little more\n"));
    }
    mknodat(CWD, container.rootfs().join(&format!("{PUBLIC}/gitlab/pipe")[1..]), FileType::Fifo, Mode::RUSR, 0).unwrap();
    dated(&container, &format!("{PUBLIC}/gitlab/robots.txt"));
    container.write(&GITLAB_SOCKET.replace("gitlab.socket", ".keep"), "");
    container
}

fn container(lxcpath: &LxcPath, name: &str, php_fpm: bool) -> Container {
    Container::new(Spec { name: Some(name.to_owned()), lxcpath: Some(lxcpath.clone()), php_fpm, ..Spec::default() })
}

/// A file of sixteen bytes with a time that is known.
fn dated(container: &Container, path: &str) {
    container.write(path, "0123456789abcde\n");
    let file = fs::File::options().write(true).open(container.rootfs().join(&path[1..])).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + MODIFIED).unwrap();
}
