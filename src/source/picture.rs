//! Files as they are known, and all that is told of them as a whole: the map of a listing, the revision, the size.
//!
//! In: one file after the other, new, changed or gone. Out: maps that share what did not change. Never: work for files that did not change.

use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;

use super::file::Seen;
use super::read;
use super::revision::{Sum, Way};
use super::{FileContent, Problem};

/// The files that are shown.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// Boxed: a map has room for as many again.
    known: HashMap<Arc<str>, Box<Seen>>,
    /// The same, for listings.
    files: OrdMap<Arc<str>, Arc<FileContent>>,
    sum: Sum,
    bytes: u64,
    /// Walks so far, and how many files the last one has met again.
    round: u64,
    met: usize,
}

impl Picture {
    /// A file, as it was found last.
    pub(super) fn find(&self, file: &str) -> Option<(&Arc<str>, &Seen)> {
        self.known.get_key_value(file).map(|(name, seen)| (name, &**seen))
    }

    /// The files of a listing.
    pub(super) fn files(&self) -> &OrdMap<Arc<str>, Arc<FileContent>> {
        &self.files
    }

    /// How large all files are together.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The revision of these files, reached in this way; `None`: the directory was not read.
    pub(super) fn revision(&self, way: &Way, problem: Option<&Problem>) -> Option<String> {
        match problem {
            Some(Problem::Missing(_) | Problem::Unreadable(..)) => None,
            Some(Problem::TooMany(..)) | None => Some(way.revision.clone().unwrap_or_else(|| self.sum.to_string())),
        }
    }

    /// A file is like this from now on.
    pub(super) fn put(&mut self, file: &Arc<str>, seen: Seen) {
        let old = self.known.get(file);
        if let Some(old) = old {
            self.sum = self.sum.without(file, old.hash);
            self.bytes -= size(old);
        }
        if old.is_none_or(|old| !Arc::ptr_eq(&old.content, &seen.content)) {
            self.files.insert(file.clone(), seen.content.clone());
        }
        self.sum = self.sum.with(file, seen.hash);
        self.bytes += size(&seen);
        // Keeps the key that is there.
        self.known.insert(file.clone(), Box::new(seen));
    }

    /// A file is no more.
    pub(super) fn drop(&mut self, file: &str) {
        if let Some(old) = self.known.remove(file) {
            self.sum = self.sum.without(file, old.hash);
            self.bytes -= size(&old);
            self.files.remove(file);
        }
    }

    /// A walk begins.
    pub(super) fn begin(&mut self) {
        self.round += 1;
        self.met = 0;
    }

    /// How many walks began, ever.
    #[cfg(test)]
    pub(super) fn walks(&self) -> u64 {
        self.round
    }

    /// The walk has met this file, whatever it holds now.
    pub(super) fn meet(&mut self, file: &str) {
        if let Some(seen) = self.known.get_mut(file)
            && seen.round != self.round
        {
            seen.round = self.round;
            self.met += 1;
        }
    }

    /// The files that the walk has not met.
    pub(super) fn missed(&self) -> Vec<Arc<str>> {
        if self.met == self.known.len() {
            return Vec::new();
        }
        self.known.iter().filter(|(_, seen)| seen.round != self.round).map(|(file, _)| file.clone()).collect()
    }
}

/// What a file counts for in the sum of all: no more than is read of it.
pub(super) fn size(seen: &Seen) -> u64 {
    seen.stamp.map_or(0, |stamp| stamp.size.min(read::MAX_FILE))
}
