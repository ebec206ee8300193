//! `lxcproxy validate`: manifest files -> everything that is wrong with them, without a daemon.
//!
//! In: files and directories. Out: every error, for people or for machines, and a sum. Never: a look at containers or sockets; those come
//! and go.

mod findings;
mod sarif;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

pub(super) use self::findings::Findings;
use super::input::Input;
use super::{Failure, print, render, warn_user};
use crate::api::v1::API_VERSION;

/// Check manifests without a daemon: exit code 0 if all are good, 1 if one is invalid, 2 if one can't be read
///
/// Of a directory, the files are checked that a daemon would read. Two manifests of one name are an error if they are in one PATH.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lxcproxy validate ttrss.yaml
  lxcproxy validate /etc/lxcproxy.d
  lxcproxy validate manifests -o sarif > lxcproxy.sarif")]
pub(super) struct Validate {
    /// Files, and directories of manifests; `-` is standard input.
    #[arg(required_unless_present = "more", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The same, as kubectl takes them.
    #[arg(short = 'f', long = "filename", value_name = "PATH", num_args = 1..)]
    more: Vec<PathBuf>,
    /// In which form errors are shown.
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people: each error with its line, on standard error.
    Text,
    /// One line an error, `FILE:LINE:COLUMN: FIELD: what is wrong; hint`, on standard error.
    Short,
    /// For programs: an object with `diagnostics`, on standard output.
    Json,
    /// For code scanning: SARIF 2.1.0, on standard output.
    Sarif,
}

impl Validate {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let findings = Findings::of(&Input::read(&[self.paths.as_slice(), self.more.as_slice()].concat()));
        match self.output {
            Output::Text => findings.show(render::on_stderr()),
            Output::Short => findings.lines().for_each(|line| warn_user(&line)),
            Output::Json => print(&format!("{:#}\n", report(&findings))).map_err(Failure::Failed)?,
            Output::Sarif => print(&format!("{:#}\n", sarif::log(&findings))).map_err(Failure::Failed)?,
        }
        let all_well = |valid| match self.output {
            Output::Text | Output::Short => print(&format!("{} valid\n", count(valid, "manifest"))).map_err(Failure::Failed),
            Output::Json | Output::Sarif => Ok(()),
        };
        verdict(&findings).map_or_else(|| all_well(findings.valid), Err)
    }
}

/// What went wrong as a whole, if anything did.
fn verdict(findings: &Findings) -> Option<Failure> {
    let all = findings.valid + findings.invalid;
    let verb = if findings.invalid == 1 || all == 1 { "is" } else { "are" };
    let invalid = || format!("{} of {} {verb} invalid", findings.invalid, count(all, "manifest"));
    match findings.unread.len() {
        0 if findings.invalid == 0 => None,
        0 => Some(Failure::Failed(anyhow!(invalid()))),
        unread if all == 0 => Some(Failure::Usage(anyhow!("{} can't be checked", count(unread, "path")))),
        unread => Some(Failure::Usage(anyhow!("{} can't be checked; {}", count(unread, "path"), invalid()))),
    }
}

/// The same for programs.
fn report(findings: &Findings) -> Value {
    let diagnostics: Vec<_> = findings.found.iter().map(|found| &found.error).collect();
    let unread: Vec<_> = findings.unread.iter().map(|unread| json!({"file": unread.file, "message": unread.why})).collect();
    json!({
        "apiVersion": API_VERSION,
        "kind": "ValidationReport",
        "valid": findings.valid,
        "invalid": findings.invalid,
        "diagnostics": diagnostics,
        "unreadable": unread,
    })
}

pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_says_how_many() {
        assert_eq!((count(1, "path"), count(2, "path")), ("1 path".to_owned(), "2 paths".to_owned()));
        assert!(verdict(&Findings { valid: 3, ..Findings::default() }).is_none());
        assert!(matches!(verdict(&Findings { valid: 3, invalid: 1, ..Findings::default() }), Some(Failure::Failed(_))));
    }

    #[test]
    fn what_is_not_there_is_a_usage_error() {
        let findings = Findings::of(&Input::read(&["/nonexistent/x.yaml".into()]));
        assert!(matches!(verdict(&findings), Some(Failure::Usage(_))));
        let empty = tempfile::tempdir().unwrap();
        let findings = Findings::of(&Input::read(&[empty.path().to_owned()]));
        assert!(matches!(verdict(&findings), Some(Failure::Usage(_))), "a directory without manifests is a mistake");
    }

    #[test]
    fn the_report_for_programs_has_every_field_of_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.yaml"), "apiVersion: lxcproxy.dev/v1\nkind: Ap\n").unwrap();
        let report = report(&Findings::of(&Input::read(&[dir.path().to_owned(), dir.path().join("none")])));
        assert_eq!((&report["kind"], &report["valid"], &report["invalid"]), (&json!("ValidationReport"), &json!(0), &json!(1)));
        let error = &report["diagnostics"][0];
        assert_eq!((&error["line"], &error["column"], &error["field"]), (&json!(2), &json!(7), &json!("kind")));
        assert_eq!((&error["hint"], &error["excerpt"]["text"]), (&json!("did you mean `App`?"), &json!("kind: Ap")));
        assert!(report["unreadable"][0]["file"].as_str().is_some_and(|file| file.ends_with("/none")));
    }
}
