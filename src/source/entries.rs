//! A directory's descriptor -> the names in it, in one piece of memory.
//!
//! In: a descriptor. Out: [`Entries`], without `.` and `..`. Never: an allocation for each name; more entries than are asked for.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, RawDir, statat};

/// What the kernel tells at once.
const CHUNK: usize = 32 << 10;

/// The names in a directory, in its own order.
#[derive(Debug, Default)]
pub(super) struct Entries {
    text: Vec<u8>,
    at: Vec<(Range<usize>, FileType)>,
    /// There are more than were asked for.
    pub cut: bool,
}

impl Entries {
    /// Reads at most so many.
    pub(super) fn read(dir: BorrowedFd<'_>, most: usize) -> rustix::io::Result<Self> {
        let mut entries = Self::default();
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut listed = RawDir::new(dir, chunk.spare_capacity_mut());
        while let Some(entry) = listed.next() {
            let entry = entry?;
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
