//! Ways of changing many files at once: rsync and git.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{NAMES, Tree, remove};
use crate::support::run;

impl Tree {
    /// What the real one does.
    pub(super) fn rsync(&mut self) {
        let from = self.beside();
        self.fill(&from);
        let mut command = Command::new("rsync");
        command.args(["--recursive", "--links", "--times", "--delete", "--force"]).arg(format!("{}/", from.display()));
        run(command.arg(&self.root));
        remove(&from);
    }

    /// The same steps, more often: each file under a hidden name, then in its place; what is no more is deleted.
    pub(super) fn rsync_as_it_writes(&mut self) {
        for name in NAMES {
            let place = self.root.join(name);
            let text = self.next_text(name);
            if !place.is_file() {
                continue;
            }
            if self.dice.below(3) == 0 {
                remove(&place);
                continue;
            }
            let file = place.file_name().expect("a file has a name").display();
            let hidden = place.with_file_name(format!(".{file}.aB3dE6"));
            fs::write(&hidden, text).unwrap();
            fs::rename(hidden, place).unwrap();
        }
    }

    /// A repository with some commits, of which one is checked out.
    pub(super) fn clone_repository(&mut self) {
        let repository = Repository(self.root.clone());
        fs::create_dir(&self.root).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        for number in 0..3 {
            for name in NAMES {
                remove(&self.root.join(name));
            }
            self.fill(&self.root.clone());
            repository.commit(&format!("c{number}"));
        }
    }

    /// Another commit, whatever was changed since; a new repository if this one was replaced.
    pub(super) fn checkout(&mut self) {
        if !self.root.join(".git").is_dir() {
            remove(&self.root);
            self.clone_repository();
        }
        let to = format!("c{}", self.dice.below(3));
        let repository = Repository(self.root.clone());
        repository.git(&["clean", "--quiet", "-ffdx"]);
        repository.git(&["checkout", "--quiet", "--force", &to]);
    }
}

/// A directory that git knows.
pub struct Repository(pub PathBuf);

impl Repository {
    /// Runs git in it, without anybody's settings.
    pub fn git(&self, args: &[&str]) {
        let mut command = Command::new("git");
        command.current_dir(&self.0).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        // The repository that the tests themselves may be run from.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        command.args(["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "core.fsync=none", "-c", "gc.auto=0"]);
        run(command.args(args));
    }

    /// Commits all that is there under this tag.
    pub fn commit(&self, tag: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", tag]);
        self.git(&["tag", tag]);
    }
}

impl AsRef<Path> for Repository {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}
