//! The process: signals, drain, flags.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::daemon::{Daemon, PATIENCE, eventually};
use crate::support::lxc::LxcPath;
use crate::support::needs;
use crate::support::recorder::Recorder;

/// A drain without a limit of its own takes half a minute.
const DRAIN: Duration = Duration::from_secs(20);

#[test]
fn sigterm_lets_a_request_in_flight_finish_and_takes_no_new_connection() {
    let (proceed, wait) = channel();
    let wait = Mutex::new(wait);
    let backend = Recorder::answering(move |_, stream| {
        wait.lock().unwrap().recv_timeout(PATIENCE).is_ok()
            && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndone\n").is_ok()
    });
    let mut daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("")).start();
    let address = daemon.address();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let _ = backend.next();
    daemon.signal(Signal::TERM);
    eventually(PATIENCE, || match TcpStream::connect(address) {
        Err(_) => Ok(()),
        Ok(_) => Err("it still accepts".to_owned()),
    })
    .unwrap();
    proceed.send(()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("done\n"), "{answer}");
    assert!(daemon.wait_exit(PATIENCE).success());
}

#[test]
fn a_second_sigterm_stops_at_once() {
    let backend = Recorder::answering(|_, stream| std::io::copy(stream, &mut std::io::sink()).is_ok());
    let mut daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("")).start();
    let address = daemon.address();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let _ = backend.next();
    let began = Instant::now();
    daemon.signal(Signal::TERM);
    daemon.wait_log(PATIENCE, |line| line.contains("draining"));
    daemon.signal(Signal::TERM);
    daemon.wait_exit(PATIENCE);
    assert!(began.elapsed() < DRAIN, "{:?}", began.elapsed());
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let backend = Recorder::answering(|_, stream| std::io::copy(stream, &mut std::io::sink()).is_ok());
    let mut daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("")).arg("--drain-timeout").arg("300ms").start();
    let mut client = TcpStream::connect(daemon.address()).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let _ = backend.next();
    let began = Instant::now();
    daemon.signal(Signal::TERM);
    daemon.wait_exit(PATIENCE);
    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < DRAIN, "{:?}", began.elapsed());
}

#[test]
fn sighup_lists_again() {
    let backend = Recorder::new();
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("")).start();
    daemon.signal(Signal::HUP);
    daemon.wait_log(PATIENCE, |line| line.contains("SIGHUP"));
    assert_eq!(daemon.get("/").status, 200);
}

#[test]
fn sighup_says_nothing_of_what_has_not_changed() {
    let backend = Recorder::new();
    let broken = "kind: App\nmetadata: {name: broken}\n";
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("")).manifest("broken.yaml", broken).start();
    let changes = || daemon.log().lines().filter(|line| line.contains("\"condition\"") && !line.contains("marker.yaml")).count();
    // Programmed and Ready of both, Ready and Watching of the source.
    let all = || if changes() >= 6 { Ok(changes()) } else { Err(daemon.log()) };
    let before = daemon.eventually(PATIENCE, all);
    assert_eq!(before, 6, "{}", daemon.log());
    for round in 1..4 {
        daemon.signal(Signal::HUP);
        daemon.eventually(PATIENCE, || match daemon.log().matches("SIGHUP: listing again").count() {
            count if count == round => Ok(()),
            count => Err(format!("{count} of {round}")),
        });
        // When this is said, all that was listed before is taken.
        daemon.manifest("marker.yaml", &format!("kind: round-{round}\n"));
        daemon.wait_log(PATIENCE, |line| line.contains(&format!("round-{round}")));
    }
    assert_eq!(changes(), before, "{}", daemon.log());
}

#[test]
fn settings_come_from_the_environment_too() {
    let daemon =
        Daemon::builder().env("LXCPROXY_THREADS", "3").env("LXCPROXY_DRAIN_TIMEOUT", "1s").env("LXCPROXY_ALLOW_EMPTY", "true").start();
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let serving =
        threads.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok()).filter(|name| name.starts_with("serve"));
    assert_eq!(serving.count(), 3);
}

#[test]
fn the_control_plane_gives_way_to_the_threads_that_serve() {
    let own = nice(Path::new("/proc/self/stat"));
    let backend = Recorder::new();
    let daemon = Daemon::builder().manifest("app.yaml", &backend.manifest("")).arg("--threads").arg("2").start();
    let threads = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().map(|task| task.unwrap().path());
        // One may end in between.
        tasks.filter_map(|task| Some((fs::read_to_string(task.join("comm")).ok()?.trim_end().to_owned(), nice(&task.join("stat"))?)))
    };
    let having = |name: &str| {
        let mut all: Vec<_> = threads().filter(|(found, _)| found.starts_with(name)).collect();
        all.sort();
        all
    };
    // Its own thread and the one that looks; those that write for it inherit what it has.
    daemon.wait_condition("app", "Ready", PATIENCE);
    let control = having("control");
    assert!(control.len() >= 2 && control.iter().all(|(_, nice)| *nice == 10), "{control:?}");
    assert_eq!(having("serve"), [0, 1].map(|number| (format!("serve-{number}"), own.unwrap())));
}

/// What nice(1) has added for a process or thread: proc_pid_stat(5), field 19. The name before it may hold anything.
fn nice(stat: &Path) -> Option<i32> {
    let text = fs::read_to_string(stat).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(16)?.parse().ok()
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = crate::support::scratch();
    let mut command = std::process::Command::new(crate::support::daemon::LXCPROXY);
    command.args(["run", "--listen", &address, "--manifests"]).arg(dir.path());
    command.arg("--state-dir").arg(dir.path().join("state")).arg("--admin").arg(dir.path().join("admin.sock"));
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: ") && said.contains(&address), "{said}");
}

#[test]
fn the_limit_of_open_files_is_raised_to_what_is_allowed() {
    let dir = crate::support::scratch();
    let mut command = std::process::Command::new("prlimit");
    command.args(["--nofile=200:3000", "setpriv", "--pdeathsig", "KILL", "--", crate::support::daemon::LXCPROXY, "run"]);
    command.args(["--listen", "127.0.0.1:0", "--manifests"]).arg(dir.path());
    command.arg("--state-dir").arg(dir.path().join("state")).arg("--admin").arg(dir.path().join("admin.sock"));
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let limit = eventually(PATIENCE, || {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default().to_owned();
        let soft = files.split_whitespace().nth(3).unwrap_or_default().to_owned();
        if soft == "3000" { Ok(()) } else { Err(files) }
    });
    child.kill().unwrap();
    child.wait().unwrap();
    limit.unwrap();
}

#[test]
fn a_killed_daemon_leaves_no_child_behind() {
    needs!(lxc);
    let manifest = Recorder::new().manifest("").replace("spec:\n", "spec:\n  container: lxcproxy-test-none\n");
    let lxcpath = LxcPath::new();
    let mut daemon = Daemon::builder().manifest("app.yaml", &manifest).lxcpath(lxcpath.path()).start();
    let pid = daemon.pid();
    // Of any of its threads.
    let children = || {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let texts = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        texts.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let is_monitor = |child: &String| std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "lxc-monitor\n");
    let monitor = daemon.eventually(PATIENCE, || children().into_iter().find(is_monitor).ok_or_else(|| "no lxc-monitor yet".to_owned()));
    daemon.kill9();
    eventually(PATIENCE, || if is_monitor(&monitor) { Err(format!("{monitor} still runs")) } else { Ok(()) }).unwrap();
}
