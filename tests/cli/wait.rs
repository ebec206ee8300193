//! `lxcproxy wait`: the moment at which something holds, or a line that says what holds instead.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::get::site;
use crate::support::cli::{Said, said};
use crate::support::daemon::{Daemon, PATIENCE, eventually};

const FOREVER: &str = "--timeout=1h";

fn wait(daemon: &Daemon, args: &[&str]) -> Said {
    said(&mut daemon.cli(&[&["wait"], args].concat()))
}

/// A `wait` that goes on while the test does something; it ends with the test.
struct Waiting(Child);

impl Waiting {
    fn start(daemon: &Daemon, args: &[&str]) -> Self {
        let mut command = daemon.cli(&[&["wait"], args].concat());
        Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn goes_on(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn ends(mut self) -> Said {
        eventually(PATIENCE, || if self.goes_on() { Err("it still waits".to_owned()) } else { Ok(()) }).unwrap();
        let mut said = Said { code: self.0.wait().unwrap().code().unwrap(), out: String::new(), err: String::new() };
        self.0.stdout.as_mut().unwrap().read_to_string(&mut said.out).unwrap();
        self.0.stderr.as_mut().unwrap().read_to_string(&mut said.err).unwrap();
        said
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn daemon() -> Daemon {
    let daemon = Daemon::builder().manifest("blog.yaml", &site("blog", "blog.example.org")).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    daemon
}

#[test]
fn what_holds_already_is_not_waited_for() {
    let daemon = daemon();
    for condition in ["Ready", "Ready=true", "Accepted=True", "Conflicted=false"] {
        let said = wait(&daemon, &["app/blog", &format!("--for=condition={condition}"), "--timeout=0s"]);
        assert_eq!(said, Said::well("app.lxcproxy.dev/blog condition met\n"), "{condition}");
    }
}

#[test]
fn a_timeout_is_exit_code_1_and_says_what_holds_instead() {
    let daemon = daemon();
    let began = Instant::now();
    let said = wait(&daemon, &["app/blog", "--for=condition=Ready=false", "--timeout=300ms"]);
    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let line = "error: timed out waiting for the condition on apps/blog: Ready is True: everything is in order\n";
    assert_eq!(said, Said::failed(1, line));
    let line = "error: timed out waiting for the condition on apps/nobody: there is none of that name\n";
    assert_eq!(wait(&daemon, &["app/nobody", "--for=condition=Ready", "--timeout=0s"]), Said::failed(1, line));
}

#[test]
fn an_app_is_waited_for_before_it_is_there() {
    let daemon = daemon();
    let mut waiting = Waiting::start(&daemon, &["app/late", "--for=condition=Ready", FOREVER]);
    // Not ready at first: its root is not there.
    daemon.manifest("late.yaml", &site("late", "late.example.org").replace("/manifests", "/missing"));
    daemon.wait_reason("late", "Ready", "RootNotFound", PATIENCE);
    assert!(waiting.goes_on());
    std::fs::create_dir(daemon.scratch().join("missing")).unwrap();
    assert_eq!(waiting.ends(), Said::well("app.lxcproxy.dev/late condition met\n"));
}

#[test]
fn a_break_and_its_repair_can_be_waited_for() {
    let daemon = daemon();
    let waiting = Waiting::start(&daemon, &["app/blog", "--for=condition=Ready=false", FOREVER]);
    daemon.manifest("blog.yaml", "oops: [");
    assert_eq!(waiting.ends(), Said::well("app.lxcproxy.dev/blog condition met\n"));
    let line = "error: timed out waiting for the condition on apps/blog: Ready is False, Invalid: Accepted: blog.yaml:1:7: not YAML: \
                unclosed bracket '['; separate entries by `,`, and close each `[` with `]` and each `{` with `}`\n";
    assert_eq!(wait(&daemon, &["app/blog", "--for=condition=Ready", "--timeout=0s"]), Said::failed(1, line));
    let waiting = Waiting::start(&daemon, &["app/blog", "--for=condition=Ready", FOREVER]);
    daemon.manifest("blog.yaml", &site("blog", "blog.example.org"));
    assert_eq!(waiting.ends(), Said::well("app.lxcproxy.dev/blog condition met\n"));
}

#[test]
fn of_two_manifests_of_one_name_the_app_is_meant() {
    let daemon = daemon();
    daemon.manifest("a-second.yaml", &site("blog", "second.example.org"));
    daemon.eventually(PATIENCE, || match said(&mut daemon.cli(&["get", "apps", "--no-headers"])).out.lines().count() {
        2 => Ok(()),
        count => Err(format!("{count} rows")),
    });
    let said = |condition| wait(&daemon, &["app/blog", condition, "--timeout=0s"]);
    assert_eq!(said("--for=condition=Ready"), Said::well("app.lxcproxy.dev/blog condition met\n"));
    assert_eq!(said("--for=condition=Accepted=false").code, 1);
}

#[test]
fn a_wait_right_behind_a_change_is_about_the_change() {
    let daemon = daemon();
    let now = |condition: &str| wait(&daemon, &["app/blog", &format!("--for=condition={condition}"), "--timeout=1h"]);
    for turn in 0..5 {
        // What is served is ready; what is written is not.
        daemon.manifest("blog.yaml", &site("blog", "blog.example.org").replace("/manifests", "/missing"));
        assert_eq!(now("ResolvedRefs=false"), Said::well("app.lxcproxy.dev/blog condition met\n"), "{turn}");
        daemon.manifest("blog.yaml", &site("blog", "blog.example.org").replace("rules", "rule"));
        assert_eq!(now("Accepted=false"), Said::well("app.lxcproxy.dev/blog condition met\n"), "{turn}");
        daemon.manifest("blog.yaml", &site("blog", &format!("v{turn}.example.org")));
        assert_eq!(now("Ready"), Said::well("app.lxcproxy.dev/blog condition met\n"), "{turn}");
        let host = &daemon.apps()["blog"]["spec"]["hostnames"][0];
        assert_eq!(*host, format!("v{turn}.example.org"), "Ready was said of an older version");
    }
}

#[test]
fn the_creation_and_the_end_of_an_app_can_be_waited_for() {
    let daemon = daemon();
    assert_eq!(wait(&daemon, &["app/nobody", "--for=delete", "--timeout=0s"]), Said::well(""), "as with kubectl");
    let waiting = Waiting::start(&daemon, &["app/late", "app/blog", "--for=create", FOREVER]);
    daemon.manifest("late.yaml", &site("late", "late.example.org"));
    assert_eq!(waiting.ends(), Said::well("app.lxcproxy.dev/late condition met\napp.lxcproxy.dev/blog condition met\n"));
    let line = "error: timed out waiting for the condition on apps/late: it is still there\n";
    assert_eq!(wait(&daemon, &["app/late", "--for=delete", "--timeout=0s"]), Said::failed(1, line));
    daemon.wait_condition("late", "Ready", PATIENCE);
    daemon.remove_manifest("late.yaml");
    let said = wait(&daemon, &["app/late", "--for=delete", FOREVER]);
    assert!(said == Said::well("app.lxcproxy.dev/late condition met\n") || said == Said::well(""), "{said:?}");
    assert!(!daemon.apps().contains_key("late"));
}

#[test]
fn a_daemon_that_goes_away_ends_the_wait() {
    let mut daemon = daemon();
    let mut waiting = Waiting::start(&daemon, &["app/nobody", "--for=condition=Ready", FOREVER]);
    assert!(waiting.goes_on());
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait_exit(PATIENCE).success());
    let said = waiting.ends();
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    // It was told by the end of its connection, or, if it came late, by a daemon that is about to end.
    let told = ["error: ", "Error from server (ServiceUnavailable): "].iter().any(|begin| said.err.starts_with(begin));
    assert!(told && said.err.lines().count() == 1, "{}", said.err);
}

#[test]
fn a_wait_that_makes_no_sense_is_a_usage_error_that_shows_the_form() {
    let daemon = daemon();
    for (args, form) in [
        (["blog", "--for=condition=Ready"], "app/ttrss"),
        (["pod/blog", "--for=condition=Ready"], "expected apps"),
        (["event/blog.1", "--for=condition=Ready"], "app/NAME"),
        (["app/blog", "--for=Ready"], "condition=TYPE"),
        (["app/blog", "--for=condition=Redy"], "Ready"),
    ] {
        let said = wait(&daemon, &args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        assert!(said.err.contains(form), "{}", said.err);
    }
    let said = wait(&daemon, &["app/blog", "--for=condition=Ready", "--timeout=30"]);
    assert!(said.code == 2 && said.err.contains("`300s`"), "{said:?}");
}
