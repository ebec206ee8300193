//! Manifests that are replaced under load: nothing fails, and the last content is what is served, at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, PATIENCE, eventually};
use crate::support::keepalive::Agent;
use crate::support::site::Site;

const HOST: &str = "site.example.org";

/// `wrk` on one core's worth of connections, until it is asked for its result.
struct Load(Child);

impl Load {
    fn on(daemon: &Daemon) -> Self {
        // On a machine that it shares with the daemon the load takes what is left.
        let mut wrk = Command::new("setpriv");
        wrk.args(["--pdeathsig", "KILL", "--", "nice", "-n", "19", "wrk", "-t1", "-c16", "-d120s", "--timeout", "30s", "-H"])
            .arg(format!("Host: {HOST}"))
            .arg(daemon.url("/"));
        Self(wrk.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Ends it: SIGINT makes wrk print what it has counted.
    fn result(self) -> String {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        String::from_utf8(self.0.wait_with_output().unwrap().stdout).unwrap()
    }
}

/// The four ways of replacing a file. What ends in a close is left to another program: a process that another test is just starting has a copy
/// of every descriptor of this one until it runs its program, and a file that was written is closed only when the last copy is. The daemon waits
/// for that.
fn replace(daemon: &Daemon, round: usize, text: &str) {
    let (file, next) = (daemon.manifests().join("site.yaml"), daemon.scratch().join(format!("version-{round}.yaml")));
    let copy = |options: &[&str]| assert!(Command::new("cp").args(options).arg(&next).arg(&file).status().unwrap().success());
    fs::write(&next, text).unwrap();
    match round % 4 {
        0 => copy(&[]),
        1 => daemon.manifest("site.yaml", text),
        // Deletes and creates.
        2 => copy(&["--remove-destination"]),
        _ => {
            let link = daemon.scratch().join("link");
            symlink(&next, &link).unwrap();
            fs::rename(&link, &file).unwrap();
        }
    }
}

#[test]
fn two_hundred_replacements_under_load_fail_no_request_and_each_is_live_within_200_ms() {
    let site = Site::new("hello");
    let daemon = Daemon::builder().manifest("site.yaml", &site.version("site", HOST, "start")).start();
    daemon.wait_condition("site", "Ready", PATIENCE);
    let load = Load::on(&daemon);
    let mut late = Vec::new();
    for round in 0..200 {
        // In-place writes go through the link that the round before has left: a fresh file first.
        if round % 4 == 0 && round > 0 {
            daemon.manifest("site.yaml", &site.version("site", HOST, &format!("fresh-{round}")));
            wait_for(&daemon, &format!("fresh-{round}"));
        }
        let version = format!("v{round}");
        replace(&daemon, round, &site.version("site", HOST, &version));
        let (missing, queued) = wait_for(&daemon, &version);
        if missing.saturating_sub(queued) > Duration::from_millis(200) {
            late.push((round, missing, queued));
        }
    }
    let result = load.result();
    assert!(!result.contains("Non-2xx") && !result.contains("Socket errors"), "{result}");
    let requests: u64 =
        result.lines().find_map(|line| line.trim().split_once(" requests in")?.0.parse().ok()).unwrap_or_else(|| panic!("{result}"));
    // Many times more on a machine with nothing else to do.
    assert!(requests > 1_000, "{result}");
    assert!(late.is_empty(), "later than 200 ms (round, in all, of which the control plane had no processor): {late:?}");
}

/// Waits until a version is served. How long it was not, for certain; and for how much of it the control plane's threads, on a machine that is busy
/// with other tests, were ready to run without a processor.
fn wait_for(daemon: &Daemon, version: &str) -> (Duration, Duration) {
    let (began, before) = (Instant::now(), queues(daemon));
    let mut missing = Duration::ZERO;
    let mut agent = Agent::connect(daemon.address());
    let served = eventually(PATIENCE, || {
        let asked = began.elapsed();
        let (status, head) = agent.get("/", HOST);
        assert_eq!(status, 200, "{head}");
        if head.contains(&format!("x-version: {version}\r\n")) {
            return Ok(());
        }
        // When this was asked it was not there. How long the answer took is the backend's and our own affair.
        missing = asked;
        Err(format!("not {version} but\n{head}"))
    });
    served.unwrap_or_else(|problem| panic!("{problem}\n{}", daemon.log()));
    let queued = queues(daemon).into_iter().map(|(thread, after)| after.saturating_sub(before.get(&thread).copied().unwrap_or_default()));
    (missing, queued.sum())
}

/// How long each thread of the control plane has been ready to run without a processor, ever.
fn queues(daemon: &Daemon) -> BTreeMap<OsString, Duration> {
    let queue = |task: &Path| {
        let serves = fs::read_to_string(task.join("comm")).ok()?.starts_with("serve-");
        // schedstat: time on a processor, time in its queue, turns. A thread may end meanwhile.
        let stat = fs::read_to_string(task.join("schedstat")).ok().filter(|_| !serves)?;
        Some(Duration::from_nanos(stat.split(' ').nth(1)?.parse().ok()?))
    };
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().map(Result::unwrap);
    tasks.filter_map(|task| Some((task.file_name(), queue(&task.path())?))).collect()
}
