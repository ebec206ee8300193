//! A directory's descriptor -> the names in it, in one piece of memory.
//!
//! In: a descriptor. Out: [`Entries`], without `.` and `..`. Never: an allocation for each name; more entries than are asked for.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, RawDir, statat};
use rustix::io::Errno;

/// What the kernel tells at once.
const CHUNK: usize = 32 << 10;

/// The names in a directory, in its own order.
#[derive(Debug, Default)]
pub(super) struct Entries {
    text: Vec<u8>,
    at: Vec<(Range<usize>, FileType)>,
    /// There are more than were asked for.
    pub cut: bool,
    /// The directory was removed meanwhile.
    pub gone: bool,
}

impl Entries {
    /// Reads at most so many.
    pub(super) fn read(dir: BorrowedFd<'_>, most: usize) -> rustix::io::Result<Self> {
        let mut entries = Self::default();
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut listed = RawDir::new(dir, chunk.spare_capacity_mut());
        while let Some(entry) = listed.next() {
            let entry = match entry {
                // What the kernel says of a directory that is removed while it is open.
                Err(Errno::NOENT) => {
                    entries.gone = true;
                    break;
                }
                entry => entry?,
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if entries.at.len() == most {
                entries.cut = true;
                break;
            }
            let start = entries.text.len();
            entries.text.extend_from_slice(name);
            entries.at.push((start..entries.text.len(), entry.file_type()));
        }
        // Some file systems don't say the kind with the name.
        for (at, kind) in entries.at.iter_mut().filter(|(_, kind)| *kind == FileType::Unknown) {
            let name = OsStr::from_bytes(&entries.text[at.clone()]);
            if let Ok(stat) = statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
                *kind = FileType::from_raw_mode(stat.st_mode);
            }
        }
        Ok(entries)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    /// Each with its kind.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&OsStr, FileType)> {
        self.at.iter().map(|(at, kind)| (OsStr::from_bytes(&self.text[at.clone()]), *kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_removed_while_it_is_open_is_gone_and_no_error() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("sub");
        std::fs::create_dir(&path).unwrap();
        let open = std::fs::File::open(&path).unwrap();
        assert!(!Entries::read(open.as_fd(), 10).unwrap().gone);
        std::fs::remove_dir(&path).unwrap();
        assert!(Entries::read(open.as_fd(), 10).unwrap().gone);
    }

    #[test]
    fn no_more_entries_are_read_than_are_asked_for() {
        let temp = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(temp.path().join(name), "").unwrap();
        }
        let open = std::fs::File::open(temp.path()).unwrap();
        for (most, cut) in [(2, true), (3, false)] {
            rustix::fs::seek(&open, rustix::fs::SeekFrom::Start(0)).unwrap();
            let entries = Entries::read(open.as_fd(), most).unwrap();
            assert_eq!((entries.len(), entries.iter().count(), entries.cut), (most, most, cut));
        }
    }
}
