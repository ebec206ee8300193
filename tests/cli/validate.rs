//! `lxcproxy validate`: what is wrong with manifests, for people, for editors, for programs, for code scanning.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{GOOD, directory};
use crate::support::cli::{Said, lxcproxy, lxcproxy_in, repository};
use crate::support::daemon::LXCPROXY;

/// `validate -o short`, run in a directory.
fn short(directory: &Path, paths: &[&str]) -> Said {
    lxcproxy_in(directory, &[&["validate", "-o", "short"], paths].concat())
}

#[test]
fn a_good_file_is_valid() {
    let dir = directory(&[("good.yaml", GOOD)]);
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "good.yaml"]), Said::well("1 manifest valid\n"));
}

#[test]
fn every_mistake_of_a_file_is_shown_as_rustc_shows_one() {
    let dir = directory(&[("good.yaml", GOOD), ("bad.yaml", &GOOD.replace("root: /www", "rot: /www").replace("good", "Bad"))]);
    let shown = "\
error: `Bad` is not a DNS label
 --> bad.yaml:3:18
  |
3 | metadata: {name: Bad}
  |                  ^^^ metadata.name
  |
  = hint: expected 1 to 63 of a-z, 0-9 and `-`, with no `-` at either end; did you mean `bad`?

error: unknown field `rot`
 --> bad.yaml:6:13
  |
6 |   - files: {rot: /www}
  |             ^^^ spec.rules[0].files.rot
  |
  = hint: did you mean `root`?

error: 1 of 2 manifests is invalid
";
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "good.yaml", "bad.yaml"]), Said::failed(1, shown));
    let lines = "bad.yaml:3:18: metadata.name: `Bad` is not a DNS label; expected 1 to 63 of a-z, 0-9 and `-`, with no `-` at either end; \
                 did you mean `bad`?
bad.yaml:6:13: spec.rules[0].files.rot: unknown field `rot`; did you mean `root`?
error: 1 of 2 manifests is invalid
";
    assert_eq!(short(dir.path(), &["good.yaml", "bad.yaml"]), Said::failed(1, lines));
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
    let lines = "m/b.json:1:1: not YAML: unclosed bracket '{'; separate entries by `,`, and close each `[` with `]` and each `{` with `}`
m/sub/taken.yaml:3:18: metadata.name: there is another App `good` at m/a.yaml:3; give one of them another name
error: 2 of 5 manifests are invalid
";
    assert_eq!(short(dir.path(), &["m"]), Said::failed(1, lines));
}

#[test]
fn what_can_not_be_read_is_exit_code_2_whatever_else_is_wrong() {
    let dir = directory(&[("bad.yaml", ""), ("empty/.keep", "")]);
    let missing = Said::failed(2, "error: no.yaml: No such file or directory (os error 2)\nerror: 1 path can't be checked\n");
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "no.yaml"]), missing);
    let none = "error: empty: holds no manifest (*.yaml, *.yml, *.json)\nerror: 1 path can't be checked\n";
    assert_eq!(lxcproxy_in(dir.path(), &["validate", "empty"]), Said::failed(2, none));
    let both = "bad.yaml:1:1: the file is empty; write a manifest into it, or remove the file
no.yaml: No such file or directory (os error 2)
error: 1 path can't be checked; 1 of 1 manifest is invalid
";
    assert_eq!(short(dir.path(), &["bad.yaml", "no.yaml"]), Said::failed(2, both));
    assert_eq!(lxcproxy(&["validate"]).code, 2);
    assert_eq!(lxcproxy(&["validate", "x.yaml", "-o", "xml"]).code, 2);
}

