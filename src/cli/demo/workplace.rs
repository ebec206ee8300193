//! The temporary directory of the demo: manifests, and a directory that stands in for a container.
//!
//! In: nothing. Out: paths. Never: a directory that was there before, or that stays.

#![allow(clippy::disallowed_methods, reason = "the demo's own files, made before anything serves them")]

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Names that are tried before giving up.
const ATTEMPTS: u32 = 100;
/// What lies in the directory, by relative path.
const FILES: [(&str, &str); 5] = [
    ("manifests/hello.yaml", include_str!("files/hello.yaml")),
    ("second.yaml", include_str!("files/second.yaml")),
    ("rootfs/www/index.html", include_str!("files/index.html")),
    ("rootfs/www/style.css", include_str!("files/style.css")),
    ("rootfs/second/second/index.html", include_str!("files/second.html")),
];

/// The directory; it goes when this is dropped.
#[derive(Debug)]
pub(super) struct Workplace {
    top: PathBuf,
}

impl Workplace {
    /// Makes the directory, for this user only, and all that is in it.
    pub(super) fn create() -> io::Result<Self> {
        let workplace = Self { top: fresh(&std::env::temp_dir())? };
        for directory in ["manifests", "state", "rootfs/run", "rootfs/www", "rootfs/second/second"] {
            fs::create_dir_all(workplace.top.join(directory))?;
        }
        for (path, text) in FILES {
            fs::write(workplace.top.join(path), text)?;
        }
        Ok(workplace)
    }

    /// What the daemon reads and watches.
    pub(super) fn manifests(&self) -> PathBuf {
        self.top.join("manifests")
    }

    /// The manifest that is there from the start.
    pub(super) fn hello(&self) -> PathBuf {
        self.top.join("manifests/hello.yaml")
    }

    /// The manifest that is still to be dropped in.
    pub(super) fn second(&self) -> PathBuf {
        self.top.join("second.yaml")
    }

    /// The daemon's state.
    pub(super) fn state(&self) -> PathBuf {
        self.top.join("state")
    }

    /// The daemon's admin socket.
    pub(super) fn admin(&self) -> PathBuf {
        self.top.join("admin.sock")
    }

    /// The sample application's socket; `/run/app.sock` for the application itself.
    pub(super) fn socket(&self) -> PathBuf {
        self.top.join("rootfs/run/app.sock")
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // Whatever can't be removed is in the directory for temporary files, whose owner sweeps it.
        let _ = fs::remove_dir_all(&self.top);
    }
}

/// A new directory. `create` fails on what is there, so nobody can have prepared it.
fn fresh(parent: &Path) -> io::Result<PathBuf> {
    let mut last = io::Error::from(ErrorKind::AlreadyExists);
    for attempt in 0..ATTEMPTS {
        let suffix = if attempt == 0 { String::new() } else { format!("-{attempt}") };
        let top = parent.join(format!("lxcproxy-demo-{}{suffix}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&top) {
            Ok(()) => return Ok(top),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    #[test]
    fn the_directory_holds_valid_manifests_and_goes_with_its_owner() {
        let workplace = Workplace::create().unwrap();
        for path in [workplace.hello(), workplace.second()] {
            let parsed = manifest::parse("demo", &fs::read(path).unwrap());
            assert_eq!(parsed.errors().collect::<Vec<_>>(), Vec::<&manifest::Error>::new());
            assert_eq!(parsed.documents.len(), 1);
        }
        let top = workplace.top.clone();
        drop(workplace);
        assert!(!top.exists());
    }
}
