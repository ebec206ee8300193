//! php-fpm in a real container with few workers: they are replaced all the time, or all busy.

use std::fs;
use std::io::Read;
use std::thread;

use super::container::{ask, served};
use crate::support::daemon::PATIENCE;
use crate::support::keepalive::Agent;
use crate::support::{needs, until};

const PID: &str = "<?php header('Content-Length: 12'); printf('%012d', getmypid());";
const BUSY: &str = "<?php while (!file_exists('/tmp/go')) { usleep(1000); clearstatcache(); } echo 'done';";

/// `/kept` is `/` over connections that are kept, `/hasty` over those that have to stand at once.
const RULES: &str = "- matches: [{path: {value: /kept}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
    files: {root: /var/www, scripts: [{extension: .php, backend: kept}]}
  - matches: [{path: {value: /hasty}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
    files: {root: /var/www, scripts: [{extension: .php, backend: fpm}]}
    timeouts: {backendConnect: 200ms}";

#[test]
fn workers_that_are_replaced_under_load_cost_no_request() {
    needs!(lxc, root, php_fpm);
    let (_container, daemon) = served("pm.max_children = 6\npm.max_requests = 5\n", &[("pid", PID)], RULES);
    for path in ["/pid.php", "/kept/pid.php"] {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (mut agent, path) = (Agent::connect(daemon.address()), path.to_owned());
                thread::spawn(move || {
                    let mut seen = Vec::new();
                    for number in 0..75 {
                        // Some can be sent again, and some can not.
                        let (status, head, body) =
                            if (client + number) % 3 == 0 { agent.post(&path, "a", "some body") } else { agent.fetch(&path, "a") };
                        assert_eq!(status, 200, "{path}: {head}{}", String::from_utf8_lossy(&body));
                        seen.push(body);
                    }
                    seen
                })
            })
            .collect();
        let mut workers: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        assert_eq!(workers.len(), 300);
        workers.sort();
        workers.dedup();
        assert!(workers.len() >= 60, "{path}: {} workers have answered 300 requests", workers.len());
    }
}

#[test]
fn requests_wait_for_a_worker_even_if_the_queue_of_php_fpm_is_full_and_are_told_when_it_takes_too_long() {
    needs!(lxc, root, php_fpm, curl);
    let (container, daemon) = served("pm.max_children = 1\nlisten.backlog = 1\n", &[("busy", BUSY), ("pid", PID)], RULES);
    let asked: Vec<_> = (0..8).map(|_| ask(&daemon, "/busy.php")).collect();
    // The one who is served, and two who wait: the kernel takes one more than the backlog. They belong to the network of who connects.
    let socket = format!("/run/php/{}.sock", container.name());
    until("the queue is full", || {
        let sockets = fs::read_to_string("/proc/net/unix").unwrap();
        (sockets.lines().filter(|line| line.ends_with(&socket)).count() >= 3).then_some(())
    });
    let hasty = daemon.get("/hasty/pid.php");
    assert_eq!(hasty.status, 504, "{}", hasty.text());
    container.exec(&["touch", "/tmp/go"]);
    for mut reader in asked {
        let mut answer = String::new();
        reader.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("done"), "{answer}");
    }
    daemon.eventually(PATIENCE, || match daemon.get("/hasty/pid.php").status {
        200 => Ok(()),
        status => Err(format!("{status} with an idle worker")),
    });
}
