//! Ways of changing directories: those below the root, and the root itself.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Layout, Tree, Way, remove, turn};

impl Tree {
    pub(super) fn change_place(&mut self, way: Way) {
        let root = self.root.clone();
        let sub = root.join("sub");
        match way {
            Way::MakeSubdirectory => {
                let other = root.join(format!("sub{}", self.dice.below(3)));
                remove(&other);
                let built = self.beside();
                self.fill(&built);
                if self.dice.below(2) == 0 {
                    fs::rename(built, other).unwrap();
                } else {
                    // Its files come one after the other.
                    remove(&built);
                    self.fill(&other);
                }
            }
            Way::RenameSubdirectory => {
                let other = root.join("moved");
                if sub.exists() {
                    remove(&other);
                    fs::rename(&sub, &other).unwrap();
                    self.pause();
                }
                if self.dice.below(2) == 0 && other.exists() {
                    fs::rename(&other, &sub).unwrap();
                }
            }
            Way::RemoveSubdirectory => remove(&sub),
            Way::LinkSubdirectory => {
                let target = self.beside();
                self.fill(&target);
                turn(&root.join("linked"), &target);
                self.pause();
                self.fill(&target);
            }
            Way::EmptyRoot => {
                for entry in fs::read_dir(&root).unwrap() {
                    remove(&entry.unwrap().path());
                }
            }
            way => self.change_root(way),
        }
    }

    fn change_root(&mut self, way: Way) {
        let (root, away) = (self.root.clone(), self.beside());
        match way {
            Way::ReplaceRoot => {
                remove(&root);
                self.pause();
                self.restore();
            }
            Way::SwapRoot if self.layout != Layout::Worktrees => {
                let built = self.beside();
                self.fill(&built);
                fs::rename(&root, &away).unwrap();
                self.pause();
                fs::rename(built, &root).unwrap();
                remove(&away);
            }
            Way::SwapRoot | Way::MoveRootAwayAndBack => {
                fs::rename(&root, &away).unwrap();
                self.pause();
                fs::rename(away, &root).unwrap();
            }
            Way::RootIsFile => {
                fs::rename(&root, &away).unwrap();
                fs::write(&root, "no directory").unwrap();
                self.pause();
                if self.dice.below(2) == 0 {
                    remove(&root);
                    fs::rename(away, &root).unwrap();
                }
            }
            Way::RootIsDangling => {
                fs::rename(&root, &away).unwrap();
                symlink("nowhere", &root).unwrap();
                self.pause();
                if self.dice.below(2) == 0 {
                    remove(&root);
                    fs::rename(away, &root).unwrap();
                }
            }
            _ => remove(&root),
        }
    }
}
