//! A path -> where it really leads, and every directory entry whose replacement would lead it elsewhere.
//!
//! In: an absolute path. Out: its canonical form as far as it exists, the links on the way. Never: more than [`MAX_HOPS`] links.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// Links followed at most, as in the kernel.
const MAX_HOPS: usize = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// The path without links, as far as it exists.
    pub real: PathBuf,
    /// `(directory, name)` of each link on the way, and of the last entry: the object itself, or the first that is missing.
    pub entries: Vec<(PathBuf, OsString)>,
}

/// Follows the links of an absolute path, one by one.
pub(super) fn follow(path: &Path) -> Chain {
    let mut chain = Chain { real: PathBuf::from("/"), entries: Vec::new() };
    let mut rest: VecDeque<OsString> = VecDeque::new();
    prepend(&mut rest, path);
    let mut hops = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            chain.real.pop();
            continue;
        }
        let entry = chain.real.join(&name);
        match std::fs::read_link(&entry) {
            Ok(target) => {
                chain.note(&name);
                hops += 1;
                if hops > MAX_HOPS {
                    return chain;
                }
                if target.is_absolute() {
                    chain.real = PathBuf::from("/");
                }
                prepend(&mut rest, &target);
            }
            // EINVAL: it is there and is no link.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                if rest.is_empty() {
                    chain.note(&name);
                }
                chain.real = entry;
            }
            Err(_) => {
                chain.note(&name);
                return chain;
            }
        }
    }
    chain
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
        let chain = follow(&top.join("link"));
        assert_eq!(chain.real, top.join("rev1/a"));
        let entry = |dir: &Path, name: &str| (dir.to_owned(), OsString::from(name));
        assert_eq!(chain.entries, [entry(&top, "link"), entry(&top, "data"), entry(&top, "data"), entry(&top.join("rev1"), "a")]);
    }

    #[test]
    fn a_chain_ends_at_what_is_missing_and_a_loop_ends_at_all() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        assert_eq!(follow(&top.join("no/where")), Chain { real: top.clone(), entries: vec![(top.clone(), "no".into())] });
        symlink("b", top.join("a")).unwrap();
        symlink("a", top.join("b")).unwrap();
        assert_eq!(follow(&top.join("a")).entries.len(), MAX_HOPS + 1);
    }
}
