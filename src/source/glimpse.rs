//! The paths that events have named -> what changed at them, if that can be told without a walk.
//!
//! In: paths, what the last walk found. Out: [`Changes`]. Never: more system calls for a change in a large tree than in a small one (11 for a file);
//! a guess: what concerns links, directories or files with several names is left to a walk.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::file::{At, MAX_BYTES, Now, Place, is_manifest};
use super::picture::{Picture, size};
use super::read::{Id, Reader};
use super::walk::{Changes, MAX_ENTRIES, Spots};

/// The tree as the last walk found it, and what was added since.
#[derive(Debug, Default)]
pub(super) struct Ground {
    pub spots: Spots,
    pub hinges: HashSet<PathBuf>,
    /// Entries in it, of any kind; never less than there are.
    pub entries: usize,
}

/// A directory that is looked into.
struct Open<'a> {
    path: &'a Path,
    fd: OwnedFd,
    place: &'a Arc<Place>,
}

impl Ground {
    /// Looks at these paths; `None`: a walk is needed.
    pub(super) fn look(&mut self, paths: &BTreeSet<PathBuf>, picture: &Picture) -> Option<Changes> {
        self.entries += paths.len();
        if self.entries > MAX_ENTRIES {
            return None;
        }
        let (mut changes, mut reader) = (Changes::default(), Reader::default());
        let (mut bytes, mut open) = (picture.bytes(), None::<Open>);
        for path in paths {
            let (dir, name) = (path.parent()?, path.file_name()?);
            if self.is_walked(path) {
                return None;
            }
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            if open.as_ref().is_none_or(|open| open.path != dir) {
                open = Some(self.open(dir)?);
            }
            let Open { fd, place, .. } = open.as_ref()?;
            Glimpse { dir: fd.as_fd(), place, name, picture, changes: &mut changes }.take(&mut bytes, &mut reader)?;
        }
        Some(changes)
    }

    /// It is a directory that is watched, or a link depends on it.
    fn is_walked(&self, path: &Path) -> bool {
        self.hinges.contains(path) || self.spots.contains_key(path)
    }

    /// The directory that was walked, if it still is what is at its path, and is one directory of the tree.
    fn open<'a>(&'a self, path: &'a Path) -> Option<Open<'a>> {
        let spot = self.spots.get(path)?;
        let place = spot.place.as_ref().filter(|place| !place.data)?;
        let fd = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()?;
        (Id::of(&fstat(&fd).ok()?) == spot.id).then_some(Open { path, fd, place })
    }
}

/// One name in a directory.
struct Glimpse<'a> {
    dir: BorrowedFd<'a>,
    place: &'a Place,
    name: &'a OsStr,
    picture: &'a Picture,
    changes: &'a mut Changes,
}

impl Glimpse<'_> {
    /// `None`: a walk is needed.
    fn take(self, bytes: &mut u64, reader: &mut Reader) -> Option<()> {
        let Self { dir, place, name, picture, changes } = self;
        let kind = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => None,
            Err(_) => return None,
        };
        if matches!(kind, Some(FileType::Directory | FileType::Symlink)) {
            return None;
        }
        if !is_manifest(name) {
            return Some(());
        }
        let relative = format!("{}{}", place.relative, name.to_str()?);
        let known = picture.find(&relative);
        let seen = known.map(|(_, seen)| seen);
        *bytes -= seen.map_or(0, size);
        let at = At { dir, place, name, chain: None, regular: kind == Some(FileType::RegularFile) };
        match at.look(seen, bytes, reader) {
            Now::Same => {}
            Now::Gone => changes.gone.extend(known.map(|(name, _)| name.clone())),
            // Its other names may be in the tree, too.
            Now::Other(seen) if seen.stamp.is_some_and(|stamp| stamp.shared) => return None,
            Now::Other(seen) => {
                let name = known.map_or_else(|| relative.as_str().into(), |(name, _)| name.clone());
                changes.files.insert(name, seen);
            }
        }
        (*bytes <= MAX_BYTES).then_some(())
    }
}
