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

/// From so many files on, one flush of the file system is cheaper than one of each file: 2,000 new files took 4,003 calls, and
/// now take 15.
/// Below, a change does not wait for what others have written to that file system.
const MANY: usize = 8;

/// Replaces the content of files in a directory, and says of each how that went. On an error the file is untouched and the temporary one
/// is removed. They share the waits for the disk: there is one for the bytes, if they are many, and one for the names.
pub(super) fn replace_all(dir: &Path, files: &[(PathBuf, String)]) -> Vec<io::Result<()>> {
    let temporaries: Vec<_> = files.iter().map(|(path, _)| temporary(dir, path)).collect();
    let done = all_steps(dir, &temporaries, files, &mut |_| Ok(()));
    for (temporary, _) in temporaries.iter().zip(&done).filter(|(_, done)| done.is_err()) {
        // Also what frees the space on a full disk; it is not there any more if only the last step failed.
        let _ = fs::remove_file(temporary);
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

/// What may stop everything after a step, as a kill does: the seam for the tests.
type After<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

/// The steps, in the one order that is safe: each of all files before the next of any.
fn all_steps(dir: &Path, temporaries: &[PathBuf], files: &[(PathBuf, String)], after: After<'_>) -> Vec<io::Result<()>> {
    let few = files.len() < MANY;
    let mut written = Vec::with_capacity(files.len());
    for (temporary, (_, text)) in temporaries.iter().zip(files) {
        // Of many none stays open: there may be more than descriptors.
        written.push(write(temporary, text.as_bytes(), after).map(|file| few.then_some(file)));
    }
    flush(dir, &mut written, after);
    let mut named = Vec::with_capacity(files.len());
    for ((written, temporary), (path, _)) in written.into_iter().zip(temporaries).zip(files) {
        named.push(written.and_then(|_| fs::rename(temporary, path)).and_then(|()| after(Step::Renamed)));
    }
    if named.iter().any(Result::is_ok) {
        let synced = sync_directory(dir).and_then(|()| after(Step::DirectorySynced));
        all_fail_with(&mut named, synced);
    }
    named
}

/// Writes a file that nobody knows of yet.
fn write(temporary: &Path, bytes: &[u8], after: After<'_>) -> io::Result<File> {
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
    Ok(file)
}

/// Waits until the bytes of all files are on the disk: for each of a few, for the whole file system if they are many. That says what
/// could not be written since Linux 5.8 (syncfs(2)).
fn flush(dir: &Path, written: &mut [io::Result<Option<File>>], after: After<'_>) {
    if written.len() < MANY {
        for one in written {
            let Ok(Some(file)) = one else { continue };
            if let Err(error) = file.sync_all().and_then(|()| after(Step::FileSynced)) {
                *one = Err(error);
            }
        }
    } else {
        let synced = File::open(dir).and_then(|dir| Ok(rustix::fs::syncfs(dir)?)).and_then(|()| after(Step::FileSynced));
        all_fail_with(written, synced);
    }
}

/// What concerns all of them: those that were well so far fail with it.
fn all_fail_with<T>(results: &mut [io::Result<T>], all: io::Result<()>) {
    let Err(error) = all else { return };
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        *result = Err(io::Error::new(error.kind(), error.to_string()));
    }
}

fn steps_of_removal(dir: &Path, path: &Path, after: After<'_>) -> io::Result<()> {
    fs::remove_file(path)?;
    after(Step::Removed)?;
    sync_directory(dir)?;
    after(Step::DirectorySynced)
}

#[cfg(test)]
mod tests;
