//! Bytes -> a file that holds all of them, or what it held before.
//!
//! In: a directory's descriptor, a name in it. Out: a durable file with the mode and owner of the one before. Never: a half-written one under
//! a name that is read; a link that somebody has planted.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// What the new text is called until it is whole. Readers skip names that start with a dot. There is one at a time, under the directory's
/// lock: what is found is left over from a kill.
const TEMPORARY: &str = ".lxcproxy.tmp";
/// Of a new file: everybody may read it.
const NEW: u32 = 0o644;
/// Of a mode that is kept: who may do what, not what kind of file it is.
const PERMISSIONS: u32 = 0o7777;

/// What was just done; the process may die after each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The temporary file is there, empty.
    Created,
    /// A part of the bytes is in it.
    HalfWritten,
    /// All bytes are in it, and on the disk.
    Synced,
    /// It has its own name.
    Renamed,
}

/// Replaces the file's content. On an error the file is untouched and the temporary one is removed.
pub(super) fn replace(directory: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let done = steps(directory, name, bytes, &mut |_| Ok(()));
    if done.is_err() {
        // It is not there any more if only the last step failed.
        let _ = unlinkat(directory, TEMPORARY, AtFlags::empty());
    }
    done
}

/// Takes the file away.
pub(super) fn remove(directory: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    unlinkat(directory, name, AtFlags::empty())?;
    super::sync(directory)
}

/// The steps, in the one order that is safe. `after` is the seam for the tests: an error stops everything, as a kill does.
fn steps(directory: BorrowedFd<'_>, name: &str, bytes: &[u8], after: &mut dyn FnMut(Step) -> io::Result<()>) -> io::Result<()> {
    match unlinkat(directory, TEMPORARY, AtFlags::empty()) {
        Err(error) if error != Errno::NOENT => return Err(error.into()),
        _ => {}
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(directory, TEMPORARY, flags, Mode::from_raw_mode(0o600))?);
    after(Step::Created)?;
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(old) => {
            let new = rustix::fs::fstat(&file)?;
            if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid) {
                fchown(&file, Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid)))?;
            }
            fchmod(&file, Mode::from_raw_mode(old.st_mode & PERMISSIONS))?;
        }
        Err(Errno::NOENT) => fchmod(&file, Mode::from_raw_mode(NEW))?,
        Err(error) => return Err(error.into()),
    }
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    after(Step::HalfWritten)?;
    file.write_all(rest)?;
    file.sync_all()?;
    after(Step::Synced)?;
    renameat(directory, TEMPORARY, directory, name)?;
    after(Step::Renamed)?;
    super::sync(directory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_kill_after_any_step_leaves_the_old_text_or_the_new_one() {
        for (n, step) in [Step::Created, Step::HalfWritten, Step::Synced, Step::Renamed].into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let fd = File::open(dir.path()).unwrap();
            fs::write(dir.path().join("a.yaml"), "old").unwrap();
            let mut die = |done| if done == step { Err(io::Error::other("killed")) } else { Ok(()) };
            assert!(steps(fd.as_fd(), "a.yaml", b"the new text", &mut die).is_err());
            let text = fs::read_to_string(dir.path().join("a.yaml")).unwrap();
            assert_eq!(text, if n < 3 { "old" } else { "the new text" }, "{step:?}");
            // And the next one works as if nothing had been, and leaves nothing.
            replace(fd.as_fd(), "a.yaml", b"newest").unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("a.yaml")).unwrap(), "newest");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{step:?}: a leftover");
        }
    }

    #[test]
    fn mode_and_owner_stay_and_a_new_file_is_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let fd = File::open(dir.path()).unwrap();
        let path = dir.path().join("a.yaml");
        replace(fd.as_fd(), "a.yaml", b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let root = rustix::process::geteuid().is_root();
        if root {
            std::os::unix::fs::chown(&path, Some(12), Some(34)).unwrap();
        }
        replace(fd.as_fd(), "a.yaml", b"newer").unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & 0o7777, found.len()), (0o640, 5));
        assert!(!root || (found.uid(), found.gid()) == (12, 34));
        remove(fd.as_fd(), "a.yaml").unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_planted_link_is_replaced_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let fd = File::open(dir.path()).unwrap();
        fs::write(dir.path().join("secret"), "kept").unwrap();
        symlink("secret", dir.path().join(TEMPORARY)).unwrap();
        symlink("secret", dir.path().join("a.yaml")).unwrap();
        replace(fd.as_fd(), "a.yaml", b"new").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "kept");
        assert!(fs::symlink_metadata(dir.path().join("a.yaml")).unwrap().is_file());
    }

    #[test]
    fn what_can_not_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let fd = File::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("a.yaml")).unwrap();
        assert!(replace(fd.as_fd(), "a.yaml", b"new").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
