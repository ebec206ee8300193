//! A directory -> every manifest file in it, and the directories in which a change would matter.
//!
//! In: the root, and what was known before. Out: [`Walk`]. Never: a file that did not change read twice, an endless tree, files of two
//! revisions: what is below the root is opened through one descriptor, and a link is read once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::links::{Chain, Links};
use super::read::{self, Id, Stamp};
use super::revision::{self, Way};
use super::{FileContent, Problem};

/// Subdirectories below the root that are entered, in a row.
const MAX_DEPTH: usize = 8;
/// Directory entries looked at in one walk, of any kind.
const MAX_ENTRIES: usize = 200_000;
/// Bytes of all files together.
const MAX_BYTES: u64 = 256 << 20;
/// How often a root that was replaced during the walk is walked again.
const ATTEMPTS: usize = 5;

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
    /// Where it really is; events speak of this path.
    pub real: PathBuf,
    /// The links that lead to it, `(directory, name)`.
    pub links: Vec<(PathBuf, OsString)>,
}

/// A directory to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub id: Id,
    /// The entries that matter; `None`: all.
    pub names: Option<BTreeSet<OsString>>,
}

/// What one walk found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub files: BTreeMap<String, Seen>,
    pub problem: Option<Problem>,
    pub unread: BTreeMap<String, String>,
    /// By real path.
    pub spots: BTreeMap<PathBuf, Spot>,
    pub root: Option<Id>,
    /// How the root is reached.
    pub way: Way,
    /// What the links led to was taken away under the walk: this is neither the old revision nor the new one.
    pub torn: bool,
}

/// Walks the whole tree; again if the root is another one at the end, or a link was turned.
pub(super) fn walk(root: &Path, known: &BTreeMap<String, Seen>) -> Walk {
    let mut walk = Walk::default();
    for _ in 0..ATTEMPTS {
        let mut links = Links::default();
        walk = walk_once(root, known, &mut links);
        if walk.root == identity(root) && links.stand() {
            // What is gone was deleted, and that is all.
            walk.torn = false;
            break;
        }
    }
    walk
}

/// What a path leads to now; `None`: nothing.
pub(super) fn identity(path: &Path) -> Option<Id> {
    statat(CWD, path, AtFlags::empty()).ok().map(|stat| Id::of(&stat))
}

/// Whether a name is one of a manifest. Leftovers of editors and packages (`x.yaml~`, `x.yaml.swp`, `#x.yaml#`,
/// `x.yaml.dpkg-new`, `x.yaml.rpmsave`) end in something else, or are hidden.
fn is_manifest(name: &OsStr) -> bool {
    let name = name.as_bytes();
    !name.starts_with(b".") && [&b".yaml"[..], b".yml", b".json"].iter().any(|end| name.len() > end.len() && name.ends_with(end))
}

fn walk_once(root: &Path, known: &BTreeMap<String, Seen>, links: &mut Links) -> Walk {
    // Only if there is no current directory is there no absolute path; then nothing is found.
    let chain = links.follow(&std::path::absolute(root).unwrap_or_else(|_| root.to_owned()));
    let mut found = Walk { way: Way::to(&chain, links), ..Walk::default() };
    found.note(&chain.entries);
    let mut walker = Walker { root, known, links, found, entries: 0, bytes: 0, trail: Vec::new(), outside: 0 };
    match chain.broken.map_or_else(|| open(CWD, chain.real.as_os_str()), Err) {
        Ok(fd) => walker.enter(&fd, &Place { relative: String::new(), host: root.to_owned(), real: chain.real, data: false }),
        Err(Errno::NOENT) => walker.found.problem = Some(Problem::Missing(root.to_owned())),
        Err(error) => walker.found.problem = Some(Problem::Unreadable(root.to_owned(), std::io::Error::from(error).to_string())),
    }
    let Walker { mut found, links, outside: 0, .. } = walker else { return walker.found };
    found.way.led_by_data(links);
    found
}

