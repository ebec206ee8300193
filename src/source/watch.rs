//! Directories of interest -> hints that something in them has changed (inotify, by notify).
//!
//! In: [`Spots`]. Out: [`Hints`]: "look", and who is writing. Never: a promise that every change gives a hint; a failure that stops
//! the source (it is polled then).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::io::Errno;

use super::hints::Hints;
use super::read::Id;
use super::walk::{self, Spots};

/// The reason after an overflow, until all watches are set anew.
const LOST: &str = "events were lost: more came at once than are queued (sysctl fs.inotify.max_queued_events)";

/// The watches that are set. Each directory has its own: notify's recursive ones miss links and what is moved in.
#[derive(Debug)]
pub(super) struct Watch {
    pub hints: Arc<Hints>,
    watcher: Option<RecommendedWatcher>,
    set: BTreeMap<PathBuf, Id>,
    /// The last one that was looked at, while they take turns.
    glanced: Option<PathBuf>,
    /// Why hints don't come, or not for everything.
    pub polling: Option<String>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let mut watch = Self::idle();
        watch.start();
        watch
    }

    /// Without any events.
    #[cfg(test)]
    pub(super) fn off() -> Self {
        Self { polling: Some("events are switched off".to_owned()), ..Self::idle() }
    }

    fn idle() -> Self {
        Self { hints: Arc::default(), watcher: None, set: BTreeMap::new(), glanced: None, polling: None }
    }

    /// After notify has panicked: from the beginning.
    pub(super) fn restart(&mut self) {
        self.watcher = None;
        self.set.clear();
        self.start();
    }

    fn start(&mut self) {
        let hints = self.hints.clone();
        match notify::recommended_watcher(move |event| hints.take(event)) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => self.fall_back(Some(why(&error))),
        }
    }

    /// Sets the watches that are missing and removes the others. `renew`: all of them anew, for those that died unnoticed
    /// (a file system that was unmounted). Returns whether any was set: what happened before that is not known.
    pub(super) fn sync(&mut self, spots: &Spots, renew: bool) -> bool {
        if renew && self.watcher.is_none() && self.polling.is_some() {
            self.start();
        }
        let lost_events = self.hints.lost(renew);
        let dropped = self.hints.expect(spots.iter().map(|(path, spot)| (path.clone(), spot.names.clone())).collect());
        let Some(watcher) = &mut self.watcher else { return false };
        let lost = |path: &Path| dropped.iter().any(|dropped| path.starts_with(dropped));
        self.set.retain(|path, id| {
            let keep = spots.get(path).is_some_and(|spot| spot.id == *id) && !lost(path);
            if !keep {
                // An error means that the kernel has removed it already.
                let _ = watcher.unwatch(path);
            }
            keep
        });
        // notify names an object by one path: of two that lead to it (bind mounts), that of the tree comes first.
        let mut order: Vec<_> = spots.iter().collect();
        order.sort_by_key(|(_, spot)| spot.names.is_some());
        let mut taken: BTreeSet<Id> = self.set.values().copied().collect();
        let (mut added, mut failed) = (false, None);
        for (path, spot) in order {
            let known = self.set.contains_key(path);
            let skip = if known { !renew } else { !taken.insert(spot.id) };
            if skip {
                continue;
            }
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.set.insert(path.clone(), spot.id);
                    added = true;
                }
                // The next walk sees that it is gone.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => added = true,
                Err(error) => {
                    let limit = matches!(error.kind, ErrorKind::MaxFilesWatch);
                    failed = Some(why(&error));
                    if limit {
                        break;
                    }
                }
            }
        }
        self.fall_back(failed.or_else(|| lost_events.then(|| LOST.to_owned())));
        added
    }

    /// The watches whose turn it is, so many, are still on what is at their path: a mount that came or went takes its place without an event.
    pub(super) fn stands(&mut self, most: usize) -> bool {
        let from = self.glanced.take().map_or(Bound::Unbounded, Bound::Excluded);
        for (count, (path, id)) in self.set.range((from, Bound::Unbounded)).enumerate() {
            if walk::identity(path) != Some(*id) {
                return false;
            }
            if count + 1 == most {
                self.glanced = Some(path.clone());
                break;
            }
        }
        true
    }

    /// Says once that events are missing, and once that they are back.
    fn fall_back(&mut self, why: Option<String>) {
        match (&self.polling, &why) {
            (None, Some(why)) => tracing::warn!("{why}; manifests are polled every 2 s"),
            (Some(_), None) => tracing::info!("manifests are watched again"),
            _ => {}
        }
        self.polling = why;
    }
}

/// What can't be watched, and the limit to raise if it is one.
fn why(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "cannot watch: the limit of inotify watches is reached (sysctl fs.inotify.max_user_watches)".to_owned(),
        ErrorKind::Io(io) if io.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
            "cannot watch: the limit of inotify instances, or of open files, is reached (sysctl fs.inotify.max_user_instances)".to_owned()
        }
        _ => format!("cannot watch: {error}"),
    }
}
