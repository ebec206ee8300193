//! Where manifests come from: a place that changes at any time -> whole, settled listings of it.
//!
//! In: a place, today a directory. Out: [`Listing`]s. Never: a write to that place, a judgement of what a file says.

#![allow(clippy::disallowed_methods, reason = "files of the host, by path, are what this room is for")]

mod dir;
mod entries;
mod file;
mod glimpse;
mod hints;
mod hold;
mod links;
mod look;
mod picture;
mod read;
mod revision;
mod walk;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imbl::OrdMap;
use tokio::sync::Notify;

pub use dir::Dir;
use picture::Picture;
pub use read::MAX_FILE;

/// A place that manifests come from. Level-triggered: a listing says what is there, not what happened.
pub trait Source: Send {
    /// Waits until a listing says something new, was asked for, or is half a minute old; the first one comes at once.
    /// Cancel-safe: a call that is dropped loses nothing.
    fn next(&mut self) -> impl Future<Output = Arc<Listing>> + Send;

    /// A handle that asks for a listing, changed or not.
    fn relist(&self) -> Relist;

    /// The place, for showing it.
    fn path(&self) -> &Path;
}

/// Asks a [`Source`] to look again (SIGHUP).
#[derive(Debug, Clone, Default)]
pub struct Relist(Arc<Notify>);

impl Relist {
    /// The next listing comes without waiting for a change. Asking twice before it comes is asking once.
    pub fn ask(&self) {
        self.0.notify_one();
    }

    /// Waits until somebody asks.
    async fn asked(&self) {
        self.0.notified().await;
    }
}

/// All manifests of a source, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// What was read: the name that a link on the way to the directory gives it (git-sync: the commit; a ConfigMap: the target of `..data`),
    /// else a hash over names and contents, the same wherever and whenever they are the same. While there is no reading the directory, that
    /// of the last reading; empty if there was none.
    pub revision: String,
    /// By path relative to the source, `/` between segments. Content that did not change is the same `Arc` as before, and the map shares all
    /// that did not change with the one before: what is different is found by [`OrdMap::diff`], in O(difference).
    pub files: OrdMap<Arc<str>, Arc<FileContent>>,
    /// Why this is not all. `files` then holds what was known before as well.
    pub problem: Option<Problem>,
    /// Subdirectories that were not read, by relative path, and why.
    pub unread: BTreeMap<String, String>,
    /// Why there are no events and the source is polled instead; `None`: events come.
    pub polling: Option<String>,
}

impl Listing {
    /// The file is known to be gone: the place where it would be was read, and it is not there.
    #[must_use]
    pub fn lacks(&self, file: &str) -> bool {
        self.problem.is_none() && !self.files.contains_key(file) && !below(&self.unread, file)
    }

    /// Whether the two say the same. Maps that share everything are not compared.
    fn same(&self, other: &Self) -> bool {
        self.revision == other.revision
            && self.problem == other.problem
            && self.unread == other.unread
            && self.polling == other.polling
            && self.files.len() == other.files.len()
            && self.files.diff(&other.files).next().is_none()
    }
}

/// One file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// What it holds; or why it could not be read, as the end of a sentence that starts with its name.
    pub bytes: Result<Arc<[u8]>, String>,
    /// Its absolute path on the host, as listed (not where a link leads); its parent is the base of a relative `rootfs`.
    pub path: PathBuf,
}

/// Why a listing is not all that there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The directory is not there.
    #[error("the manifest directory {0} does not exist")]
    Missing(PathBuf),
    /// The directory can't be read.
    #[error("the manifest directory {0} cannot be read: {1}")]
    Unreadable(PathBuf, String),
    /// The directory holds more than is ever looked at.
    #[error("the manifest directory {0} holds more than {1} entries; the rest is ignored")]
    TooMany(PathBuf, usize),
}

/// One look at a directory as it stands, without waiting for writers: what `validate` checks.
#[must_use]
pub fn list(root: &Path) -> Listing {
    let mut picture = Picture::default();
    let found = walk::walk(root, &mut picture, walk::Walk::default());
    let (unread, problem) = (found.unread, found.problem);
    for (name, seen) in found.changes.files {
        picture.put(&name, seen);
    }
    let revision = picture.revision(&found.way, problem.as_ref()).unwrap_or_default();
    Listing { revision, files: picture.files().clone(), problem, unread, polling: None }
}

/// Whether the file is in one of these directories, at any depth.
fn below(dirs: &BTreeMap<String, String>, file: &str) -> bool {
    file.match_indices('/').any(|(cut, _)| dirs.contains_key(&file[..cut]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_lacking_only_where_the_listing_could_have_seen_it() {
        let mut listing = Listing::default();
        listing.unread.insert("a/b".into(), "permission denied".into());
        assert!(listing.lacks("x.yaml") && listing.lacks("a/x.yaml") && listing.lacks("a/bc/x.yaml"));
        assert!(!listing.lacks("a/b/x.yaml") && !listing.lacks("a/b/c/x.yaml"));
        listing.problem = Some(Problem::Missing("/m".into()));
        assert!(!listing.lacks("x.yaml"));
    }
}
