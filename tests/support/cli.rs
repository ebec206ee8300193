//! Arguments -> what the real `lxcproxy` says.
//!
//! In: a subcommand, a directory to stand in. Out: [`Said`]. Never: settings of the caller's environment.

use std::path::Path;
use std::process::Command;

use super::daemon::LXCPROXY;
use super::run;

/// How a program ended, and what it said.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// What has to be there if all is well.
    pub fn well(out: &str) -> Self {
        Self { code: 0, out: out.to_owned(), err: String::new() }
    }

    /// What has to be there if it fails.
    pub fn failed(code: i32, err: &str) -> Self {
        Self { code, out: String::new(), err: err.to_owned() }
    }
}

/// Runs a program to its end.
pub fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8(bytes).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let code = output.status.code().unwrap_or_else(|| panic!("{command:?}: {}", output.status));
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

/// `lxcproxy ARGS...`, run in a directory.
pub fn lxcproxy_in(directory: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(LXCPROXY);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LXCPROXY_")) {
        command.env_remove(name);
    }
    said(command.current_dir(directory).args(args))
}

/// `lxcproxy ARGS...`, run at the top of the repository.
pub fn lxcproxy(args: &[&str]) -> Said {
    lxcproxy_in(repository(), args)
}

/// Copies the program to where other users may run it. By cp(1): what this process has open for writing, a program that another test
/// starts at that moment has open too, and nobody can run it until that one is through (`ETXTBSY`).
pub fn copy_program(to: &Path) {
    run(Command::new("cp").arg(LXCPROXY).arg(to));
}

/// The top of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
