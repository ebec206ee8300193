//! The command line as its user meets it: what is printed, where, and the exit code.

mod get;
mod wait;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::cli::{Said, lxcproxy, lxcproxy_in, repository, said};
use crate::support::daemon::LXCPROXY;

const GOOD: &str = "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: good}
spec:
  rules:
  - files: {root: /www}
";

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
fn a_good_file_is_valid() {
    let dir = directory(&[("good.yaml", GOOD)]);
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "good.yaml"]), Said::well("1 manifest valid\n"));
}

#[test]
fn every_mistake_of_a_file_is_a_line() {
    let dir = directory(&[("good.yaml", GOOD), ("bad.yaml", &GOOD.replace("root: /www", "rot: /www").replace("good", "Bad"))]);
    let lines = "bad.yaml:3:18: metadata.name: `Bad` is not a DNS label; expected 1 to 63 of a-z, 0-9 and `-`, with no `-` at either end
bad.yaml:6:13: spec.rules[0].files.rot: unknown field `rot`; did you mean `root`?
error: 1 of 2 manifests is invalid
";
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "good.yaml", "bad.yaml"]), Said::failed(1, lines));
}

#[test]
fn of_a_directory_the_manifests_are_checked_that_a_daemon_would_read() {
    let broken = "oops: [";
    let dir = directory(&[
        ("m/a.yaml", GOOD),
        ("m/sub/two.yml", &format!("{}---\n{}", GOOD.replace("good", "second"), GOOD.replace("good", "third"))),
        ("m/.hidden.yaml", broken),
        ("m/a.yaml~", broken),
        ("m/a.yaml.dpkg-old", broken),
        ("m/README", broken),
    ]);
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "m"]), Said::well("3 manifests valid\n"));
    fs::write(dir.path().join("m/b.json"), "{").unwrap();
    fs::write(dir.path().join("m/sub/taken.yaml"), GOOD).unwrap();
    let lines = "m/b.json:1:1: not YAML: unclosed bracket '{'
m/sub/taken.yaml:1:1: metadata.name: there is another App `good` at m/a.yaml:1; give one of them another name
error: 2 of 5 manifests are invalid
";
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "m"]), Said::failed(1, lines));
}

#[test]
fn what_can_not_be_read_is_exit_code_2_whatever_else_is_wrong() {
    let dir = directory(&[("bad.yaml", "oops: ["), ("empty/.keep", "")]);
    let missing = Said::failed(2, "no.yaml: No such file or directory (os error 2)\nerror: 1 path can't be checked\n");
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "no.yaml"]), missing);
    let none = "empty: holds no manifest (*.yaml, *.yml, *.json)\nerror: 1 path can't be checked\n";
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "empty"]), Said::failed(2, none));
    let both = "bad.yaml:1:7: not YAML: unclosed bracket '['
no.yaml: No such file or directory (os error 2)
error: 1 path can't be checked; 1 of 1 manifest is invalid
";
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "bad.yaml", "no.yaml"]), Said::failed(2, both));
    assert_eq!(lxcproxy(&["validate"]).code, 2);
}

#[test]
fn every_invalid_fixture_fails_with_the_words_beside_it() {
    let fixtures = repository().join("tests/fixtures/invalid");
    let names = fs::read_dir(&fixtures).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let errors: Vec<_> = names.filter(|name| name.ends_with(".errors")).collect();
    assert!(errors.len() > 50, "{errors:?}");
    for name in errors {
        let lines = fs::read_to_string(fixtures.join(&name)).unwrap();
        let manifest = name.replace(".errors", ".yaml");
        let said = lxcproxy_in(&fixtures, &["validate", &manifest]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{manifest}");
        let told = said.err.rsplit_once("error: ").map(|(told, _)| told.trim_end());
        assert_eq!(told, Some(lines.trim_end()), "{manifest}");
    }
}

#[test]
fn the_samples_are_valid_together_and_alone() {
    assert_eq!(lxcproxy(&["validate", "manifests"]), Said::well("4 manifests valid\n"));
    for sample in fs::read_dir(repository().join("manifests")).unwrap() {
        let path = sample.unwrap().path();
        assert_eq!(lxcproxy(&["validate", path.to_str().unwrap()]), Said::well("1 manifest valid\n"), "{}", path.display());
    }
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
    assert_eq!(commands, ["run", "validate", "schema", "get", "wait", "demo", "version"]);
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

#[test]
fn a_file_with_an_absolute_path_is_named_by_it() {
    let dir = directory(&[("bad.yaml", "")]);
    let path = dir.path().join("bad.yaml");
    let lines = format!("{}:1:1: the file is empty\nerror: 1 of 1 manifest is invalid\n", path.display());
    assert_eq!(lxcproxy_in(Path::new("/"), &["validate", path.to_str().unwrap()]), Said::failed(1, &lines));
}
