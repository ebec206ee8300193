//! A manifest directory, and the ways of changing it.
//!
//! In: a way, a seed. Out: a changed directory, whatever state it was in before. Never: a change that is not finished when it returns.

mod files;
mod places;
pub mod tools;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dice::Dice;

/// How the directory is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A directory.
    Plain,
    /// A link to a worktree, as git-sync has it.
    Worktrees,
    /// Links through `..data`, as a ConfigMap has it.
    ConfigMap,
    /// The worktree of a repository.
    Git,
}

pub const LAYOUTS: [Layout; 4] = [Layout::Plain, Layout::Worktrees, Layout::ConfigMap, Layout::Git];

/// A way of changing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    WriteInPlace,
    TruncateThenWrite,
    HalfThenRest,
    RenameOver,
    DeleteThenCreate,
    Delete,
    KeepTimes,
    HardLink,
    HardLinkOfSibling,
    WriteThroughHardLink,
    MoveFile,
    Vim,
    VimInPlace,
    Nano,
    VsCode,
    Gedit,
    Emacs,
    TurnLink,
    RemakeLink,
    WriteTarget,
    RemoveTarget,
    NoFile,
    MakeSubdirectory,
    RenameSubdirectory,
    RemoveSubdirectory,
    LinkSubdirectory,
    ReplaceRoot,
    SwapRoot,
    MoveRootAwayAndBack,
    RootIsFile,
    RootIsDangling,
    RootIsMissing,
    EmptyRoot,
    Rsync,
    RsyncAsItWrites,
    Flip,
    Checkout,
}

use Way::{
    Checkout, Delete, DeleteThenCreate, Emacs, EmptyRoot, Flip, Gedit, HalfThenRest, HardLink, HardLinkOfSibling, KeepTimes,
    LinkSubdirectory, MakeSubdirectory, MoveFile, MoveRootAwayAndBack, Nano, NoFile, RemakeLink, RemoveSubdirectory, RemoveTarget,
    RenameOver, RenameSubdirectory, ReplaceRoot, RootIsDangling, RootIsFile, RootIsMissing, Rsync, RsyncAsItWrites, SwapRoot,
    TruncateThenWrite, TurnLink, Vim, VimInPlace, VsCode, WriteInPlace, WriteTarget, WriteThroughHardLink,
};

/// What changes files.
const FILES: [Way; 22] = [
    WriteInPlace,
    TruncateThenWrite,
    HalfThenRest,
    RenameOver,
    DeleteThenCreate,
    Delete,
    KeepTimes,
    HardLink,
    HardLinkOfSibling,
    WriteThroughHardLink,
    MoveFile,
    Vim,
    VimInPlace,
    Nano,
    VsCode,
    Gedit,
    Emacs,
    TurnLink,
    RemakeLink,
    WriteTarget,
    RemoveTarget,
    NoFile,
];
/// What changes directories.
const PLACES: [Way; 11] = [
    MakeSubdirectory,
    RenameSubdirectory,
    RemoveSubdirectory,
    LinkSubdirectory,
    ReplaceRoot,
    SwapRoot,
    MoveRootAwayAndBack,
    RootIsFile,
    RootIsDangling,
    RootIsMissing,
    EmptyRoot,
];

const NAMES: [&str; 6] = ["a.yaml", "b.yml", "c.json", "sub/d.yaml", "sub/deep/e.yaml", "f.yaml"];

/// The text of a file: its name, and a number that never comes again.
pub type Text = Box<dyn Fn(&str, u64) -> String + Send>;

/// A manifest directory and what is beside it.
pub struct Tree {
    top: PathBuf,
    /// The manifest directory.
    pub root: PathBuf,
    layout: Layout,
    dice: Dice,
    text: Text,
    count: u64,
}

impl Tree {
    /// The directory of this name below `top`: with some files, or (sometimes) not there yet.
    pub fn new(top: &Path, name: &str, layout: Layout, seed: u64, text: Text) -> Self {
        let top = top.canonicalize().unwrap();
        fs::create_dir(top.join("out")).unwrap();
        let root = top.join(name);
        let mut tree = Self { top, root, layout, dice: Dice::new(seed), text, count: 0 };
        if tree.dice.below(4) != 0 {
            tree.restore();
        }
        tree
    }

