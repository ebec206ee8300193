//! `lxcproxy get --watch`: a line for each change, across a restart of the daemon.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::get::site;
use crate::support::daemon::{Daemon, PATIENCE, eventually};
use crate::support::log::Log;

/// A command that goes on while the test does something; it ends with the test.
pub(super) struct Running {
    child: Child,
    out: Arc<Log>,
    err: Arc<Log>,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (Arc::<Log>::default(), Arc::<Log>::default());
        out.follow(child.stdout.take().unwrap());
        err.follow(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Waits for a line that satisfies, from this one on.
    pub(super) fn line(&self, from: usize, wanted: impl Fn(&str) -> bool) -> String {
        self.out.wait(from, PATIENCE, &wanted).unwrap_or_else(|problem| panic!("{problem}: {:?}, {:?}", self.out.lines(), self.err.lines()))
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.out.lines()
    }

    /// Ctrl-C, and its exit code.
    pub(super) fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.ended()
    }

    /// Its exit code, when it has ended by itself.
    pub(super) fn ended(&mut self) -> Option<i32> {
        let ended = eventually(PATIENCE, || self.child.try_wait().unwrap().ok_or_else(|| "it goes on".to_owned()));
        ended.unwrap_or_else(|problem| panic!("{problem}: {:?}", self.out.lines())).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn daemon() -> Daemon {
    let daemon = Daemon::builder()
        .manifest("blog.yaml", &site("blog", "blog.example.org"))
        .manifest("wiki.yaml", &site("wiki", "wiki.example.org"))
        .start();
    for app in ["blog", "wiki"] {
        daemon.wait_condition(app, "Ready", PATIENCE);
    }
    daemon
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn first_comes_what_is_there_then_a_line_for_each_change_until_ctrl_c() {
    let daemon = daemon();
    let watch = Running::start(daemon.cli(&["get", "apps", "--watch", "--output-watch-events"]));
    watch.line(0, |line| words(line).starts_with(&["ADDED", "wiki", "True"]));
    assert_eq!(words(&watch.lines()[0])[..3], ["EVENT", "NAME", "READY"]);
    assert_eq!(watch.lines().len(), 3);
    daemon.manifest("blog.yaml", "oops: [");
    watch.line(3, |line| words(line).starts_with(&["MODIFIED", "blog", "False", "Invalid"]));
    daemon.remove_manifest("wiki.yaml");
    watch.line(3, |line| words(line).starts_with(&["DELETED", "wiki"]));
    assert_eq!(watch.interrupt(), Some(1), "as kubectl exits");
}

#[test]
fn a_restart_of_the_daemon_does_not_end_it_and_nothing_is_said_twice() {
    let mut daemon = daemon();
    let watch = Running::start(daemon.cli(&["get", "apps", "-w", "--no-headers"]));
    watch.line(0, |line| words(line).starts_with(&["wiki", "True"]));
    daemon.manifest("blog.yaml", &site("blog", "second.example.org"));
    daemon.eventually(PATIENCE, || match daemon.apps()["blog"]["metadata"]["generation"].as_u64() {
        Some(2) => Ok(()),
        other => Err(format!("generation {other:?}")),
    });
    daemon.wait_condition("blog", "Ready", PATIENCE);
    watch.line(2, |line| words(line)[..4] == ["blog", "True", "Ready", "2"]);
    let before = watch.lines().len();
    daemon.restart();
    daemon.manifest("late.yaml", &site("late", "late.example.org"));
    watch.line(before, |line| words(line).starts_with(&["late", "True"]));
    let again: Vec<_> = watch.lines()[before..].iter().filter(|line| words(line)[0] == "wiki").cloned().collect();
    assert_eq!(again, Vec::<String>::new(), "wiki is what it was");
}

#[test]
fn with_a_name_only_that_object_is_watched_and_json_is_whole_objects() {
    let daemon = daemon();
    let watch = Running::start(daemon.cli(&["get", "app/blog", "-w", "-o", "json"]));
    watch.line(0, |line| line == "}");
    daemon.manifest("wiki.yaml", "oops: [");
    daemon.wait_reason("wiki", "Accepted", "Invalid", PATIENCE);
    let before = watch.lines().len();
    daemon.manifest("blog.yaml", "oops: [");
    watch.line(before, |line| line == "}");
    let text = watch.lines().join("\n");
    let objects: Vec<Value> = serde_json::Deserializer::from_str(&text).into_iter().map_while(Result::ok).collect();
    assert!(objects.len() >= 2 && objects.iter().all(|app| app["metadata"]["name"] == "blog"), "{text}");
    let mut nobody = Running::start(daemon.cli(&["get", "apps", "nobody", "blog", "-w"]));
    assert_eq!(nobody.ended(), Some(1));
}
