//! One entry of the tree that is called a manifest, and how it was before -> how it is now.
//!
//! In: a place and a name in it. Out: [`Now`]. Never: a file that did not change read twice, text that did not change kept twice.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::io::Errno;

use super::links::Chain;
use super::read::{self, Reader, Reading, Stamp};
use super::{FileContent, revision};

/// Bytes of all files together.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// A directory of the tree.
#[derive(Debug)]
pub(super) struct Place {
    /// Empty for the root, else with a `/` at the end.
    pub relative: String,
    pub host: PathBuf,
    pub real: Arc<Path>,
    /// Reached through the link of a ConfigMap.
    pub data: bool,
}

/// A file as it was found.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub content: Arc<FileContent>,
    /// Its part in the revision.
    pub hash: u64,
    /// `None`: a link that leads nowhere.
    pub stamp: Option<Stamp>,
    /// The stamp was too young to prove that nothing changes behind it.
    pub fresh: bool,
    /// The last walk that met it.
    pub round: u64,
    /// The real directory in which it is listed.
    place: Arc<Path>,
    /// If it is not there under the name that it is listed by.
    reached: Option<Box<Reached>>,
}

/// How a file is reached that is somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reached {
    real: PathBuf,
    links: Vec<(PathBuf, OsString)>,
}

/// An entry to look at.
pub(super) struct At<'a> {
    /// Its directory.
    pub dir: BorrowedFd<'a>,
    pub place: &'a Place,
    pub name: &'a OsStr,
    /// Where the link leads that it is.
    pub chain: Option<Chain>,
    /// The directory says that it is a regular file.
    pub regular: bool,
}

/// What became of a file.
#[derive(Debug)]
pub(super) enum Now {
    /// It is not there.
    Gone,
    /// It is as it was.
    Same,
    /// It is new, changed, or too young to tell.
    Other(Seen),
}

impl Seen {
    /// Where it really is, given the name that it is listed by; events speak of this path.
    pub(super) fn real(&self, file: &str) -> Cow<'_, Path> {
        match &self.reached {
            Some(reached) => Cow::Borrowed(&reached.real),
            None => Cow::Owned(self.place.join(file.rsplit('/').next().unwrap_or(file))),
        }
    }

    /// The links that lead to it, `(directory, name)`.
    pub(super) fn links(&self) -> &[(PathBuf, OsString)] {
        self.reached.as_ref().map_or(&[], |reached| &reached.links)
    }
}

impl At<'_> {
    /// Looks, and reads what is not known. `bytes`: how large the other files are together; this one is added.
    pub(super) fn look(self, known: Option<&Seen>, bytes: &mut u64, reader: &mut Reader) -> Now {
        let unreadable_name = self.name.to_str().is_none();
        if known.is_none()
            && self.regular
            && !unreadable_name
            && let Some(reading) = reader.read_regular(self.dir, self.name)
        {
            let limited = limit(bytes, reading.1.size).map_or(reading.0, Err);
            return Now::Other(self.seen(None, (limited, Some(reading.1))));
        }
        let broken = self.chain.as_ref().and_then(|chain| chain.broken);
        let entry = self.chain.as_ref().map_or(self.name, |chain| chain.real.as_os_str());
        let stat = match broken.map_or_else(|| read::stat(self.dir, entry), Err) {
            Err(Errno::NOENT) if self.chain.is_none() => return Now::Gone,
            Err(Errno::NOENT) => Err("is a link that leads nowhere".to_owned()),
            stat => stat.map_err(read::unreadable),
        };
        let stamp = stat.as_ref().ok().map(Stamp::of);
        let over = limit(bytes, stamp.map_or(0, |stamp| stamp.size));
        if let Some(known) = known
            && !known.fresh
            && known.content.bytes.is_ok()
            && stamp.is_some()
            && known.stamp == stamp
            && *known.place == *self.place.real
            && known.reached.as_deref() == self.reached().as_ref()
        {
            return Now::Same;
        }
        let (bytes, stamp) = match (stat, over) {
            (Err(why), _) => (Err(why), None),
            (Ok(_), _) if unreadable_name => (Err("has a name that is not UTF-8".to_owned()), stamp),
            (Ok(_), Some(over)) => (Err(over), stamp),
            (Ok(stat), None) => {
                // Gone since the look at it.
                let Some((bytes, stamp)): Option<Reading> = reader.read(self.dir, entry, &stat) else { return Now::Gone };
                (bytes, Some(stamp))
            }
        };
        Now::Other(self.seen(known, (bytes, stamp)))
    }

    fn seen(self, known: Option<&Seen>, (bytes, stamp): (Result<Arc<[u8]>, String>, Option<Stamp>)) -> Seen {
        let content = FileContent { bytes, path: self.place.host.join(self.name) };
        let (content, hash) = match known {
            Some(known) if *known.content == content => (known.content.clone(), known.hash),
            _ => {
                let hash = revision::hash(&content);
                (Arc::new(content), hash)
            }
        };
        let fresh = stamp.is_some_and(|stamp| stamp.is_fresh(SystemTime::now()));
        Seen { content, hash, stamp, fresh, round: 0, place: self.place.real.clone(), reached: self.reached().map(Box::new) }
    }

    fn reached(&self) -> Option<Reached> {
        match &self.chain {
            Some(chain) => Some(Reached { real: chain.real.clone(), links: chain.entries.clone() }),
            None if self.name.to_str().is_none() => Some(Reached { real: self.place.real.join(self.name), links: Vec::new() }),
            None => None,
        }
    }
}

/// Whether a name is one of a manifest. Leftovers of editors and packages (`x.yaml~`, `x.yaml.swp`, `#x.yaml#`,
/// `x.yaml.dpkg-new`, `x.yaml.rpmsave`) end in something else, or are hidden.
pub(super) fn is_manifest(name: &OsStr) -> bool {
    let name = name.as_bytes();
    !name.starts_with(b".") && [&b".yaml"[..], b".yml", b".json"].iter().any(|end| name.len() > end.len() && name.ends_with(end))
}

/// Counts a file; why it is not read, if that is too much.
fn limit(bytes: &mut u64, size: u64) -> Option<String> {
    *bytes = bytes.saturating_add(size.min(read::MAX_FILE));
    (*bytes > MAX_BYTES).then(|| format!("is not read: all files together are larger than {MAX_BYTES} bytes"))
}