    /// A way that this layout can take.
    pub fn draw(&mut self) -> Way {
        let special: &[Way] = match self.layout {
            Layout::Plain => &[Rsync, RsyncAsItWrites],
            Layout::Worktrees | Layout::ConfigMap => &[Flip],
            Layout::Git => &[Checkout],
        };
        match self.dice.below(10) {
            0..=4 => self.dice.one_of(&FILES),
            5..=6 => self.dice.one_of(&PLACES),
            _ => self.dice.one_of(special),
        }
    }

    /// Changes it. The directory is made first if it is not there.
    pub fn change(&mut self, way: Way) {
        if !self.root.is_dir() {
            self.restore();
        }
        let name = self.dice.one_of(&NAMES);
        match way {
            Rsync => self.rsync(),
            RsyncAsItWrites => self.rsync_as_it_writes(),
            Checkout => self.checkout(),
            Flip => self.flip(),
            way if PLACES.contains(&way) => self.change_place(way),
            way => self.change_file(way, name),
        }
    }

    /// The directory as its layout has it, whatever is in its place.
    fn restore(&mut self) {
        remove(&self.root);
        match self.layout {
            Layout::Plain => self.fill(&self.root.clone()),
            Layout::Worktrees => self.flip(),
            Layout::ConfigMap => {
                fs::create_dir(&self.root).unwrap();
                self.flip();
            }
            Layout::Git => self.clone_repository(),
        }
    }

    /// A new directory with some of the files.
    fn fill(&mut self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        for name in NAMES {
            if self.dice.below(3) != 0 {
                let text = self.next_text(name);
                write(&dir.join(name), &text);
            }
        }
    }

    fn next_text(&mut self, name: &str) -> String {
        self.count += 1;
        (self.text)(name, self.count)
    }

    /// A path beside the directory that was never used.
    fn beside(&mut self) -> PathBuf {
        self.count += 1;
        self.top.join(format!("out/{}", self.count))
    }

    /// Puts a new worktree, or new data, in the place of the old one, and takes that away.
    fn flip(&mut self) {
        let (dir, target, link) = match self.layout {
            Layout::ConfigMap => {
                self.count += 1;
                (self.root.clone(), format!("..2026_11_23_{}", self.count), self.root.join("..data"))
            }
            _ => (self.top.clone(), format!(".worktrees/{:040x}", self.dice.roll()), self.root.clone()),
        };
        self.fill(&dir.join(&target));
        let before = fs::read_link(&link).ok();
        turn(&link, Path::new(&target));
        if self.layout == Layout::ConfigMap {
            self.link_data();
        }
        if let Some(before) = before.filter(|_| self.dice.below(4) != 0) {
            remove(&dir.join(before));
        }
    }

    /// What a kubelet does after a flip: links for what is new, none for what is gone.
    fn link_data(&mut self) {
        for name in ["a.yaml", "b.yml", "c.json", "f.yaml", "sub"] {
            let (place, target) = (self.root.join(name), Path::new("..data").join(name));
            let is_ours = fs::read_link(&place).is_ok_and(|found| found == target);
            if self.root.join(&target).exists() {
                if !is_ours {
                    remove(&place);
                    symlink(target, place).unwrap();
                }
            } else if is_ours {
                remove(&place);
            }
        }
    }

    /// The time that passes in the middle of a change. It is part of the change.
    fn pause(&mut self) {
        let pause = self.dice.one_of(&[0, 0, 1, 5, 20, 70]);
        std::thread::sleep(Duration::from_millis(pause));
    }
}

/// Writes a file, and makes its directory.
fn write(path: &Path, text: &str) {
    // Something else may be in its way.
    let dir = path.parent().expect("a file is in a directory");
    if !dir.is_dir() {
        remove(dir);
        fs::create_dir_all(dir).unwrap();
    }
    if !path.is_file() {
        remove(path);
    }
    fs::write(path, text).unwrap();
}

/// Turns a link in one step.
pub fn turn(link: &Path, target: &Path) {
    let mut hidden = link.as_os_str().to_owned();
    hidden.push(".turned");
    symlink(target, &hidden).unwrap();
    if link.is_dir() && !link.is_symlink() {
        remove(link);
    }
    fs::rename(&hidden, link).unwrap();
}

/// Takes away what is there, if anything is.
pub fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}
