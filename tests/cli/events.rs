//! `lxcproxy events`: what happened, the oldest first.

use serde_json::Value;

use super::get::site;
use super::watch::Running;
use crate::support::cli::{Said, said};
use crate::support::daemon::{Daemon, PATIENCE};

/// An application that was broken once.
fn daemon() -> Daemon {
    let daemon = Daemon::builder()
        .manifest("blog.yaml", &site("blog", "blog.example.org"))
        .manifest("wiki.yaml", &site("wiki", "wiki.example.org"))
        .start();
    for app in ["blog", "wiki"] {
        daemon.wait_condition(app, "Ready", PATIENCE);
    }
    daemon.manifest("blog.yaml", "oops: [");
    daemon.wait_reason("blog", "Accepted", "Invalid", PATIENCE);
    daemon
}

fn events(daemon: &Daemon, args: &[&str]) -> Said {
    said(&mut daemon.cli(&[&["events"], args].concat()))
}

#[test]
fn what_happened_to_an_object_is_a_line_each() {
    let daemon = daemon();
    let said = events(&daemon, &["--for", "app/blog"]);
    assert!(said.code == 0 && said.out.starts_with("LAST SEEN"), "{said:?}");
    let rows: Vec<_> = said.out.lines().skip(1).collect();
    assert!(
        rows.iter().all(|row| row.contains("App/blog")) && rows.last().is_some_and(|row| row.contains("Warning   Invalid")),
        "{said:?}"
    );
    assert!(events(&daemon, &["--no-headers"]).out.contains("App/wiki"));
    let warnings = events(&daemon, &["--types=Warning", "-o", "json"]);
    let list: Value = serde_json::from_str(&warnings.out).unwrap();
    let items = list["items"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|event| event["type"] == "Warning"), "{warnings:?}");
}

#[test]
fn nothing_that_happened_is_said_and_is_no_error() {
    let daemon = daemon();
    let none = "No events found for app.lxcproxy.dev/nobody.\n";
    assert_eq!(events(&daemon, &["--for", "app/nobody"]), Said { err: none.to_owned(), ..Said::well("") });
    assert_eq!(events(&daemon, &["--for", "blog"]).code, 2);
    assert_eq!(events(&daemon, &["--types=Odd"]).code, 2);
}

#[test]
fn what_happens_is_said_as_it_happens() {
    let daemon = daemon();
    let watch = Running::start(daemon.cli(&["events", "--for=app/wiki", "--watch", "--types=Warning"]));
    daemon.manifest("wiki.yaml", "oops: [");
    let line = watch.line(0, |line| line.contains("App/wiki"));
    assert!(line.contains("Warning"), "{line}");
    assert_eq!(watch.interrupt(), Some(1));
}
