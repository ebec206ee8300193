//! Bytes -> a file that holds all of them, or what it held before.
//!
//! In: a directory, a path in it, bytes. Out: a durable file. Never: a half-written one under its own name, whenever the process or
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::App;
    use crate::state::{Record, Store, file, tests};

    const STEPS: [Step; 6] = [Step::Created, Step::HalfWritten, Step::Written, Step::FileSynced, Step::Renamed, Step::DirectorySynced];

    /// Saves as the store does, and stops after a step without a word or a clean-up.
    fn save_and_die(dir: &Path, record: &Record<App>, last: Step) {
        let apps = dir.join("apps");
        let path = apps.join(format!("{}.json", record.name));
        let (text, _) = file::encode(record).unwrap();
        let mut die = |step| if step == last { Err(io::Error::other("killed")) } else { Ok(()) };
        assert!(steps(&apps, &temporary(&apps, &path), &path, text.as_bytes(), &mut die).is_err());
    }

    #[test]
    fn a_kill_after_any_step_leaves_the_old_record_or_the_new_one() {
        for (n, step) in STEPS.into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let old = tests::record("seafile");
            Store::open(dir.path()).save(&old).unwrap();
            let new = Record { generation: old.generation + 1, ..old.clone() };
            save_and_die(dir.path(), &new, step);
            let store = Store::open(dir.path());
            let (records, problems) = store.load();
            assert!(problems.is_empty(), "{step:?}: {problems:?}");
            assert_eq!(records, [if n < 4 { old } else { new.clone() }], "{step:?}");
            assert_eq!(fs::read_dir(dir.path().join("apps")).unwrap().count(), 1, "{step:?}: a leftover");
            // And the next save works as if nothing had been.
            let newest = Record { generation: new.generation + 1, ..new };
            store.save(&newest).unwrap();
            assert_eq!(Store::open(dir.path()).load().0, [newest]);
        }
    }

    #[test]
    fn a_kill_during_the_very_first_save_leaves_nothing_or_the_record() {
        for (n, step) in STEPS.into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("apps")).unwrap();
            let record = tests::record("seafile");
            save_and_die(dir.path(), &record, step);
            let (records, problems) = Store::open(dir.path()).load();
            assert!(problems.is_empty(), "{step:?}: {problems:?}");
            assert_eq!(records, if n < 4 { vec![] } else { vec![record] }, "{step:?}");
        }
    }
}
