//! Containers that stop and start: what clients see meanwhile, and how soon it is over.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{CSS, HOST, INDEX, MANIFEST, Ttrss};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::lxc::{Container, LxcPath, PHP_SOCKET, Spec};
use crate::support::{needs, until};

/// Answers by what they are, counted.
type Tally = BTreeMap<String, usize>;

/// Some milliseconds, and what else the machine has to do; less than until the next look without an event.
const AT_ONCE: Duration = Duration::from_millis(300);

/// Tells those who ask to stop, also when the test has failed.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks until it is told to stop: at once after an answer of the script, so that most of the time it is waiting for one; a little later
/// after any other, for the container needs the processor too.
fn ask(daemon: &Daemon, path: &str, right: impl Fn(&[u8]) -> bool, stop: &AtomicBool) -> Tally {
    let mut agent = Agent::connect(daemon.address());
    let mut tally = Tally::new();
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) && began.elapsed() < 3 * PATIENCE {
        let (status, head, body) = agent.fetch(path, HOST);
        let what = match status {
            200 if right(&body) => "right".to_owned(),
            503 if head.contains("\r\nretry-after: 1\r\n") => "unavailable".to_owned(),
            _ => format!("{head}\n{}", String::from_utf8_lossy(&body)),
        };
        *tally.entry(what).or_default() += 1;
        if status != 200 || path != "/ttrss/" {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    tally
}

fn is_index(body: &[u8]) -> bool {
    let seen: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    seen["file"] == "/var/www/ttrss/index.php" && seen["hostname"] == "ttrss"
}

#[test]
fn a_restart_heals_by_itself_and_meanwhile_nothing_is_answered_but_200_and_503() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let stop = AtomicBool::new(false);
    let (script, file) = std::thread::scope(|scope| {
        let script = scope.spawn(|| ask(&ttrss.daemon, "/ttrss/", is_index, &stop));
        let file = scope.spawn(|| ask(&ttrss.daemon, "/ttrss/style.css", |body| body == CSS.as_bytes(), &stop));
        let stopping = Stop(&stop);
        for _ in 0..4 {
            let before = ttrss.container.pid();
            ttrss.container.restart();
            assert_ne!(ttrss.container.pid(), before);
            ttrss.wait_status("/ttrss/", 200);
            ttrss.daemon.wait_condition("ttrss", "Ready", PATIENCE);
        }
        drop(stopping);
        (script.join().unwrap(), file.join().unwrap())
    });
    eprintln!("script: {script:?}, file: {file:?}");
    assert!(script.keys().eq(["right", "unavailable"]), "{script:#?}");
    assert!(file.keys().all(|what| what == "right" || what == "unavailable") && file.contains_key("right"), "{file:#?}");
}

#[test]
fn an_answer_that_is_cut_off_by_a_stop_is_not_taken_for_whole() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    // Without a length: only the last chunk would say that it is whole.
    ttrss.container.write("/var/www/ttrss/endless.php", "<?php echo 'it begins'; flush(); sleep(600);");
    let mut client = TcpStream::connect(ttrss.daemon.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(format!("GET /ttrss/endless.php HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("it begins") {
        let mut piece = [0; 4096];
        let length = client.read(&mut piece).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..length]);
    }
    ttrss.container.stop();
    // Closed or reset, but soon.
    let end = client.read_to_end(&mut answer);
    assert!(!end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the client still waits");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.to_lowercase().contains("transfer-encoding: chunked"), "{answer}");
    assert!(!answer.contains("\r\n0\r\n"), "{answer}");
}

