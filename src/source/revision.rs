//! What a walk saw -> the name of its revision: what a link calls it, else a hash over all that is in it.
//!
//! In: the links on the way to the directory, the files. Out: [`Way`], [`Sum`]. Never: two names for the same content; a file hashed twice.

use std::ffi::{OsStr, OsString};
use std::fmt;
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

/// The revision of a set of files, however they are reached and in whatever order: equal names and contents have the same. One that comes, goes
/// or changes costs what it holds, not what the others do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum(u64);

impl Sum {
    /// With one more file, of this [`hash`].
    pub(super) fn with(self, name: &str, hash: u64) -> Self {
        Self(self.0.wrapping_add(digest(hash, name.as_bytes())))
    }

    /// Without a file that is in it.
    pub(super) fn without(self, name: &str, hash: u64) -> Self {
        Self(self.0.wrapping_sub(digest(hash, name.as_bytes())))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The part of one file's content in a [`Sum`].
pub(super) fn hash(content: &FileContent) -> u64 {
    match &content.bytes {
        Ok(bytes) => digest(0, bytes),
        // What can't be read is no empty file, and differs from one that says so.
        Err(why) => digest(1, why.as_bytes()),
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

/// 2^64 divided by the golden ratio: odd, and without a pattern.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// 64 bits of some bytes, with one multiplication for eight of them (FNV-1a has one for each): the same on every machine and in every version;
/// tells changes apart, not forgeries.
fn digest(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let length = (bytes.len() as u64).wrapping_mul(FACTOR).rotate_left(32);
    let hash = words.iter().fold(mix(seed ^ length), |hash, word| mix(hash ^ u64::from_le_bytes(*word)));
    mix(hash ^ u64::from_le_bytes(last))
}

/// Every bit of the product's halves depends on every bit below it in the one, above it in the other.
fn mix(hash: u64) -> u64 {
    let product = u128::from(hash ^ FACTOR.rotate_left(17)) * u128::from(FACTOR);
    #[allow(clippy::cast_possible_truncation, reason = "the halves of the product")]
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
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
        assert_eq!(revision("one"), "782f3ba011fe591d", "it may not change from version to version");
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
        assert_eq!(listing.files.keys().map(|name| &**name).collect::<Vec<_>>(), ["a.yaml", "sub/b.yaml"]);
        assert_eq!(listing.revision, "..2026_11_23_10_00_00.1");
        // One that is not of the ConfigMap may change on its own.
        fs::write(top.join("own.yaml"), "").unwrap();
        assert_eq!(list(&top).revision.len(), 16);
    }

    #[test]
    fn the_order_of_files_is_no_matter_and_what_is_taken_away_leaves_nothing() {
        let (one, two) = (digest(0, b"one"), digest(0, b"two"));
        let both = Sum::default().with("a", one).with("b", two);
        assert_eq!(both, Sum::default().with("b", two).with("a", one));
        assert_eq!(both.without("a", one), Sum::default().with("b", two));
        assert_ne!(both, Sum::default().with("a", two).with("b", one), "contents that changed places");
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let texts = [&b""[..], b"\0", b"\0\0\0\0\0\0\0\0", b"1234567", b"12345678", b"123456789", b"12345678\0", b"87654321"];
        let digests: std::collections::BTreeSet<_> = texts.iter().flat_map(|text| [digest(0, text), digest(1, text)]).collect();
        assert_eq!(digests.len(), 2 * texts.len());
    }
}
