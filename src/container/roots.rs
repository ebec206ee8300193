//! A directory of the host, and a root of it that was just opened -> one root for all who name that directory.
//!
//! In: a path, a root. Out: the same root, or the one that others hold. Never: a root of another directory, or through another mount; a root
//! that lives because it is known here.
//!
//! Without it 20,000 Apps in one directory are 20,000 descriptors, and keep their connections apart.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::rootfs::Rootfs;

/// The roots that are held by somebody, by path.
#[derive(Debug, Default)]
pub(super) struct Roots(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    roots: HashMap<PathBuf, Weak<Rootfs>>,
    /// With so many, those that nobody holds any more are dropped: twice what was left the last time, so that it costs little for each.
    sweep_at: usize,
}

/// Fewer are not worth a sweep.
const FEW: usize = 64;

impl Roots {
    /// The root for `path`, which was opened just now. `before`: the one that the caller had; it stays if it is the same directory.
    pub(super) fn share(&self, path: &Path, opened: Rootfs, before: Option<&Arc<Rootfs>>) -> Arc<Rootfs> {
        let before = before.filter(|before| before.is_same(&opened));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = known.roots.get(path).and_then(Weak::upgrade).filter(|shared| shared.is_same(&opened) && shared.is_of_mount(&opened));
        match (before, shared) {
            (Some(before), Some(_)) => before.clone(),
            (None, Some(shared)) => shared,
            (before, None) => {
                let root = before.cloned().unwrap_or_else(|| Arc::new(opened));
                known.note(path, &root);
                root
            }
        }
    }
}

impl Known {
    fn note(&mut self, path: &Path, root: &Arc<Rootfs>) {
        if self.roots.len() >= self.sweep_at {
            self.roots.retain(|_, root| root.strong_count() > 0);
            self.sweep_at = FEW.max(self.roots.len() * 2);
        }
        self.roots.insert(path.to_owned(), Arc::downgrade(root));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn all_who_name_a_directory_hold_one_root_until_it_is_another_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("root"), dir.path().join("other"));
        fs::create_dir(&path).unwrap();
        let roots = Roots::default();
        let open = |before| roots.share(&path, Rootfs::open(&path).unwrap(), before);
        let first = open(None);
        assert!(Arc::ptr_eq(&first, &open(None)) && Arc::ptr_eq(&first, &open(Some(&first))));
        fs::rename(&path, &other).unwrap();
        fs::create_dir(&path).unwrap();
        let second = open(Some(&first));
        assert!(!Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&second, &open(Some(&first))) && Arc::ptr_eq(&second, &open(None)));
    }

    #[test]
    fn a_root_lives_no_longer_than_somebody_holds_it_and_what_is_known_of_it_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::default();
        let open = |path: &Path| roots.share(path, Rootfs::open(dir.path()).unwrap(), None);
        let weak = Arc::downgrade(&open(dir.path()));
        assert!(weak.upgrade().is_none());
        for number in 0..10 * FEW {
            open(Path::new(&number.to_string()));
        }
        assert!(roots.0.lock().unwrap().roots.len() <= FEW);
    }
}