#[test]
fn a_container_that_stays_down_says_so_and_heals_when_it_is_started() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    ttrss.container.stop();
    let message = ttrss.daemon.wait_reason("ttrss", "ResolvedRefs", "ContainerStopped", PATIENCE);
    assert!(message.contains("`php`"), "{message}");
    ttrss.daemon.wait_reason("ttrss", "Ready", "ContainerStopped", PATIENCE);
    assert_eq!(ttrss.daemon.condition("ttrss", "Programmed").unwrap().0, "True", "the generation is served all the same");
    let answer = ttrss.get("/ttrss/");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(ttrss.get("/ttrss/style.css").text(), CSS, "its root is a directory of the host");
    ttrss.container.start();
    ttrss.wait_status("/ttrss/", 200);
    ttrss.daemon.wait_condition("ttrss", "Ready", PATIENCE);
}

#[test]
fn a_socket_that_appears_in_the_container_is_noticed_and_used_at_once() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let socket = format!("/proc/{}/root{PHP_SOCKET}", ttrss.container.pid().unwrap());
    let mut healed: Vec<(Duration, Duration)> = Vec::new();
    // One time out of some, for the machine may be busy with other tests.
    while !healed.iter().any(|(answered, ready)| *answered < AT_ONCE && *ready < AT_ONCE) {
        assert!(healed.len() < 10, "answered, and ready, so long after the socket had accepted a connection: {healed:?}");
        ttrss.container.stop_php();
        ttrss.wait_status("/ttrss/", 503);
        ttrss.daemon.wait_reason("ttrss", "ResolvedRefs", "SocketNotFound", PATIENCE);
        // The pauses between looks without an event have grown beyond what is measured.
        let missing = Instant::now();
        until("the pauses have grown", || (missing.elapsed() > Duration::from_millis(1400)).then_some(()));
        healed.push(std::thread::scope(|scope| {
            scope.spawn(|| ttrss.container.start_php());
            while UnixStream::connect(&socket).is_err() {
                assert!(missing.elapsed() < PATIENCE, "php-fpm does not start");
                std::thread::park_timeout(Duration::from_micros(500));
            }
            let accepted = Instant::now();
            let mut agent = Agent::connect(ttrss.daemon.address());
            while agent.get("/ttrss/", HOST).0 != 200 {
                assert!(accepted.elapsed() < PATIENCE, "it does not heal");
            }
            let answered = accepted.elapsed();
            ttrss.daemon.wait_condition("ttrss", "Ready", PATIENCE);
            // Starting `lxcproxy get` is part of this; the next look without an event would come a second later.
            (answered, accepted.elapsed())
        }));
    }
}

#[test]
fn a_container_that_stops_touches_nothing_of_another() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let lxcpath = LxcPath::new();
    let other = Container::new(Spec { lxcpath: Some(lxcpath), php_fpm: true, ..Spec::default() });
    other.write("/var/www/ttrss/index.php", INDEX);
    other.start();
    let container = format!("container: {{name: {}, path: {}}}", other.name(), other.lxcpath().display());
    let manifest =
        MANIFEST.replace("container: ttrss", &container).replace("name: ttrss}", "name: other}").replace(HOST, "other.example.org");
    ttrss.daemon.manifest("other.yaml", &manifest);
    ttrss.daemon.wait_condition("other", "Ready", PATIENCE);
    let before = ttrss.daemon.apps()["ttrss"].clone();

    let stop = AtomicBool::new(false);
    let tally = std::thread::scope(|scope| {
        let tally = scope.spawn(|| ask(&ttrss.daemon, "/ttrss/", is_index, &stop));
        let stopping = Stop(&stop);
        other.stop();
        ttrss.daemon.wait_reason("other", "ResolvedRefs", "ContainerStopped", PATIENCE);
        let answer = ttrss.daemon.request("/ttrss/").host("other.example.org").send();
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("app: other"), "{}", answer.text());
        other.start();
        ttrss.daemon.wait_condition("other", "Ready", PATIENCE);
        drop(stopping);
        tally.join().unwrap()
    });
    assert!(tally.keys().eq(["right"]), "{tally:#?}");
    assert_eq!(ttrss.daemon.apps()["ttrss"], before, "no condition has moved");
}
