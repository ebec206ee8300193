//! Where the lines of the access log go: a file that may be renamed, or standard output.
//!
//! In: batches of lines. Out: bytes, appended. Never: a second word about the same trouble.

#![allow(clippy::disallowed_methods, reason = "the log is a file of the host, named on the command line")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// An open log.
#[derive(Debug)]
pub(super) struct Output {
    /// None: standard output.
    path: Option<PathBuf>,
    file: File,
    /// The last write has failed, and that was said.
    failing: bool,
}

impl Output {
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = match path {
            Some(path) => append_to(path)?,
            // Not std's own handle: its buffer would keep what could not be written.
            None => io::stdout().as_fd().try_clone_to_owned()?.into(),
        };
        Ok(Self { path: path.map(Path::to_owned), file, failing: false })
    }

    /// Opens the path again; the file that was open stays if that fails.
    pub(super) fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append_to(path) {
            Ok(file) => self.file = file,
            Err(error) => tracing::error!("the access log {} can't be opened again: {error}", path.display()),
        }
    }

    /// Writes lines; `false`: they are lost.
    pub(super) fn write(&mut self, lines: &[u8]) -> bool {
        let result = self.file.write_all(lines);
        if let Err(error) = &result
            && !self.failing
        {
            tracing::error!("the access log can't be written: {error}; lines are lost until it can");
        }
        self.failing = result.is_err();
        !self.failing
    }
}

/// Readable by the owner and the group: it holds the addresses of people.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}
