//! A directory -> every manifest file in it, and the directories in which a change would matter.
//!
//! In: the root, and what was known before. Out: [`Walk`]. Never: a file that did not change read twice, an endless tree, files of two
//! revisions: what is below the root is opened through one descriptor, and a link is read once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::Problem;
use super::entries::Entries;
use super::file::{At, Now, Place, Seen, is_manifest};
use super::links::{Chain, Links};
use super::picture::Picture;
use super::read::{self, Id, Reader};
use super::revision::Way;

/// Subdirectories below the root that are entered, in a row.
const MAX_DEPTH: usize = 8;
/// Directory entries looked at in one walk, of any kind.
pub(super) const MAX_ENTRIES: usize = 200_000;
/// How often a root that was replaced during the walk is walked again.
const ATTEMPTS: usize = 5;

/// A directory to watch.
#[derive(Debug)]
pub(super) struct Spot {
    pub id: Id,
    /// The entries that matter; `None`: all.
    pub names: Option<BTreeSet<OsString>>,
    /// Which directory of the tree it is, if it is one of them, and not two.
    pub place: Option<Arc<Place>>,
}

/// Directories to watch, by real path.
pub(super) type Spots = BTreeMap<PathBuf, Spot>;

/// Files that are not as they are known.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New, changed, or too young to tell.
    pub files: HashMap<Arc<str>, Seen>,
    /// Known, and not found.
    pub gone: Vec<Arc<str>>,
}

/// What one walk found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub changes: Changes,
    pub problem: Option<Problem>,
    pub unread: BTreeMap<String, String>,
    pub spots: Spots,
    /// Entries whose replacement leads elsewhere, by real path.
    pub hinges: HashSet<PathBuf>,
    pub root: Option<Id>,
    /// How the root is reached.
    pub way: Way,
    /// What the links led to was taken away under the walk: this is neither the old revision nor the new one.
    pub torn: bool,
    /// A file is reached through the link of a ConfigMap.
    pub data: bool,
    /// How many entries were looked at.
    pub entries: usize,
}

/// Walks the whole tree; again if the root is another one at the end, or a link was turned. `picture`: what is known of it. `before`: what a walk
/// has just found, which is not read once more (the first listing has two walks: 100,000 files are read once, not twice).
pub(super) fn walk(root: &Path, picture: &mut Picture, before: Walk) -> Walk {
    let mut walk = before;
    for _ in 0..ATTEMPTS {
        let mut links = Links::default();
        picture.begin();
        walk = walk_once(root, picture, std::mem::take(&mut walk.changes.files), &mut links);
        if walk.root == identity(root) && links.stand() {
            // What is gone was deleted, and that is all.
            walk.torn = false;
            break;
        }
    }
    walk.changes.gone = picture.missed();
    walk
}

/// What a path leads to now; `None`: nothing.
pub(super) fn identity(path: &Path) -> Option<Id> {
    statat(CWD, path, AtFlags::empty()).ok().map(|stat| Id::of(&stat))
}

fn walk_once(root: &Path, picture: &mut Picture, before: HashMap<Arc<str>, Seen>, links: &mut Links) -> Walk {
    // Only if there is no current directory is there no absolute path; then nothing is found.
    let chain = links.follow(&std::path::absolute(root).unwrap_or_else(|_| root.to_owned()));
    let mut found = Walk { way: Way::to(&chain, links), ..Walk::default() };
    found.note(&chain.entries);
    let mut walker = Walker { root, picture, before, links, found, bytes: 0, trail: Vec::new(), outside: 0, reader: Reader::default() };
    match chain.broken.map_or_else(|| open(CWD, chain.real.as_os_str()), Err) {
        Ok(fd) => {
            let place = Place { relative: String::new(), host: root.to_owned(), real: chain.real.into(), data: false };
            walker.enter(&fd, &Arc::new(place));
        }
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
    /// Adds a directory of the tree.
    fn inhabit(&mut self, id: Id, place: &Arc<Place>) {
        let twice = self.spots.get(&*place.real).is_some_and(|spot| spot.names.is_none());
        let place_of = (!twice).then(|| place.clone());
        self.spots.insert(place.real.to_path_buf(), Spot { id, names: None, place: place_of });
    }

    /// Adds entries whose replacement matters, outside of the tree or in it.
    fn note(&mut self, entries: &[(PathBuf, OsString)]) {
        for (dir, name) in entries {
            self.hinges.insert(dir.join(name));
            if !self.spots.contains_key(dir) {
                let Some(id) = identity(dir) else { continue };
                self.spots.insert(dir.clone(), Spot { id, names: Some(BTreeSet::new()), place: None });
            }
            if let Some(names) = self.spots.get_mut(dir).and_then(|spot| spot.names.as_mut()) {
                names.insert(name.clone());
            }
        }
    }
}

struct Walker<'a> {
    root: &'a Path,
    picture: &'a mut Picture,
    /// Found by the walk before this one.
    before: HashMap<Arc<str>, Seen>,
    links: &'a mut Links,
    found: Walk,
    bytes: u64,
    /// The directories that we are in: one that comes again is a loop of links.
    trail: Vec<Id>,
    /// Files that are not reached through the link of a ConfigMap.
    outside: usize,
    reader: Reader,
}

