//! A path -> where it really leads, and every directory entry whose replacement would lead it elsewhere.
//!
//! In: absolute paths. Out: their canonical form as far as it exists, the links on the way. Never: more than [`MAX_HOPS`] links; one link
//! that leads to two places within one walk.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

/// Links followed at most, as in the kernel.
const MAX_HOPS: usize = 40;

/// Every entry is read once: who asks again meanwhile is led to the same place, even if a link was turned.
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<PathBuf, Hop>);

/// What one directory entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hop {
    Link(PathBuf),
    Object,
    Broken(Errno),
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// The path without links, as far as it exists.
    pub real: PathBuf,
    /// `(directory, name)` of each link on the way, and of the last entry: the object itself, or the first that is missing.
    pub entries: Vec<(PathBuf, OsString)>,
    /// Why it leads no further.
    pub broken: Option<Errno>,
}

impl Links {
    /// Follows the links of an absolute path, one by one.
    pub(super) fn follow(&mut self, path: &Path) -> Chain {
        let mut chain = Chain { real: PathBuf::from("/"), entries: Vec::new(), broken: None };
        let mut rest: VecDeque<OsString> = VecDeque::new();
        prepend(&mut rest, path);
        let mut hops = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                chain.real.pop();
                continue;
            }
            let entry = chain.real.join(&name);
            match self.hop(&entry) {
                Hop::Link(target) => {
                    chain.note(&name);
                    hops += 1;
                    if hops > MAX_HOPS {
                        chain.broken = Some(Errno::LOOP);
                        return chain;
                    }
                    if target.is_absolute() {
                        chain.real = PathBuf::from("/");
                    }
                    prepend(&mut rest, target);
                }
                Hop::Object => {
                    if rest.is_empty() {
                        chain.note(&name);
                    }
                    chain.real = entry;
                }
                Hop::Broken(error) => {
                    chain.broken = Some(*error);
                    chain.note(&name);
                    return chain;
                }
            }
        }
        chain
    }

    /// Where the link at this place led, if it was followed.
    pub(super) fn target(&self, entry: &Path) -> Option<&Path> {
        match self.0.get(entry) {
            Some(Hop::Link(target)) => Some(target),
            _ => None,
        }
    }

    /// Whether all links still lead where they led.
    pub(super) fn stand(&self) -> bool {
        self.0.iter().all(|(entry, hop)| *hop == Hop::Object || *hop == Hop::read(entry))
    }

    fn hop(&mut self, entry: &Path) -> &Hop {
        self.0.entry(entry.to_owned()).or_insert_with(|| Hop::read(entry))
    }
}

impl Hop {
    fn read(entry: &Path) -> Self {
        match std::fs::read_link(entry) {
            Ok(target) => Self::Link(target),
            // EINVAL: it is there and is no link.
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INVAL) => Self::Object,
                errno => Self::Broken(errno.unwrap_or(Errno::IO)),
            },
        }
    }
}

impl Chain {
    fn note(&mut self, name: &OsStr) {
        self.entries.push((self.real.clone(), name.to_owned()));
    }
}

/// Puts the segments of a path before those that are still to be walked.
fn prepend(rest: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => rest.push_front(name.to_owned()),
            Component::ParentDir => rest.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_link_on_the_way_is_named_and_so_is_the_end() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        std::fs::create_dir(top.join("rev1")).unwrap();
        std::fs::write(top.join("rev1/a"), "").unwrap();
        symlink("rev1", top.join("data")).unwrap();
        symlink("data/../data/a", top.join("link")).unwrap();
        let chain = Links::default().follow(&top.join("link"));
        assert_eq!(chain.real, top.join("rev1/a"));
        let entry = |dir: &Path, name: &str| (dir.to_owned(), OsString::from(name));
        assert_eq!(chain.entries, [entry(&top, "link"), entry(&top, "data"), entry(&top, "data"), entry(&top.join("rev1"), "a")]);
    }

    #[test]
    fn a_chain_ends_at_what_is_missing_and_a_loop_ends_at_all() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        let chain = Links::default().follow(&top.join("no/where"));
        assert_eq!(chain, Chain { real: top.clone(), entries: vec![(top.clone(), "no".into())], broken: Some(Errno::NOENT) });
        symlink("b", top.join("a")).unwrap();
        symlink("a", top.join("b")).unwrap();
        let chain = Links::default().follow(&top.join("a"));
        assert_eq!((chain.entries.len(), chain.broken), (MAX_HOPS + 1, Some(Errno::LOOP)));
    }

    #[test]
    fn a_link_that_is_turned_leads_where_it_led_until_the_next_walk() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        for rev in ["rev1", "rev2"] {
            std::fs::create_dir(top.join(rev)).unwrap();
        }
        symlink("rev1", top.join("data")).unwrap();
        let mut links = Links::default();
        assert_eq!(links.follow(&top.join("data")).real, top.join("rev1"));
        assert!(links.stand());
        std::fs::remove_file(top.join("data")).unwrap();
        symlink("rev2", top.join("data")).unwrap();
        assert_eq!(links.follow(&top.join("data")).real, top.join("rev1"));
        assert_eq!(links.target(&top.join("data")), Some(Path::new("rev1")));
        assert!(!links.stand());
    }
}
