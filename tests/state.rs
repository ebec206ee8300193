//! A state directory that fails under a running daemon: what is served stays, new generations are served, and it is said.
//!
//! Each test runs itself again in a mount namespace of its own, where it puts a small file system in the directory's place.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::site::Site;
use crate::support::{needs, run};

const ALONE: &str = "LXCPROXY_TEST_ALONE";
const HOST: &str = "site.example.org";

/// Runs an ignored test of this file, with mounts of its own.
fn with_own_mounts(test: &str) {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("state::{test}"), "--ignored", "--nocapture"]).env(ALONE, "1");
    let said = run(&mut command);
    assert!(said.contains("1 passed"), "{said}");
}

fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// A daemon whose state is on a file system of its own.
struct Alone(Daemon);

impl Alone {
    /// It serves version 1, with 256 KiB for its state.
    fn with_little_space(site: &Site) -> Self {
        let mut alone = Self(Daemon::builder().manifest("site.yaml", &site.version("site", HOST, "1")).start());
        alone.0.kill9();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(alone.0.state_dir()));
        alone.0.restart();
        alone.0.wait_condition("site", "Ready", PATIENCE);
        alone
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.kill9();
        // A directory on which something is mounted can't be removed.
        let _ = Command::new("umount").arg(self.0.state_dir()).output();
    }
}

fn fill(file: &Path) {
    let mut file = fs::File::create(file).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
}

/// A new version is served although it can't be kept, and one line says so, with this cause.
fn serves_what_it_cannot_keep(daemon: &mut Daemon, site: &Site, cause: &str) {
    let complaints = |daemon: &Daemon| daemon.log().lines().filter(|line| line.contains("state can't be kept")).count();
    let before = complaints(daemon);
    daemon.manifest("site.yaml", &site.version("site", HOST, "2"));
    serves(daemon, "2");
    daemon.wait_log(PATIENCE, |line| line.contains("state can't be kept") && line.contains(cause) && line.contains("\"app\":\"site\""));
    daemon.manifest("site.yaml", &site.version("site", HOST, "3"));
    serves(daemon, "3");
    daemon.wait_condition("site", "Ready", PATIENCE);
    let event = told(daemon, "StateNotKept");
    assert!(event["type"] == "Warning" && event["count"] == 1 && event["message"].as_str().unwrap().contains(cause), "{event}");
    assert_eq!(complaints(daemon), before + 1, "once is enough: {}", daemon.log());
    // The directory says what is to be served; only what nobody could keep is lost.
    daemon.restart();
    serves(daemon, "3");
}

/// Kept again: a broken manifest after a kill changes nothing any more.
fn keeps_again(daemon: &mut Daemon, site: &Site) {
    daemon.manifest("site.yaml", &site.version("site", HOST, "4"));
    serves(daemon, "4");
    daemon.wait_log(PATIENCE, |line| line.contains("state is kept again"));
    assert_eq!(told(daemon, "StateKept")["type"], "Normal");
    daemon.kill9();
    daemon.manifest("site.yaml", "kind: [");
    daemon.restart();
    daemon.wait_reason("site", "Programmed", "LastKnownGood", PATIENCE);
    serves(daemon, "4");
}

/// The one event of this reason.
fn told(daemon: &Daemon, reason: &str) -> Value {
    daemon.eventually(PATIENCE, || {
        let said = run(&mut daemon.cli(&["events", "--for", "app/site", "-o", "json"]));
        let events: Value = serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
        let found: Vec<_> = events["items"].as_array().into_iter().flatten().filter(|event| event["reason"] == reason).collect();
        if let [event] = found[..] { Ok(event.clone()) } else { Err(said) }
    })
}

fn serves(daemon: &Daemon, version: &str) {
    daemon.eventually(PATIENCE, || {
        let answer = daemon.request("/").host(HOST).send();
        if answer.status == 200 && answer.header("x-version") == version { Ok(()) } else { Err(format!("{answer:?}, not {version}")) }
    });
}

#[test]
fn a_full_disk_costs_the_memory_and_nothing_else() {
    needs!(root, unshare, mount);
    with_own_mounts("on_a_full_disk");
}

#[test]
#[ignore = "needs mounts of its own: it is run by the test above"]
fn on_a_full_disk() {
    if !is_alone() {
        return;
    }
    let site = Site::new("hello");
    let mut alone = Alone::with_little_space(&site);
    let daemon = &mut alone.0;
    let filler = daemon.state_dir().join("filler");
    fill(&filler);
    serves_what_it_cannot_keep(daemon, &site, "No space left on device");
    fs::remove_file(&filler).unwrap();
    keeps_again(daemon, &site);
}

#[test]
fn a_read_only_disk_costs_the_memory_and_nothing_else() {
    needs!(root, unshare, mount);
    with_own_mounts("on_a_read_only_disk");
}

#[test]
#[ignore = "needs mounts of its own: it is run by the test above"]
fn on_a_read_only_disk() {
    if !is_alone() {
        return;
    }
    let site = Site::new("hello");
    let mut alone = Alone::with_little_space(&site);
    let daemon = &mut alone.0;
    let remount = |daemon: &Daemon, how: &str| run(Command::new("mount").args(["-o", how]).arg(daemon.state_dir()));
    remount(daemon, "remount,ro");
    serves_what_it_cannot_keep(daemon, &site, "Read-only file system");
    remount(daemon, "remount,rw");
    keeps_again(daemon, &site);
}

#[test]
fn damaged_and_foreign_files_in_the_state_directory_are_said_and_change_nothing_else() {
    let site = Site::new("hello");
    let good = site.version("site", HOST, "1");
    let mut daemon = Daemon::builder().manifest("site.yaml", &good).start();
    serves(&daemon, "1");
    let apps = daemon.state_dir().join("apps");
    let record = fs::read(apps.join("site.json")).unwrap();
    for (name, content) in [("foreign.json", &b"{}"[..]), ("No Name.json", &record), ("README", b"hands off"), ("cut.json", &record[..99])]
    {
        fs::write(apps.join(name), content).unwrap();
    }
    fs::create_dir(apps.join("directory.json")).unwrap();
    fs::write(apps.join("site.json"), &record[..record.len() / 2]).unwrap();
    daemon.restart();
    serves(&daemon, "1");
    for name in ["foreign.json", "No Name.json", "cut.json", "directory.json", "site.json"] {
        daemon.wait_log(PATIENCE, |line| line.contains("ERROR") && line.contains(&format!("/apps/{name} ")));
        assert!(apps.join(format!("{name}.corrupt")).exists(), "{name}");
    }
    assert_eq!(fs::read(apps.join("README")).unwrap(), b"hands off");
    assert_eq!(fs::read(apps.join("site.json.corrupt")).unwrap(), record[..record.len() / 2]);
    assert!(apps.join("site.json").exists(), "and a new record is there");
}