impl Walker<'_> {
    fn enter(&mut self, fd: &OwnedFd, place: &Arc<Place>) {
        let entries = match self.entries(fd) {
            Ok(entries) => entries,
            Err(error) => return self.unread(place, std::io::Error::from(error).to_string()),
        };
        if let Some(id) = self.trail.last().copied() {
            self.found.inhabit(id, place);
        }
        for (name, kind) in entries.iter().filter(|(name, _)| !name.as_bytes().starts_with(b".")) {
            match kind {
                FileType::Directory => self.subdirectory(fd.as_fd(), name, place, None),
                FileType::Symlink => self.link(name, place),
                _ if is_manifest(name) => {
                    self.file(At { dir: fd.as_fd(), place, name, chain: None, regular: kind == FileType::RegularFile });
                }
                _ => {}
            }
        }
        self.trail.pop();
    }

    /// What is in a directory; puts it on the trail if there is no error.
    fn entries(&mut self, fd: &OwnedFd) -> rustix::io::Result<Entries> {
        let id = Id::of(&fstat(fd)?);
        let entries = Entries::read(fd.as_fd(), MAX_ENTRIES - self.found.entries)?;
        if entries.cut {
            self.found.problem = Some(Problem::TooMany(self.root.to_owned(), MAX_ENTRIES));
        }
        self.found.torn |= entries.gone;
        self.found.entries += entries.len();
        if self.trail.is_empty() {
            self.found.root = Some(id);
        }
        self.trail.push(id);
        Ok(entries)
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
            _ if is_manifest(name) => self.file(At { dir: CWD, place, name, chain: Some(chain), regular: false }),
            // What leads nowhere may become a directory; it is noted.
            _ => {}
        }
    }

    /// `chain`: where the link leads that it is; else it is in `dir`.
    fn subdirectory(&mut self, dir: BorrowedFd<'_>, name: &OsStr, place: &Place, chain: Option<Chain>) {
        let data = place.data || self.leads_through_data(chain.as_ref());
        let opened = open(dir, chain.as_ref().map_or(name, |chain| chain.real.as_os_str()));
        let inner = Place {
            relative: format!("{}{}/", place.relative, name.to_string_lossy()),
            host: place.host.join(name),
            real: chain.map_or_else(|| place.real.join(name), |chain| chain.real).into(),
            data,
        };
        if self.trail.len() > MAX_DEPTH {
            return self.unread(&inner, format!("is more than {MAX_DEPTH} directories deep"));
        }
        match opened {
            Ok(fd) => match fstat(&fd).map(|stat| Id::of(&stat)) {
                Ok(id) if self.trail.contains(&id) => {}
                _ => self.enter(&fd, &Arc::new(inner)),
            },
            // Gone since it was listed.
            Err(Errno::NOENT | Errno::NOTDIR) => self.found.torn = true,
            Err(error) => self.unread(&inner, std::io::Error::from(error).to_string()),
        }
    }

    fn file(&mut self, at: At<'_>) {
        let relative = format!("{}{}", at.place.relative, at.name.to_string_lossy());
        let data = at.place.data || self.leads_through_data(at.chain.as_ref());
        let before = self.before.remove_entry(relative.as_str());
        let known = before.as_ref().map(|(name, seen)| (name, seen)).or_else(|| self.picture.find(&relative));
        match at.look(known.map(|(_, seen)| seen), &mut self.bytes, &mut self.reader) {
            Now::Gone => return self.found.torn = true,
            Now::Same => self.found.changes.files.extend(before),
            Now::Other(seen) => {
                let name = known.map_or_else(|| relative.as_str().into(), |(name, _)| name.clone());
                self.found.changes.files.insert(name, seen);
            }
        }
        self.picture.meet(&relative);
        self.outside += usize::from(!data);
        self.found.data |= data;
    }

    fn leads_through_data(&self, chain: Option<&Chain>) -> bool {
        chain.is_some_and(|chain| self.found.way.through_data(&chain.entries))
    }
}
