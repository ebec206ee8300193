//! The command line as its user meets it: what is printed, where, and the exit code.

mod change;
mod diff;
mod explain;
mod get;
mod validate;
mod wait;

use std::fs;
use std::process::Command;

use crate::support::cli::{Said, lxcproxy, repository, said};
use crate::support::daemon::LXCPROXY;

/// A directory with files in it.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("lxcproxy-test-").tempdir().unwrap();
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

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("lxcproxy {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(lxcproxy(&["version"]), Said::well(&version));
    assert_eq!(lxcproxy(&["--version"]), Said::well(&version));
}

#[test]
fn the_help_of_every_subcommand_has_an_example_that_is_understood() {
    let help = lxcproxy(&["--help"]);
    let commands: Vec<_> = help.out.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty()).collect();
    let commands: Vec<_> = commands.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(commands, ["run", "validate", "diff", "apply", "delete", "explain", "schema", "get", "wait", "demo", "version"]);
    for command in commands {
        let help = lxcproxy(&[command, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{command}");
        let examples = help.out.split_once("\nExample").map(|(_, examples)| examples.lines().skip(1).map(str::trim)).into_iter().flatten();
        let examples: Vec<_> = examples.filter(|line| !line.is_empty()).collect();
        assert!(!examples.is_empty(), "{command}");
        for example in examples {
            understood(example, command);
        }
    }
    assert_eq!(lxcproxy(&[]).code, 2, "nothing to do is a mistake");
}

/// `--help` at its end stops a command from doing what it says, but not from being parsed.
fn understood(example: &str, command: &str) {
    let words: Vec<_> = example.split(" > ").next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(words[..2], ["lxcproxy", command], "{example}");
    let parsed = lxcproxy(&[&words[1..], &["--help"]].concat());
    assert_eq!((parsed.code, parsed.err.as_str()), (0, ""), "{example}");
}