fn open(dir: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    openat(dir, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

impl Walk {
    /// The revision, given the files that are shown of it; `None`: the directory was not read.
    pub(super) fn revision(&self, files: &BTreeMap<String, Seen>) -> Option<String> {
        match self.problem {
            Some(Problem::Missing(_) | Problem::Unreadable(..)) => None,
            Some(Problem::TooMany(..)) | None => Some(
                self.way
                    .revision
                    .clone()
                    .unwrap_or_else(|| revision::of_content(files.iter().map(|(name, seen)| (name.as_str(), seen.hash)))),
            ),
        }
    }

    /// Adds entries whose replacement matters, outside of the tree or in it.
    fn note(&mut self, entries: &[(PathBuf, OsString)]) {
        for (dir, name) in entries {
            if !self.spots.contains_key(dir) {
                let Some(id) = identity(dir) else { continue };
                self.spots.insert(dir.clone(), Spot { id, names: Some(BTreeSet::new()) });
            }
            if let Some(names) = self.spots.get_mut(dir).and_then(|spot| spot.names.as_mut()) {
                names.insert(name.clone());
            }
        }
    }
}

/// A directory on the way.
struct Place {
    /// Empty for the root, else with a `/` at the end.
    relative: String,
    host: PathBuf,
    real: PathBuf,
    /// Reached through the link of a ConfigMap.
    data: bool,
}

struct Walker<'a> {
    root: &'a Path,
    known: &'a BTreeMap<String, Seen>,
    links: &'a mut Links,
    found: Walk,
    entries: usize,
    bytes: u64,
    /// The directories that we are in: one that comes again is a loop of links.
    trail: Vec<Id>,
    /// Files that are not reached through the link of a ConfigMap.
    outside: usize,
}

impl Walker<'_> {
    fn enter(&mut self, fd: &OwnedFd, place: &Place) {
        let names = match self.names(fd) {
            Ok(names) => names,
            Err(error) => return self.unread(place, std::io::Error::from(error).to_string()),
        };
        if let Some(id) = self.trail.last() {
            self.found.spots.insert(place.real.clone(), Spot { id: *id, names: None });
        }
        for (name, kind) in names {
            match kind {
                FileType::Directory => self.subdirectory(fd.as_fd(), &name, place, None),
                FileType::Symlink => self.link(&name, place),
                _ if is_manifest(&name) => self.file(fd.as_fd(), &name, place, None),
                _ => {}
            }
        }
        self.trail.pop();
    }

    /// The visible entries, in order; puts the directory on the trail if there is no error.
    fn names(&mut self, fd: &OwnedFd) -> rustix::io::Result<Vec<(OsString, FileType)>> {
        let id = Id::of(&fstat(fd)?);
        let mut names = Vec::new();
        for entry in Dir::read_from(fd)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if matches!(name.as_bytes(), b"." | b"..") {
                continue;
            }
            if self.entries == MAX_ENTRIES {
                self.found.problem = Some(Problem::TooMany(self.root.to_owned(), MAX_ENTRIES));
                break;
            }
            self.entries += 1;
            if !name.as_bytes().starts_with(b".") {
                names.push((name.to_owned(), kind(fd.as_fd(), name, entry.file_type())));
            }
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if self.trail.is_empty() {
            self.found.root = Some(id);
        }
        self.trail.push(id);
        Ok(names)
    }

    fn unread(&mut self, place: &Place, why: String) {
        match place.relative.strip_suffix('/') {
            Some(relative) => drop(self.found.unread.insert(relative.to_owned(), why)),
            None => self.found.problem = Some(Problem::Unreadable(self.root.to_owned(), why)),
        }
    }

    /// A link to a directory, to a file, or to nothing yet.
    fn link(&mut self, name: &OsStr, place: &Place) {
        let chain = self.links.follow(&place.real.join(name));
        self.found.note(&chain.entries);
        let kind = chain.broken.map_or_else(|| read::stat(CWD, chain.real.as_os_str()), Err);
        match kind.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Directory) => self.subdirectory(CWD, name, place, Some(chain)),
            _ if is_manifest(name) => self.file(CWD, name, place, Some(chain)),
            // What leads nowhere may become a directory; it is noted.
            _ => {}
        }
    }

    /// `chain`: where the link leads that it is; else it is in `dir`.
    fn subdirectory(&mut self, dir: BorrowedFd<'_>, name: &OsStr, place: &Place, chain: Option<Chain>) {
        let data = place.data || chain.as_ref().is_some_and(|chain| self.found.way.through_data(&chain.entries));
        let opened = open(dir, chain.as_ref().map_or(name, |chain| chain.real.as_os_str()));
        let inner = Place {
            relative: format!("{}{}/", place.relative, name.to_string_lossy()),
            host: place.host.join(name),
            real: chain.map_or_else(|| place.real.join(name), |chain| chain.real),
            data,
        };
        if self.trail.len() > MAX_DEPTH {
            return self.unread(&inner, format!("is more than {MAX_DEPTH} directories deep"));
        }
        match opened {
            Ok(fd) => match fstat(&fd).map(|stat| Id::of(&stat)) {
                Ok(id) if self.trail.contains(&id) => {}
                _ => self.enter(&fd, &inner),
            },
            // Gone since it was listed.
            Err(Errno::NOENT | Errno::NOTDIR) => self.found.torn = true,
            Err(error) => self.unread(&inner, std::io::Error::from(error).to_string()),
        }
    }

    /// `chain`: where the link leads that it is; else it is in `dir`.
    fn file(&mut self, dir: BorrowedFd<'_>, name: &OsStr, place: &Place, chain: Option<Chain>) {
        let relative = format!("{}{}", place.relative, name.to_string_lossy());
        let known = self.known.get(&relative);
        let entry = chain.as_ref().map_or(name, |chain| chain.real.as_os_str());
        let broken = chain.as_ref().and_then(|chain| chain.broken);
        let stat = broken.map_or_else(|| read::stat(dir, entry), Err);
        // Gone since it was listed.
        self.found.torn |= broken.is_none() && matches!(stat, Err(Errno::NOENT));
        let stat = match stat {
            Err(Errno::NOENT) if chain.is_none() => return,
            Err(Errno::NOENT) => Err("is a link that leads nowhere".to_owned()),
            stat => stat.map_err(read::unreadable),
        };
        let data = place.data || chain.as_ref().is_some_and(|chain| self.found.way.through_data(&chain.entries));
        self.outside += usize::from(!data);
        let mut stamp = stat.as_ref().ok().map(Stamp::of);
        self.bytes = self.bytes.saturating_add(stamp.map_or(0, |stamp| stamp.size.min(read::MAX_FILE)));
        let unchanged = |known: &&Seen| !known.fresh && known.content.bytes.is_ok() && stamp.is_some() && known.stamp == stamp;
        let (content, hash) = if let Some(known) = known.filter(unchanged) {
            (known.content.clone(), known.hash)
        } else {
            let bytes = match stat {
                Err(why) => Err(why),
                Ok(_) if name.to_str().is_none() => Err("has a name that is not UTF-8".to_owned()),
                Ok(_) if self.bytes > MAX_BYTES => Err(format!("is not read: all files together are larger than {MAX_BYTES} bytes")),
                Ok(stat) => {
                    let (bytes, read) = read::read(dir, entry, &stat);
                    stamp = Some(read);
                    bytes
                }
            };
            let content = FileContent { bytes, path: place.host.join(name) };
            match known {
                Some(known) if *known.content == content => (known.content.clone(), known.hash),
                _ => {
                    let hash = revision::hash(&content);
                    (Arc::new(content), hash)
                }
            }
        };
        let (real, links) = chain.map_or_else(|| (place.real.join(name), Vec::new()), |chain| (chain.real, chain.entries));
        let fresh = stamp.is_some_and(|stamp| stamp.is_fresh(SystemTime::now()));
        self.found.files.insert(relative, Seen { content, hash, stamp, fresh, real, links });
    }
}

/// Some file systems don't say the kind with the name.
fn kind(dir: BorrowedFd<'_>, name: &OsStr, kind: FileType) -> FileType {
    match kind {
        FileType::Unknown => statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_or(kind, |stat| FileType::from_raw_mode(stat.st_mode)),
        kind => kind,
    }
}
