//! A root directory with a file system in it that stops answering.
//!
//! In: at which point it does. Out: a root, and the words that a daemon is started by so that it sees that file system: in a mount
//! namespace of its own, which goes with it. Never: a mount that outlives its test.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support;
use crate::support::cli::repository;

/// Mounts, waits until that is done, and becomes the program that follows.
const SCRIPT: &str = r#"
    python3 "$0" "$1" "$2" &
    while [ ! -e "$1.pid" ]; do kill -0 $! || exit 1; sleep 0.02; done
    shift 2
    exec "$@"
"#;

/// When it stops answering.
#[derive(Debug, Clone, Copy)]
pub enum Hangs {
    /// At once.
    Always,
    /// When a file is opened; the kernel remembers what names and attributes it was told.
    OnOpen,
    /// When a file is read, or closed.
    OnRead,
}

/// A root with `/www/ok.txt`, `/www/index.html`, and at `/www/mnt` such a file system.
#[derive(Debug)]
pub struct Hostile {
    dir: TempDir,
    hangs: Hangs,
}

impl Hostile {
    /// It is mounted when the daemon starts.
    pub fn new(hangs: Hangs) -> Self {
        let dir = support::scratch_in_memory();
        fs::create_dir_all(dir.path().join("www/mnt")).unwrap();
        fs::write(dir.path().join("www/ok.txt"), "ok\n").unwrap();
        Self { dir, hangs }
    }

    /// The root, a path of the host.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// What the daemon is to be run by.
    pub fn words(&self) -> Vec<String> {
        let program = repository().join("tests/fixtures/hang.py");
        let script = match self.hangs {
            Hangs::Always => "silence",
            Hangs::OnOpen => "open",
            Hangs::OnRead => "read",
        };
        let mount = self.mount();
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT]
            .map(str::to_owned)
            .into_iter()
            .chain([program.display().to_string(), mount.display().to_string(), script.to_owned()])
            .collect()
    }

    /// `kill -9` of the file system's program: the kernel tells everybody who waits for it.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.mount().with_extension("pid")).unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    fn mount(&self) -> PathBuf {
        self.dir.path().join("www/mnt")
    }
}
