//! `lxcproxy validate`: manifest files -> everything that is wrong with them, without a daemon.
//!
//! In: files and directories. Out: one line per error, and a sum. Never: a look at containers or sockets; those come and go.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::{Failure, print, warn_user};
use crate::manifest::{self, Document, Kind, Parsed};
use crate::source;

/// Check manifests without a daemon: exit code 0 if all are good, 1 if one is invalid, 2 if one can't be read
///
/// Of a directory, the files are checked that a daemon would read. Two manifests of one name are an error if they are in one PATH.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lxcproxy validate ttrss.yaml\n  lxcproxy validate /etc/lxcproxy.d")]
pub(super) struct Validate {
    /// Files, and directories of manifests.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// What was found, over all files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    /// Manifests without an error.
    valid: usize,
    /// Manifests with errors, and files that hold none.
    invalid: usize,
    /// Files and directories that can't be read.
    unread: usize,
    /// A line for each thing that is wrong.
    lines: Vec<String>,
}

impl Validate {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let mut findings = Findings::default();
        for path in &self.paths {
            findings.check(path);
        }
        for line in &findings.lines {
            warn_user(line);
        }
        findings.verdict()
    }
}

impl Findings {
    /// Checks a file, or a directory and the names that are used in it.
    #[allow(clippy::disallowed_methods, reason = "a path that the user named, on the user's own rights")]
    fn check(&mut self, path: &Path) {
        let mut names = HashMap::new();
        if !path.is_dir() {
            return match read(path) {
                Ok(text) => self.file(path, &text, &mut names),
                Err(error) => self.unread(path, &error.to_string()),
            };
        }
        let listing = source::list(path);
        for content in listing.files.values() {
            match &content.bytes {
                Ok(text) => self.file(&content.path, text, &mut names),
                Err(why) => self.unread(&content.path, why),
            }
        }
        for (directory, why) in &listing.unread {
            self.unread(&path.join(directory), why);
        }
        if let Some(problem) = &listing.problem {
            self.unread += 1;
            self.lines.push(problem.to_string());
        } else if listing.files.is_empty() && listing.unread.is_empty() {
            self.unread(path, "holds no manifest (*.yaml, *.yml, *.json)");
        }
    }

    fn file(&mut self, path: &Path, text: &[u8], names: &mut HashMap<(Kind, String), String>) {
        let file = path.display().to_string();
        let parsed = manifest::parse(&file, text);
        self.lines.extend(parsed.errors().map(ToString::to_string));
        let Parsed { documents, errors } = &parsed;
        if !errors.is_empty() {
            self.invalid += 1;
        }
        for document in documents {
            match taken(&file, document, names) {
                Some(conflict) => {
                    self.invalid += 1;
                    self.lines.push(conflict.to_string());
                }
                None if document.result.is_ok() => self.valid += 1,
                None => self.invalid += 1,
            }
        }
    }

    fn unread(&mut self, path: &Path, why: &str) {
        self.unread += 1;
        self.lines.push(format!("{}: {why}", path.display()));
    }

    fn verdict(&self) -> Result<(), Failure> {
        let all = self.valid + self.invalid;
        let invalid = || match self.invalid {
            1 => format!("1 of {} is invalid", count(all, "manifest")),
            invalid => format!("{invalid} of {} are invalid", count(all, "manifest")),
        };
        match self {
            Self { unread: 0, invalid: 0, .. } => print(&format!("{} valid\n", count(all, "manifest"))).map_err(Failure::Failed),
            Self { unread: 0, .. } => Err(Failure::Failed(anyhow!(invalid()))),
            Self { unread, .. } if all == 0 => Err(Failure::Usage(anyhow!("{} can't be checked", count(*unread, "path")))),
            Self { unread, .. } => Err(Failure::Usage(anyhow!("{} can't be checked; {}", count(*unread, "path"), invalid()))),
        }
    }
}

/// The text of a file that was named. A byte more than allowed is enough to know that it is too long.
#[allow(clippy::disallowed_methods, reason = "a file that the user named, on the user's own rights")]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(source::MAX_FILE + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// What a daemon would call `NameConflict`.
fn taken(file: &str, document: &Document, names: &mut HashMap<(Kind, String), String>) -> Option<manifest::Error> {
    let key = (document.kind?, document.name.clone()?);
    let place = format!("{file}:{}", document.line);
    let Some(first) = names.get(&key) else {
        names.insert(key, place);
        return None;
    };
    Some(manifest::Error {
        file: file.to_owned(),
        line: document.line,
        column: 1,
        field: "metadata.name".to_owned(),
        message: format!("there is another {} `{}` at {first}", key.0, key.1),
        hint: Some("give one of them another name".to_owned()),
        unsupported: false,
        excerpt: None,
    })
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> String {
        format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  rules: [{{files: {{root: /www}}}}]\n")
    }

    fn check(files: &[(&str, &str)]) -> Findings {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut findings = Findings::default();
        findings.check(dir.path());
        findings
    }

    #[test]
    fn good_manifests_are_counted() {
        let findings = check(&[("a.yaml", &app("a")), ("b.yaml", &format!("{}---\n{}", app("b"), app("c")))]);
        assert_eq!(findings, Findings { valid: 3, ..Findings::default() });
        assert!(findings.verdict().is_ok());
        assert_eq!((count(1, "path"), count(2, "path")), ("1 path".to_owned(), "2 paths".to_owned()));
    }

    #[test]
    fn a_bad_manifest_is_named_with_line_and_column() {
        let findings = check(&[("good.yaml", &app("good")), ("bad.yaml", "oops: [")]);
        assert_eq!((findings.valid, findings.invalid, findings.unread), (1, 1, 0));
        assert!(findings.lines.iter().all(|line| line.contains("/bad.yaml:1:")), "{:?}", findings.lines);
        assert!(matches!(findings.verdict(), Err(Failure::Failed(_))));
    }

    #[test]
    fn a_name_that_is_used_twice_is_said_with_both_places() {
        let findings = check(&[("a.yaml", &app("same")), ("b.yaml", &app("same"))]);
        assert_eq!((findings.valid, findings.invalid), (1, 1));
        let line = &findings.lines[0];
        assert!(line.contains("/b.yaml:1:1: metadata.name: ") && line.contains("/a.yaml:1"), "{line}");
    }

    #[test]
    fn what_is_not_there_is_a_usage_error() {
        let mut findings = Findings::default();
        findings.check(Path::new("/nonexistent/x.yaml"));
        assert!(matches!(findings.verdict(), Err(Failure::Usage(_))));
        assert!(matches!(check(&[]).verdict(), Err(Failure::Usage(_))), "a directory without manifests is a mistake");
    }
}
