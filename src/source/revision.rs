//! What a walk saw -> the name of its revision: what a link calls it, else a hash over all that is in it.
//!
//! In: the links on the way to the directory, the files. Out: [`Way`], a text. Never: two texts for the same content; a file hashed twice.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::FileContent;
use super::links::{Chain, Links};

/// The link through which a ConfigMap's files are reached (Kubernetes, `AtomicWriter`).
const DATA: &str = "..data";
/// Shorter ones are no names of commits (git abbreviates to 7).
const SHORTEST_COMMIT: usize = 7;

/// How the files of a directory are reached. Another way is another revision, complete from its first moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// The directory, without links.
    pub real: PathBuf,
    /// The root is reached through a link.
    linked: bool,
    /// What the way itself calls the revision.
    pub revision: Option<String>,
}

impl Way {
    /// The way to the root.
    pub(super) fn to(chain: &Chain, links: &Links) -> Self {
        let targets: Vec<_> = chain.entries.iter().filter_map(|(dir, name)| links.target(&dir.join(name))?.file_name()).collect();
        Self { real: chain.real.clone(), linked: !targets.is_empty(), revision: called(&targets, chain.real.file_name()) }
    }

    /// Whether this leads through the link of a ConfigMap.
    pub(super) fn through_data(&self, entries: &[(PathBuf, OsString)]) -> bool {
        entries.iter().any(|(dir, name)| name == DATA && *dir == self.real)
    }

    /// All files are reached through the link of a ConfigMap: its target is the revision.
    pub(super) fn led_by_data(&mut self, links: &Links) {
        if let Some(target) = links.target(&self.real.join(DATA)).and_then(Path::file_name) {
            (self.linked, self.revision) = (true, Some(target.to_string_lossy().into_owned()));
        }
    }

    /// Whether a link was turned since: what it leads to now was complete before it was turned.
    pub(super) fn was_turned(&self, before: &Self) -> bool {
        self.linked && self != before
    }
}

/// The revision of files, each with its [`hash`], in order; however they are reached, equal names and contents have the same.
pub(super) fn of_content<'a>(files: impl Iterator<Item = (&'a str, u64)>) -> String {
    let hash = files.fold(FNV_OFFSET, |hash, (name, part)| {
        // No name has a NUL.
        fnv1a(fnv1a(fnv1a(hash, name.as_bytes()), &[0]), &part.to_be_bytes())
    });
    format!("{hash:016x}")
}

/// The part of one file in [`of_content`].
pub(super) fn hash(content: &FileContent) -> u64 {
    match &content.bytes {
        Ok(bytes) => fnv1a(FNV_OFFSET, bytes),
        // What can't be read is no empty file, and differs from one that says so.
        Err(why) => fnv1a(fnv1a(FNV_OFFSET, &[0]), why.as_bytes()),
    }
}

/// Of the last components of the links' targets, the one that names a revision. A name that the directory itself has by a link needs a
/// digit (`blue`, `manifests` are places); one further up (`/srv/git/current/apps`) has to be a commit, for `/var/run` is a link as well.
fn called(targets: &[&OsStr], own: Option<&OsStr>) -> Option<String> {
    let has_digit = |name: &OsStr| name.as_bytes().iter().any(u8::is_ascii_digit);
    let is_commit = |name: &OsStr| name.len() >= SHORTEST_COMMIT && has_digit(name) && name.as_bytes().iter().all(u8::is_ascii_hexdigit);
    let last = targets.last().filter(|last| Some(**last) == own && has_digit(last));
    let name = last.or_else(|| targets.iter().rev().find(|name| is_commit(name)))?;
    Some(name.to_string_lossy().into_owned())
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits: the same on every machine and in every version; tells changes apart, not forgeries.
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::source::list;

    const COMMIT: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";

    fn top() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        (temp, top)
    }

    #[test]
    fn equal_names_and_contents_have_one_revision_wherever_they_are() {
        let (_temp, top) = top();
        for dir in ["one", "two"] {
            fs::create_dir_all(top.join(dir).join("sub")).unwrap();
            fs::write(top.join(dir).join("a.yaml"), "a").unwrap();
            fs::write(top.join(dir).join("sub/b.yaml"), "b").unwrap();
        }
        let revision = |dir: &str| list(&top.join(dir)).revision;
        assert_eq!(revision("one"), "1a9b278f3fabed16", "it may not change from version to version");
        assert_eq!(revision("one"), revision("two"));
        fs::write(top.join("two/ignored.txt"), "").unwrap();
        assert_eq!(revision("one"), revision("two"));
        fs::rename(top.join("two/a.yaml"), top.join("two/c.yaml")).unwrap();
        assert_ne!(revision("one"), revision("two"));
        fs::rename(top.join("two/c.yaml"), top.join("two/a.yaml")).unwrap();
        fs::write(top.join("two/sub/b.yaml"), "c").unwrap();
        assert_ne!(revision("one"), revision("two"));
    }

    #[test]
    fn a_directory_that_is_a_link_to_a_worktree_has_the_worktrees_name_as_its_revision() {
        let (_temp, top) = top();
        let tree = top.join(".worktrees").join(COMMIT);
        fs::create_dir_all(tree.join("apps")).unwrap();
        fs::write(tree.join("apps/a.yaml"), "a").unwrap();
        symlink(format!(".worktrees/{COMMIT}"), top.join("current")).unwrap();
        symlink("current", top.join("alias")).unwrap();
        for path in ["current", "alias", "current/apps", "alias/apps"] {
            assert_eq!(list(&top.join(path)).revision, COMMIT, "{path}");
        }
    }

    #[test]
    fn a_link_that_names_a_place_names_no_revision() {
        let (_temp, top) = top();
        fs::create_dir_all(top.join("disk1/manifests")).unwrap();
        fs::write(top.join("disk1/manifests/a.yaml"), "a").unwrap();
        let plain = list(&top.join("disk1/manifests")).revision;
        symlink("disk1", top.join("srv")).unwrap();
        symlink("disk1/manifests", top.join("m")).unwrap();
        assert_eq!(list(&top.join("srv/manifests")).revision, plain);
        assert_eq!(list(&top.join("m")).revision, plain);
    }

    #[test]
    fn a_config_map_has_the_target_of_its_hidden_link_as_its_revision() {
        let (_temp, top) = top();
        fs::create_dir_all(top.join("..2026_11_23_10_00_00.1/sub")).unwrap();
        for file in ["a.yaml", "sub/b.yaml"] {
            fs::write(top.join("..2026_11_23_10_00_00.1").join(file), "").unwrap();
        }
        symlink("..2026_11_23_10_00_00.1", top.join("..data")).unwrap();
        symlink("..data/a.yaml", top.join("a.yaml")).unwrap();
        symlink("..data/sub", top.join("sub")).unwrap();
        let listing = list(&top);
        assert_eq!(listing.files.keys().collect::<Vec<_>>(), ["a.yaml", "sub/b.yaml"]);
        assert_eq!(listing.revision, "..2026_11_23_10_00_00.1");
        // One that is not of the ConfigMap may change on its own.
        fs::write(top.join("own.yaml"), "").unwrap();
        assert_eq!(list(&top).revision.len(), 16);
    }

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(FNV_OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
    }
}
