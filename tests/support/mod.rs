//! What the tests stand on: the real daemon, real containers, real peers; what they need of the machine, and how they wait.
//!
//! A test that needs something says so in its first line: `needs!(lxc, root);`. Where that is missing the test fails, unless the
//! environment variable `LXCPROXY_TEST_WITHOUT` (comma separated) names it; then it is left out, and says so.

#![allow(dead_code, reason = "a harness offers more than one test asks for")]

pub mod cli;
pub mod curl;
pub mod daemon;
pub mod gateway;
pub mod haproxy;
pub mod keepalive;
pub mod log;
pub mod lxc;
pub mod lxd;
pub mod netns;
pub mod nginx;
pub mod nspawn;
pub mod openmetrics;
pub mod recorder;
pub mod responder;
pub mod site;
pub mod strace;
pub mod unix;

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

pub use daemon::PATIENCE;
use netns::Netns;
use tempfile::TempDir;

/// Leaves the test out if one of these is missing and may be: `lxc`, `lxd`, `nspawn`, `machined`, `root`, `php-fpm`, `php`, `disk`
/// (temporary files on ext4, XFS or Btrfs, which are read at hand; an overlay is not), or a program's name.
macro_rules! needs {
    ($($what:ident),+ $(,)?) => {
        if $crate::support::left_out(module_path!(), &[$(stringify!($what)),+]) {
            return;
        }
    };
}
pub(crate) use needs;

/// Whether the test is to be left out. Panics if something is missing that nobody excused. `_` in a name stands for `-`.
pub fn left_out(test: &str, needs: &[&str]) -> bool {
    let excused = std::env::var("LXCPROXY_TEST_WITHOUT").unwrap_or_default();
    let excused: Vec<&str> = excused.split(',').map(str::trim).collect();
    for need in needs.iter().map(|need| need.replace('_', "-")) {
        if excused.contains(&need.as_str()) {
            let thread = std::thread::current();
            let line = format!("{}: left out, it needs {need}", thread.name().unwrap_or(test));
            eprintln!("{line}");
            if let Some(file) = std::env::var_os("LXCPROXY_TEST_SKIPPED") {
                let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
                writeln!(file, "{line}").unwrap();
            }
            return true;
        }
        assert!(is_there(&need), "this test needs {need}; install it, or leave the test out with LXCPROXY_TEST_WITHOUT={need}");
    }
    false
}

fn is_there(need: &str) -> bool {
    match need {
        "root" => rustix::process::geteuid().is_root(),
        "lxc" => ["lxc-start", "lxc-info", "lxc-monitor", "lxc-attach", "lxc-stop"].iter().all(|tool| on_path(tool)),
        "lxd" => ["lxd", "lxc", "setpriv", "unshare", "tar"].iter().all(|tool| on_path(tool)),
        "nspawn" => ["systemd-nspawn", "nsenter"].iter().all(|tool| on_path(tool)),
        "machined" => on_path("dbus-daemon") && std::path::Path::new(nspawn::MACHINED).is_file(),
        "php-fpm" => on_path("php-fpm8.2"),
        "php" => on_path("php8.2"),
        "disk" => rustix::fs::statfs(std::env::temp_dir()).is_ok_and(|about| [0xEF53, 0x5846_5342, 0x9123_683E].contains(&about.f_type)),
        program => on_path(program),
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|directory| std::path::Path::new(directory).join(program).is_file())
}

/// A new directory for temporary files. Its name begins with `lxcproxy-test-PID-`: `tests/sweep` finds what a killed run has left.
pub fn scratch() -> TempDir {
    tempfile::Builder::new().prefix(&format!("lxcproxy-test-{}-", std::process::id())).tempdir().unwrap()
}

/// The same in memory: a file system that cannot hang wherever the tests run. Others may be an overlay, of which nobody knows.
pub fn scratch_in_memory() -> TempDir {
    tempfile::Builder::new().prefix(&format!("lxcproxy-test-{}-", std::process::id())).tempdir_in("/dev/shm").unwrap()
}

/// Waits for a condition, and panics if it is not there in time.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let look = || condition().ok_or_else(|| what.to_owned());
    daemon::eventually(PATIENCE, look).unwrap_or_else(|problem| panic!("{problem}"))
}

/// [`until`], without blocking the other tasks of the test.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let attempts = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, attempts).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// The value of a future that has to be ready soon.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Runs a program to its end, and panics with what it said if it failed. Returns its standard output.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// A program, in a network namespace or here.
pub fn program(netns: Option<&Netns>, program: &str) -> Command {
    netns.map_or_else(|| Command::new(program), |netns| netns.command(program))
}
