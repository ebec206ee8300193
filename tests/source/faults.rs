//! A manifest directory that is lost, and events that don't come: what is served stays, and a change is served all the same.
//!
//! The limits of inotify are set in a user namespace of the daemon's own (`/proc/sys/user`). The length of the queue is the whole machine's:
//! it is not touched, the daemon is stopped until more has happened than the queue holds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::tree::remove;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::site::Site;
use crate::support::{needs, run};

const HOST: &str = "site.example.org";

/// Starts the daemon below in a user namespace with so many inotify instances and watches.
fn limits(instances: usize, watches: usize) -> [String; 6] {
    let script = format!(
        "echo {instances} >/proc/sys/user/max_inotify_instances && echo {watches} >/proc/sys/user/max_inotify_watches && exec \"$@\""
    );
    ["unshare", "--user", "--map-root-user", "sh", "-c", &script].map(str::to_owned)
}

/// A daemon that serves version 1.
fn start(site: &Site, within: &[String]) -> Daemon {
    let words: Vec<&str> = within.iter().map(String::as_str).chain(within.first().map(|_| "sh")).collect();
    let daemon = Daemon::builder().within(&words).manifest("team/site.yaml", &site.version("site", HOST, "1")).start();
    serves(&daemon, "1");
    daemon
}

fn serves(daemon: &Daemon, version: &str) {
    daemon.eventually(PATIENCE, || {
        let answer = daemon.request("/").host(HOST).send();
        let found = (answer.status, answer.header("x-version"));
        if found == (200, version) { Ok(()) } else { Err(format!("{found:?}, not version {version}")) }
    });
}

fn lines(daemon: &Daemon, text: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains(text)).count()
}

#[test]
fn without_inotify_the_directory_is_polled_and_the_log_says_so_once() {
    needs!(root, unshare);
    let site = Site::new("hello");
    let daemon = start(&site, &limits(0, 0));
    for version in ["2", "3"] {
        daemon.manifest("team/site.yaml", &site.version("site", HOST, version));
        serves(&daemon, version);
    }
    assert_eq!(lines(&daemon, "manifests are polled"), 1, "{}", daemon.log());
    assert!(daemon.log().contains("max_user_instances"), "{}", daemon.log());
}

#[test]
fn above_the_limit_of_watches_the_directory_is_polled_until_there_are_enough() {
    needs!(root, unshare, nsenter);
    let site = Site::new("hello");
    let daemon = start(&site, &limits(100, 1));
    daemon.manifest("team/site.yaml", &site.version("site", HOST, "2"));
    serves(&daemon, "2");
    assert_eq!(lines(&daemon, "manifests are polled"), 1, "{}", daemon.log());
    assert!(daemon.log().contains("max_user_watches"), "{}", daemon.log());
    let raise = "echo 1000 >/proc/sys/user/max_inotify_watches";
    run(Command::new("nsenter").args(["--user", "--target", &daemon.pid().to_string(), "sh", "-c", raise]));
    daemon.wait_log(PATIENCE, |line| line.contains("manifests are watched again"));
    daemon.manifest("team/site.yaml", &site.version("site", HOST, "3"));
    serves(&daemon, "3");
}

#[test]
fn more_events_than_are_queued_lose_no_change() {
    let site = Site::new("hello");
    let daemon = start(&site, &[]);
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    daemon.signal(Signal::STOP);
    let place = daemon.manifests().join("team");
    // Two names in turn: the same event twice in a row is queued once. Each round is 6 events at least.
    for _ in 0..=queue / 6 {
        for name in [".burst", ".other"] {
            fs::write(place.join(name), "").unwrap();
            fs::remove_file(place.join(name)).unwrap();
        }
    }
    // This change has no event any more.
    daemon.manifest("team/site.yaml", &site.version("site", HOST, "2"));
    daemon.signal(Signal::CONT);
    serves(&daemon, "2");
    daemon.wait_log(PATIENCE, |line| line.contains("events were lost"));
    daemon.manifest("team/site.yaml", &site.version("site", HOST, "3"));
    serves(&daemon, "3");
    assert_eq!(lines(&daemon, "manifests are polled"), 1, "{}", daemon.log());
}

/// What it is called, how it is done, what the log says of it.
type Loss<'a> = (&'a str, &'a dyn Fn(), &'a str);

#[test]
fn a_directory_that_is_lost_in_any_way_is_no_deletion_and_is_found_again() {
    let site = Site::new("hello");
    let mut daemon = start(&site, &[]);
    let (root, away) = (daemon.manifests(), daemon.scratch().join("away"));
    let losses: [Loss; 5] = [
        ("missing", &|| fs::rename(&root, &away).unwrap(), "does not exist"),
        ("a file", &|| fs::rename(&root, &away).and_then(|()| fs::write(&root, "")).unwrap(), "Not a directory"),
        ("a dangling link", &|| fs::rename(&root, &away).and_then(|()| symlink("nowhere", &root)).unwrap(), "does not exist"),
        ("a loop", &|| fs::rename(&root, &away).and_then(|()| symlink("manifests", &root)).unwrap(), "symbolic links"),
        ("emptied", &|| copy(&root, &away).and_then(|()| fs::remove_dir_all(root.join("team"))).unwrap(), "directory is empty"),
    ];
    let mut version = 1;
    for (what, lose, said) in losses {
        let before = lines(&daemon, said);
        lose();
        daemon.eventually(PATIENCE, || if lines(&daemon, said) > before { Ok(()) } else { Err(format!("{what}: nothing is said")) });
        serves(&daemon, &version.to_string());
        // Nor is it one for a daemon that starts in the middle of this.
        if what == "emptied" || what == "missing" {
            daemon.restart();
            serves(&daemon, &version.to_string());
        }
        remove(&root);
        fs::rename(&away, &root).unwrap();
        version += 1;
        daemon.manifest("team/site.yaml", &site.version("site", HOST, &version.to_string()));
        serves(&daemon, &version.to_string());
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to.join("team"))?;
    fs::copy(from.join("team/site.yaml"), to.join("team/site.yaml")).map(drop)
}

#[test]
fn a_directory_that_is_unmounted_is_no_deletion_and_is_found_again_when_it_is_mounted() {
    needs!(root, unshare, nsenter, mount);
    let site = Site::new("hello");
    let mounts = ["unshare", "--mount", "--propagation", "private", "--"].map(str::to_owned);
    let words: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let daemon = Daemon::builder().within(&words).start();
    let volume = daemon.scratch().join("volume");
    let root = daemon.manifests();
    fs::create_dir(&volume).unwrap();
    let inside = |program: &str, args: &[&Path]| {
        let mut command = Command::new("nsenter");
        run(command.args(["--mount", "--target", &daemon.pid().to_string(), program]).args(args));
    };
    for version in ["1", "2"] {
        fs::write(volume.join("site.yaml"), site.version("site", HOST, version)).unwrap();
        inside("mount", &[Path::new("--bind"), &volume, &root]);
        serves(&daemon, version);
        let said = lines(&daemon, "directory is empty");
        inside("umount", &[&root]);
        daemon
            .eventually(PATIENCE, || if lines(&daemon, "directory is empty") > said { Ok(()) } else { Err("nothing is said".to_owned()) });
        serves(&daemon, version);
    }
}
