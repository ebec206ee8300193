//! `lxcproxy diff`: what would change in the running daemon, and an exit code that says whether anything would.

use std::fs;

use super::get::site;
use crate::support::cli::{Said, said};
use crate::support::daemon::{Daemon, PATIENCE};

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

/// `diff PATHS`, in a directory of the daemon's own that holds these files.
fn diff(daemon: &Daemon, files: &[(&str, &str)], args: &[&str]) -> Said {
    let work = daemon.scratch().join("work");
    fs::create_dir_all(&work).unwrap();
    for (name, text) in files {
        fs::write(work.join(name), text).unwrap();
    }
    said(daemon.cli(&[&["diff"], args].concat()).current_dir(work))
}

#[test]
fn nothing_to_change_is_exit_code_0() {
    let daemon = daemon();
    let same = format!("# as it is\n{}", site("blog", "blog.example.org"));
    assert_eq!(diff(&daemon, &[("blog.yaml", &same)], &["blog.yaml"]), Said::well(""));
    assert_eq!(diff(&daemon, &[], &["-f", "../manifests"]), Said::well(""));
}

#[test]
fn a_change_is_shown_by_field_and_is_exit_code_1() {
    let daemon = daemon();
    let said = diff(&daemon, &[("blog.yaml", &site("blog", "new.example.org"))], &["blog.yaml"]);
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    assert!(said.out.starts_with("diff live/app/blog blog.yaml\n--- live/app/blog\n+++ blog.yaml\n@@ "), "{}", said.out);
    let changed: Vec<_> = said.out.lines().skip(3).filter(|line| line.starts_with(['+', '-'])).map(str::trim_end).collect();
    assert_eq!(changed, ["-  - blog.example.org", "+  - new.example.org"], "{}", said.out);
}

#[test]
fn what_comes_and_what_goes_is_shown() {
    let daemon = daemon();
    let new = site("new", "new.example.org");
    let part = diff(&daemon, &[("new.yaml", &new)], &["new.yaml"]);
    assert!(part.code == 1 && part.out.contains("--- /dev/null\n+++ new.yaml\n") && !part.out.contains("wiki"), "{part:?}");
    let whole = diff(&daemon, &[("blog.yaml", &site("blog", "blog.example.org"))], &["."]);
    assert_eq!(whole.code, 1);
    assert!(whole.out.contains("--- live/app/wiki\n+++ /dev/null\n") && whole.out.contains("+++ ./new.yaml\n"), "{}", whole.out);
    assert!(!whole.out.contains("app/blog"), "{}", whole.out);
}

#[test]
fn what_can_not_be_compared_is_exit_code_2() {
    let daemon = daemon();
    let invalid = diff(&daemon, &[("bad.yaml", "kind: [")], &["bad.yaml"]);
    assert_eq!((invalid.code, invalid.out.as_str()), (2, ""));
    assert!(invalid.err.contains(" --> bad.yaml:1:7\n") && invalid.err.ends_with("a manifest is invalid\n"), "{}", invalid.err);
    assert_eq!(diff(&daemon, &[], &["missing.yaml"]).code, 2);
    let alone = diff(&daemon, &[("blog.yaml", &site("blog", "x.org"))], &["blog.yaml"]);
    assert_eq!(alone.code, 1);
    drop(daemon);
    let dir = crate::support::scratch();
    fs::write(dir.path().join("a.yaml"), site("blog", "x.org")).unwrap();
    let nobody = crate::support::cli::lxcproxy_in(dir.path(), &["diff", "a.yaml", "--admin", "none.sock"]);
    assert!(nobody.code == 2 && nobody.err.contains("is `lxcproxy run` running?"), "{nobody:?}");
}
