//! Bytes -> a file that holds all of them, or what it held before.
//!
//! In: a directory, a path in it, bytes. Out: a durable file, or none. Never: a half-written one under its own name, whenever the process or
//! the power dies.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = ".";
const SUFFIX: &str = ".tmp";

/// What was just done; the process may die after each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The temporary file is there, empty.
    Created,
    /// A part of the bytes is in it.
    HalfWritten,
    /// All bytes are in it.
    Written,
    /// They are on the disk.
    FileSynced,
    /// It has its own name.
    Renamed,
    /// It is gone.
    Removed,
    /// And that is on the disk, too.
    DirectorySynced,
}

/// Replaces the file's content. On an error the file is untouched and the temporary one is removed.
pub(super) fn replace(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(dir, path);
    let done = steps(dir, &temporary, path, bytes, &mut |_| Ok(()));
    if done.is_err() {
        // Also what frees the space on a full disk; it is not there any more if only the last step failed.
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// Removes the file.
pub(super) fn remove(dir: &Path, path: &Path) -> io::Result<()> {
    steps_of_removal(dir, path, &mut |_| Ok(()))
}

/// Makes names that came or went durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether a name is that of a temporary file.
pub(super) fn is_leftover(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// In the same directory: a rename over a file system's border is a copy. One name per file, so that leftovers don't add up.
fn temporary(dir: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    dir.join(format!("{PREFIX}{name}{SUFFIX}"))
}

/// The steps, in the one order that is safe. `after` is the seam for the tests: an error stops everything, as a kill does.
fn steps(dir: &Path, temporary: &Path, path: &Path, bytes: &[u8], after: &mut dyn FnMut(Step) -> io::Result<()>) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    after(Step::Created)?;
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    after(Step::HalfWritten)?;
    file.write_all(rest)?;
    after(Step::Written)?;
    file.sync_all()?;
    after(Step::FileSynced)?;
    fs::rename(temporary, path)?;
    after(Step::Renamed)?;
    sync_directory(dir)?;
    after(Step::DirectorySynced)
}

fn steps_of_removal(dir: &Path, path: &Path, after: &mut dyn FnMut(Step) -> io::Result<()>) -> io::Result<()> {
    fs::remove_file(path)?;
    after(Step::Removed)?;
    sync_directory(dir)?;
    after(Step::DirectorySynced)
}

#[cfg(test)]
mod tests;
