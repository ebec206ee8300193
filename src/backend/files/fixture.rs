//! A tree of files -> a container's root, for the tests of this room.
//!
//! In: names and contents. Out: a temporary [`Rootfs`]. Never: anything outside the temporary directory.
#![allow(clippy::disallowed_methods, reason = "the tree that is looked up has to be made")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::api::v1::{Hidden, Symlinks};
use crate::container::rootfs::Rootfs;
use crate::route::{Files, Script, Template};

/// A temporary root.
pub(super) struct Tree {
    directory: TempDir,
    /// The same, as the rest of the house sees it.
    pub(super) root: Arc<Rootfs>,
}

impl Tree {
    /// Makes files, and the directories above them.
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Arc::new(Rootfs::open(directory.path()).unwrap());
        let tree = Self { directory, root };
        for (name, content) in files {
            tree.write(name, content.as_bytes());
        }
        tree
    }

    /// Writes a file, in place if it is there.
    pub(super) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The file, for reading and writing.
    pub(super) fn open(&self, name: &str) -> fs::File {
        fs::File::options().read(true).write(true).open(self.path(name)).unwrap()
    }

    /// Makes a symbolic link.
    pub(super) fn link(&self, target: &str, name: &str) {
        std::os::unix::fs::symlink(target, self.path(name)).unwrap();
    }

    /// Makes a FIFO that nobody writes to.
    pub(super) fn fifo(&self, name: &str) {
        mknodat(CWD, self.path(name), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A rule's `files` with every default.
pub(super) fn rule(root: &str) -> Files {
    Files {
        root: root.into(),
        index: vec!["index.html".into()],
        candidates: vec![Template::parse("{path}").unwrap()],
        scripts: Vec::new(),
        hidden: Hidden::Deny,
        symlinks: Symlinks::Follow,
        cache_control: None,
        listing: false,
        precompressed: Vec::new(),
        media: Arc::default(),
    }
}

impl Files {
    /// The same with scripts, each with a backend of its own.
    pub(super) fn with_scripts(mut self, extensions: &[&str]) -> Self {
        self.scripts =
            extensions.iter().enumerate().map(|(backend, extension)| Script { extension: (*extension).into(), backend }).collect();
        self
    }
}
