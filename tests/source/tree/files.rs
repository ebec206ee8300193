//! Ways of changing one file: by hand, by editors, by links.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{NAMES, Tree, Way, remove, turn, write};

impl Tree {
    pub(super) fn change_file(&mut self, way: Way, name: &str) {
        let (path, text) = (self.root.join(name), self.next_text(name));
        let beside = |prefix: &str, suffix: &str| sibling(&path, prefix, suffix);
        // Only what is a file can be edited.
        if !path.is_file() && way != Way::NoFile {
            write(&path, &text);
        }
        match way {
            Way::WriteInPlace => {
                let mut file = OpenOptions::new().write(true).open(&path).unwrap();
                file.write_all(text.as_bytes()).unwrap();
                file.set_len(text.len() as u64).unwrap();
            }
            Way::TruncateThenWrite | Way::Nano | Way::VsCode => {
                let lock = beside(".", ".swp");
                if way == Way::Nano {
                    fs::write(&lock, "nano").unwrap();
                }
                let mut file = File::create(&path).unwrap();
                self.pause();
                file.write_all(text.as_bytes()).unwrap();
                drop(file);
                remove(&lock);
            }
            Way::HalfThenRest => {
                let (head, tail) = text.split_at(text.len() / 2);
                fs::write(&path, head).unwrap();
                self.pause();
                let mut file = OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(tail.as_bytes()).unwrap();
            }
            Way::RenameOver | Way::Gedit => {
                let hidden = beside(".goutputstream-", "");
                fs::write(&hidden, text).unwrap();
                self.pause();
                fs::rename(hidden, &path).unwrap();
            }
            Way::DeleteThenCreate => {
                remove(&path);
                self.pause();
                fs::write(&path, text).unwrap();
            }
            Way::Delete => remove(&path),
            Way::KeepTimes => self.keep_times(&path, &text),
            Way::HardLink => {
                let hidden = beside(".", ".tmp");
                fs::write(&hidden, text).unwrap();
                remove(&path);
                fs::hard_link(&hidden, &path).unwrap();
                remove(&hidden);
            }
            Way::HardLinkOfSibling | Way::MoveFile => self.give(&path, way),
            Way::WriteThroughHardLink => {
                let outside = self.beside();
                fs::hard_link(path.canonicalize().unwrap(), &outside).unwrap();
                self.pause();
                fs::write(outside, text).unwrap();
            }
            Way::Vim => {
                let (swap, backup) = (beside(".", ".swp"), beside("", "~"));
                fs::write(&swap, "vim").unwrap();
                let probe = path.with_file_name("4913");
                fs::write(&probe, "").unwrap();
                remove(&probe);
                fs::rename(&path, &backup).unwrap();
                fs::write(&path, text).unwrap();
                remove(&backup);
                remove(&swap);
            }
            // `backupcopy=yes`, and what vim does with links.
            Way::VimInPlace => {
                let backup = beside("", "~");
                fs::copy(&path, &backup).unwrap();
                fs::write(&path, text).unwrap();
                remove(&backup);
            }
            Way::Emacs => {
                let (auto, lock) = (beside("#", "#"), beside(".#", ""));
                fs::write(&auto, &text).unwrap();
                symlink("somebody@host.1234", &lock).unwrap();
                fs::rename(&path, beside("", "~")).unwrap();
                fs::write(&path, text).unwrap();
                remove(&lock);
                remove(&auto);
            }
            way => self.change_link(way, &path, &text),
        }
    }

    fn change_link(&mut self, way: Way, path: &Path, text: &str) {
        let target = self.beside();
        match way {
            Way::TurnLink => {
                fs::write(&target, text).unwrap();
                turn(path, &target);
            }
            // As `ln -sf` does in two steps.
            Way::RemakeLink => {
                fs::write(&target, text).unwrap();
                remove(path);
                self.pause();
                symlink(target, path).unwrap();
            }
            Way::WriteTarget => {
                fs::write(&target, "").unwrap();
                turn(path, &target);
                self.pause();
                fs::write(target, text).unwrap();
            }
            Way::RemoveTarget => {
                fs::write(&target, text).unwrap();
                turn(path, &target);
                self.pause();
                remove(&target);
            }
            // What is called a manifest, and is none.
            _ => {
                let dir = path.parent().expect("a file is in a directory");
                if !dir.is_dir() {
                    remove(dir);
                    fs::create_dir_all(dir).unwrap();
                }
                remove(path);
                match self.dice.below(4) {
                    0 => symlink(path, path).unwrap(),
                    1 => symlink("/dev/zero", path).unwrap(),
                    2 => fs::create_dir(path).unwrap(),
                    _ => rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap(),
                }
            }
        }
    }

    /// Another content of the same length, with the time stamp of the one before.
    fn keep_times(&mut self, path: &Path, text: &str) {
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let length = file.metadata().unwrap().len();
        file.seek(SeekFrom::Start(0)).unwrap();
        let padded: Vec<u8> = text.bytes().chain(std::iter::repeat(b'\n')).take(usize::try_from(length).unwrap()).collect();
        file.write_all(&padded).unwrap();
        file.set_modified(modified).unwrap();
        self.count += 1;
    }

    /// A hard link to another file in the tree, or that file itself.
    fn give(&mut self, path: &Path, way: Way) {
        let other = self.root.join(self.dice.one_of(&NAMES));
        if other == path || !other.is_file() || other.is_symlink() {
            return;
        }
        if way == Way::MoveFile {
            fs::rename(other, path).unwrap();
        } else {
            remove(path);
            fs::hard_link(other, path).unwrap();
        }
    }
}

fn sibling(path: &Path, prefix: &str, suffix: &str) -> PathBuf {
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    path.with_file_name(format!("{prefix}{name}{suffix}"))
}
