//! Manifests that are replaced under load: nothing fails, and the last content is what is served, at once.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, LOOK_AGAIN, PATIENCE, eventually};
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

/// The four ways of replacing a file.
fn replace(daemon: &Daemon, round: usize, text: &str) {
    let file = daemon.manifests().join("site.yaml");
    match round % 4 {
        0 => fs::write(&file, text).unwrap(),
        1 => daemon.manifest("site.yaml", text),
        2 => {
            fs::remove_file(&file).unwrap();
            fs::write(&file, text).unwrap();
        }
        _ => {
            let target = daemon.scratch().join(format!("version-{round}.yaml"));
            fs::write(&target, text).unwrap();
            let link = daemon.scratch().join("link");
            symlink(&target, &link).unwrap();
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
        let (took, stalled) = wait_for(&daemon, &version);
        if took.saturating_sub(stalled) > Duration::from_millis(200) {
            late.push((round, took, stalled));
        }
    }
    let result = load.result();
    assert!(!result.contains("Non-2xx") && !result.contains("Socket errors"), "{result}");
    let requests: u64 =
        result.lines().find_map(|line| line.trim().split_once(" requests in")?.0.parse().ok()).unwrap_or_else(|| panic!("{result}"));
    // Many times more on a machine with nothing else to do.
    assert!(requests > 1_000, "{result}");
    assert!(late.is_empty(), "later than 200 ms (round, in all, of which there was no processor for it): {late:?}");
}

/// Waits until a version is served. How long that took; and how much of it the machine, busy with other tests, let this thread sleep
/// longer than it asked for, or kept the daemon's threads waiting for a processor.
fn wait_for(daemon: &Daemon, version: &str) -> (Duration, Duration) {
    let (began, mut stalled, mut rested) = (Instant::now(), Duration::ZERO, None::<Instant>);
    let queued = queued(daemon);
    let mut agent = crate::support::keepalive::Agent::connect(daemon.address());
    let served = eventually(PATIENCE, || {
        stalled += rested.map_or(Duration::ZERO, |since| since.elapsed().saturating_sub(LOOK_AGAIN));
        let (status, head) = agent.get("/", HOST);
        assert_eq!(status, 200, "{head}");
        rested = Some(Instant::now());
        if head.contains(&format!("x-version: {version}\r\n")) { Ok(()) } else { Err(format!("not {version} but\n{head}")) }
    });
    served.unwrap_or_else(|problem| panic!("{problem}\n{}", daemon.log()));
    (began.elapsed(), stalled + self::queued(daemon).saturating_sub(queued))
}

/// How long the daemon's threads have been ready to run without a processor, ever, all together.
fn queued(daemon: &Daemon) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    // schedstat: time on a processor, time in its queue, turns. A thread may end meanwhile.
    let stats = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("schedstat")).ok());
    stats.filter_map(|stat| Some(Duration::from_nanos(stat.split(' ').nth(1)?.parse().ok()?))).sum()
}
