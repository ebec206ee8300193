//! Paths inside a container -> inotify watches on the directories that lead to them.
//!
//! In: a view of its root, paths. Out: [`Found`]. Never: a wait; an error for want of a watch.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::inotify::{WatchFlags, add_watch};
use rustix::io::Errno;

use crate::container::rootfs::{Kind, View};
use crate::names::ContainerPath;

/// What is watched on the way to some paths.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) looks: BTreeSet<Look>,
    /// There are no more watches.
    pub(super) short: bool,
}

/// A name in a watched directory.
pub(super) type Look = (i32, Arc<[u8]>);

/// Directories above a path that are watched, at most: a link or a directory on the way may be replaced too.
const LEVELS: usize = 16;

/// Watches the directories on the way to each of the paths.
pub(super) fn watch_all(inotify: &OwnedFd, view: View<'_>, paths: &[ContainerPath]) -> io::Result<Found> {
    let mut all = Found::default();
    for path in paths {
        watch(inotify, view, path, &mut all)?;
    }
    Ok(all)
}

/// Watches the directories on the way to a path, from the top: one that appears meanwhile is seen by the watch above it. `EAGAIN`: that
/// can't be done at hand.
#[allow(clippy::disallowed_methods, reason = "each directory was resolved inside the root")]
fn watch(inotify: &OwnedFd, view: View<'_>, path: &ContainerPath, found: &mut Found) -> io::Result<()> {
    for (directory, name) in levels(path) {
        let entry = match view.entry(&directory) {
            Ok(entry) if entry.kind == Kind::Directory => entry,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            _ => break,
        };
        entry.may_be_used()?;
        match add_watch(inotify, entry.proc_path(), mask()) {
            Ok(watch) => drop(found.looks.insert((watch, name))),
            Err(error) => {
                found.short |= matches!(error, Errno::NOSPC | Errno::NOMEM);
                break;
            }
        }
    }
    Ok(())
}

fn mask() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ATTRIB
        // A file of passwords may be written in its place.
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ONLYDIR
}

/// The directories above a path, from the top, each with the name in it that leads on.
pub(super) fn levels(path: &ContainerPath) -> Vec<(ContainerPath, Arc<[u8]>)> {
    let mut levels = Vec::new();
    let mut path = path.clone();
    while path.as_str() != "/" && levels.len() < LEVELS {
        let parent = path.parent();
        // Empty between two slashes, and after the last.
        if !path.file_name().is_empty() {
            levels.push((parent.clone(), Arc::from(path.file_name().as_bytes())));
        }
        path = parent;
    }
    levels.reverse();
    levels
}