#[test]
fn every_invalid_fixture_fails_with_the_words_beside_it() {
    let fixtures = repository().join("tests/fixtures/invalid");
    let names = fs::read_dir(&fixtures).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let errors: Vec<_> = names.filter(|name| name.ends_with(".errors")).collect();
    assert!(errors.len() >= 105, "{errors:?}");
    for name in errors {
        let lines = fs::read_to_string(fixtures.join(&name)).unwrap();
        let manifest = name.replace(".errors", ".yaml");
        let said = short(&fixtures, &[&manifest]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{manifest}");
        let told = said.err.rsplit_once("error: ").map(|(told, _)| told.trim_end());
        assert_eq!(told, Some(lines.trim_end()), "{manifest}");
    }
}

#[test]
fn a_directory_of_bad_manifests_gives_each_its_place_and_its_line() {
    let said = lxcproxy(&["validate", "tests/fixtures/invalid"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.trim_end().lines().last().is_some_and(|sum| sum.ends_with(" are invalid")), "{}", said.err);
    let (mut files, mut shown) = (0, 0);
    for entry in fs::read_dir(repository().join("tests/fixtures/invalid")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".yaml") {
            files += 1;
            assert!(said.err.contains(&format!(" --> tests/fixtures/invalid/{name}.yaml:")), "{name}");
        }
    }
    for block in said.err.split("\n\n").filter(|block| block.contains(" --> ")) {
        shown += 1;
        assert!(block.starts_with("error: ") && block.contains('^'), "{block}");
        assert!(block.contains("\n  = hint: ") || block.contains("= hint: ") || block.contains("expected "), "no cure:\n{block}");
    }
    assert!(files >= 105 && shown > files, "{files} files, {shown} errors");
    assert!(!said.err.contains(['\u{1b}', '\u{202e}', '\u{0}']), "what a manifest holds does not reach the terminal");
}

#[test]
fn a_program_gets_every_field_of_an_error() {
    let dir = directory(&[("good.yaml", GOOD), ("bad.yaml", &GOOD.replace("root: /www", "rot: /www").replace("good", "bad"))]);
    let said = lxcproxy_in(dir.path(), &["validate", "-o", "json", "good.yaml", "bad.yaml"]);
    assert_eq!((said.code, said.err.as_str()), (1, "error: 1 of 2 manifests is invalid\n"));
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let expected = json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "ValidationReport", "valid": 1, "invalid": 1, "unreadable": [],
        "diagnostics": [{
            "file": "bad.yaml", "line": 6, "column": 13, "field": "spec.rules[0].files.rot",
            "message": "unknown field `rot`", "hint": "did you mean `root`?",
            "excerpt": {"text": "  - files: {rot: /www}", "start": 12, "width": 3},
        }],
    });
    assert_eq!(report, expected);
    let said = lxcproxy_in(dir.path(), &["validate", "-o", "json", "good.yaml"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["diagnostics"], json!([]));
}

#[test]
fn code_scanning_gets_sarif() {
    let said = lxcproxy(&["validate", "-o", "sarif", "tests/fixtures/invalid"]);
    assert_eq!(said.code, 1);
    let log: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&log["version"], &log["runs"][0]["tool"]["driver"]["name"]), (&json!("2.1.0"), &json!("lxcproxy")));
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert!(results.len() > 105);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().starts_with("tests/fixtures/invalid/"), "{result}");
        let region = |field: &str| place["region"][field].as_u64().unwrap();
        assert!(region("startLine") >= 1 && region("startColumn") >= 1 && region("endColumn") > region("startColumn"), "{result}");
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{result}");
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{result}");
    }
}

#[test]
fn standard_input_is_a_file_as_well() {
    let mut command = Command::new(LXCPROXY);
    command.args(["validate", "-", "-o", "short"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"kind: App\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.starts_with("<stdin>:1:1: missing field `apiVersion`; always `lxcproxy.dev/v1`\n"), "{err}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn colours_come_when_they_are_forced_and_go_when_nobody_wants_them() {
    let dir = directory(&[("bad.yaml", "oops\n")]);
    let err = |name: &str, value: &str| {
        let mut command = Command::new(LXCPROXY);
        let command = command.current_dir(dir.path()).env_remove("NO_COLOR").env(name, value).args(["validate", "bad.yaml"]);
        crate::support::cli::said(command).err
    };
    assert!(err("CLICOLOR_FORCE", "1").contains("\u{1b}["));
    assert!(!err("NO_COLOR", "1").contains('\u{1b}') && !err("X", "").contains('\u{1b}'));
}

#[test]
fn the_samples_are_valid_together_and_alone() {
    assert_eq!(lxcproxy(&["validate", "manifests"]), Said::well("5 manifests valid\n"));
    for sample in fs::read_dir(repository().join("manifests")).unwrap() {
        let path = sample.unwrap().path();
        assert_eq!(lxcproxy(&["validate", path.to_str().unwrap()]), Said::well("1 manifest valid\n"), "{}", path.display());
    }
}

#[test]
fn a_file_with_an_absolute_path_is_named_by_it() {
    let dir = directory(&[("bad.yaml", "")]);
    let path = dir.path().join("bad.yaml");
    let said = lxcproxy_in(Path::new("/"), &["validate", path.to_str().unwrap()]);
    assert!(said.err.contains(&format!(" --> {}:1:1\n", path.display())), "{}", said.err);
}
