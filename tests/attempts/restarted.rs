//! Real containers and a real php-fpm, restarted under load.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::held::Stop;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::lxc::{Container, LxcPath, PHP_SOCKET, Spec};
use crate::support::{needs, until};

const MANIFEST: &str = "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: app}
spec:
  container: web
  backends: [{name: php, fastcgi: {unix: /run/php/php8.2-fpm.sock}, hold: 2m}]
  rules:
  - files:
      root: /var/www
      index: [index.php]
      scripts: [{extension: .php, backend: php}]
";

/// Notes every POST on the container's disk, before a little work.
const INDEX: &str = "<?php
if ($_SERVER['REQUEST_METHOD'] == 'POST') {
    file_put_contents('/var/www/posts', file_get_contents('php://input') . PHP_EOL, FILE_APPEND | LOCK_EX);
}
usleep(2000);
header('Content-Length: 2');
echo 'ok';
";

/// A container with php-fpm, a daemon that serves it.
struct Setup {
    daemon: Daemon,
    container: Container,
}

impl Setup {
    fn new() -> Self {
        let spec = Spec { name: Some("web".into()), lxcpath: Some(LxcPath::new()), php_fpm: true, ..Spec::default() };
        let container = Container::new(spec);
        container.write("/var/www/index.php", INDEX);
        container.write("/var/www/posts", "");
        let posts = container.rootfs().join("var/www/posts");
        std::fs::set_permissions(posts, std::fs::Permissions::from_mode(0o666)).unwrap();
        container.start();
        let daemon = Daemon::builder().lxcpath(container.lxcpath()).manifest("app.yaml", MANIFEST).start();
        daemon.wait_condition("app", "Ready", PATIENCE);
        Self { daemon, container }
    }

    /// GETs and POSTs all the while that something happens, so many times, to the container. Every GET is 200; every POST is, too, unless it
    /// may have been seen by what was killed; and none is seen twice.
    fn survives(&self, times: usize, happens: impl Fn(&Container)) {
        let (stop, answered, posted) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(Vec::new()));
        let gets = std::thread::scope(|scope| {
            let get = || {
                let (mut agent, mut tally) = (Agent::connect(self.daemon.address()), BTreeMap::<_, usize>::new());
                while !stop.load(Ordering::SeqCst) {
                    let (status, head, body) = agent.fetch("/", "h");
                    let what = if status == 200 && body == b"ok" { "right".to_owned() } else { head };
                    *tally.entry(what).or_default() += 1;
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                tally
            };
            let post = || {
                let mut agent = Agent::connect(self.daemon.address());
                let mut number = 0;
                while !stop.load(Ordering::SeqCst) {
                    number += 1;
                    let (status, ..) = agent.post("/", "h", &number.to_string());
                    posted.lock().unwrap().push((number.to_string(), status));
                }
            };
            let gets: Vec<_> = (0..3).map(|_| scope.spawn(get)).collect();
            scope.spawn(post);
            let stopping = Stop(&stop);
            let moves_on = || {
                let before = answered.load(Ordering::SeqCst);
                until("requests are answered", || (answered.load(Ordering::SeqCst) > before + 10).then_some(()));
            };
            for _ in 0..times {
                moves_on();
                happens(&self.container);
            }
            moves_on();
            drop(stopping);
            gets.into_iter().map(|get| get.join().unwrap()).collect::<Vec<_>>()
        });
        let posted = posted.into_inner().unwrap();
        let failed: Vec<_> = posted.iter().filter(|(_, status)| *status != 200).collect();
        eprintln!("GET: {gets:?}; POST: {}, of which {failed:?}", posted.len());
        assert!(gets.iter().all(|tally| tally.keys().eq(["right"])), "{gets:#?}");
        let seen = std::fs::read_to_string(self.container.rootfs().join("var/www/posts")).unwrap();
        for (number, status) in posted {
            match (status, seen.lines().filter(|line| *line == number).count()) {
                (200, 1) | (502 | 503, 0 | 1) => {}
                (status, times) => panic!("POST {number}: {status}, seen {times} times"),
            }
        }
    }
}

#[test]
fn a_container_restarts_under_load_without_an_error() {
    needs!(lxc, root, php_fpm, curl);
    let setup = Setup::new();
    setup.survives(4, |container| {
        let before = container.pid();
        container.restart();
        assert_ne!(container.pid(), before);
    });
}

#[test]
fn php_fpm_restarts_in_its_container_without_an_error() {
    needs!(lxc, root, php_fpm, curl);
    let setup = Setup::new();
    for signal in ["TERM", "QUIT"] {
        setup.survives(3, |container| {
            container.exec(&["sh", "-c", &format!("kill -{signal} $(cat /run/php-fpm.pid)")]);
            container.wait_for("! -S", PHP_SOCKET);
            container.start_php();
        });
        setup.container.exec(&["sh", "-c", ": > /var/www/posts"]);
    }
}

/// Kills its worker on the first visit of each path.
const MORTAL: &str = "<?php
$mark = '/tmp/' . md5($_SERVER['REQUEST_URI']);
$body = file_get_contents('php://input');
if (!file_exists($mark)) {
    touch($mark);
    exec('kill -9 ' . getmypid());
}
echo strlen($body);
";

#[test]
fn a_worker_that_dies_is_no_reason_to_give_up_what_may_be_sent_twice() {
    needs!(lxc, root, php_fpm, curl);
    let setup = Setup::new();
    setup.container.write("/var/www/mortal.php", MORTAL);
    let body = vec![b'x'; 50_000];
    for (version, hold, retry, status) in [("1", "hold: 1m", "", 200), ("2", "hold: 0s", "", 502), ("3", "hold: 0s", "retry: {}", 200)] {
        let filter =
            format!("{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: X-Version, value: \"{version}\"}}]}}}}");
        let manifest =
            MANIFEST.replace("hold: 2m", hold).replace("  - files:", &format!("  - filters: [{filter}]\n    {retry}\n    files:"));
        setup.daemon.manifest("app.yaml", &manifest);
        setup.daemon.eventually(PATIENCE, || match setup.daemon.get("/").header("x-version") {
            served if served == version => Ok(()),
            served => Err(format!("{served:?} is served")),
        });
        for (number, framing) in ["X-Framing: length", "Transfer-Encoding: chunked"].into_iter().enumerate() {
            let ask = |method: &str| {
                let request = setup.daemon.request(&format!("/mortal.php?{version}{number}{method}"));
                request.method(method).arg("-H").arg(framing).body(body.clone()).send()
            };
            let answer = ask("PUT");
            assert_eq!(answer.status, status, "{version}, {framing}: {answer:?}");
            assert!(status != 200 || answer.text() == "50000", "{version}, {framing}: {answer:?}");
            assert_eq!(ask("POST").status, 502, "{version}, {framing}");
        }
    }
}
