//! The command line as its user meets it: what is printed, where, and the exit code.

mod change;
mod describe;
mod diff;
mod events;
mod explain;
mod get;
mod offline;
mod validate;
mod wait;
mod watch;

use std::fs;
use std::process::Command;

use crate::support::cli::{Said, lxcproxy, repository, said};
use crate::support::daemon::LXCPROXY;

/// A manifest with nothing wrong in it.
const GOOD: &str = "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: good}
spec:
  rules:
  - files: {root: /www}
";

/// A directory with files in it.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = crate::support::scratch();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn the_committed_schemas_are_those_that_are_printed() {
    for kind in ["app", "gateway", "openapi"] {
        let committed = fs::read_to_string(repository().join(format!("schemas/{kind}.v1.json"))).unwrap();
        assert_eq!(lxcproxy(&["schema", kind]), Said::well(&committed), "lxcproxy schema {kind} > schemas/{kind}.v1.json");
    }
    assert_eq!(lxcproxy(&["schema", "pod"]).code, 2);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let script = format!("{LXCPROXY} schema app | true; echo ${{PIPESTATUS[0]}}");
    assert_eq!(said(Command::new("bash").args(["-c", &script])), Said::well("0\n"));
}
