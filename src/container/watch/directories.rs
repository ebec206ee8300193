//! Paths inside containers -> inotify watches on the directories that hold them, shared by all who look at the same name.
//!
//! In: a key, a root, paths. Out: the keys of names that changed. Never: more than one descriptor; an error for want of a watch.

use std::collections::{BTreeSet, HashMap};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Key;
use crate::container::readiness::register;
use crate::container::rootfs::{Kind, Rootfs};
use crate::names::ContainerPath;

/// The watched directories.
#[derive(Debug)]
pub(super) struct Directories {
    /// `None`: there is no inotify; nothing is ever noticed here.
    inotify: Option<AsyncFd<OwnedFd>>,
    /// By watch descriptor: who looks at which names in that directory.
    names: HashMap<i32, HashMap<Arc<[u8]>, BTreeSet<Key>>>,
    /// By key: the names it looks at.
    looks: HashMap<Key, BTreeSet<Look>>,
    /// A shortage was logged already.
    warned: bool,
}

/// A name in a watched directory.
type Look = (i32, Arc<[u8]>);

/// What a read of the queue told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// Something may have changed for these.
    Of(BTreeSet<Key>),
    /// Events were lost: something may have changed for anybody.
    Any,
}

/// Directories above a path that are watched, at most: a link or a directory on the way may be replaced too.
const LEVELS: usize = 16;

impl Directories {
    /// Needs a tokio runtime with I/O.
    pub(super) fn new() -> Self {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(std::io::Error::from)
            .and_then(|fd| register(fd, Interest::READABLE));
        if let Err(error) = &inotify {
            tracing::warn!(%error, "no inotify: sockets are found by looking again, not at once (fs.inotify.max_user_instances)");
        }
        Self { inotify: inotify.ok(), names: HashMap::new(), looks: HashMap::new(), warned: false }
    }

    /// Replaces what is looked at for a key. Directories that are missing are watched for in the last one that is there.
    pub(super) fn set(&mut self, key: Key, root: &Rootfs, paths: &[ContainerPath]) {
        let looks: BTreeSet<Look> = paths.iter().flat_map(|path| self.watch(root, path)).collect();
        for (directory, name) in &looks {
            self.names.entry(*directory).or_default().entry(name.clone()).or_default().insert(key);
        }
        // The new ones stand before the old ones go: a watch that stays misses nothing.
        let before = self.looks.remove(&key).unwrap_or_default();
        for look in before.difference(&looks) {
            self.release(key, look);
        }
        if !looks.is_empty() {
            self.looks.insert(key, looks);
        }
    }

    /// Forgets a key.
    pub(super) fn clear(&mut self, key: Key) {
        for look in self.looks.remove(&key).unwrap_or_default() {
            self.release(key, &look);
        }
    }

    /// Waits for the next change. Safe to drop at any time.
    pub(super) async fn changed(&mut self) -> Changes {
        let Some(inotify) = &self.inotify else { return std::future::pending().await };
        loop {
            // An error means that the runtime shuts down.
            let Ok(mut ready) = inotify.readable().await else { return std::future::pending().await };
            match drain(inotify.get_ref(), &mut self.names) {
                None => ready.clear_ready(),
                Some(Changes::Of(keys)) if keys.is_empty() => {}
                Some(changes) => return changes,
            }
        }
    }

    /// Watches the directories on the way to a path, from the top: one that appears meanwhile is seen by the watch above it.
    #[allow(clippy::disallowed_methods, reason = "each directory was resolved inside the root")]
    fn watch(&mut self, root: &Rootfs, path: &ContainerPath) -> Vec<Look> {
        let mut looks = Vec::new();
        let Some(inotify) = &self.inotify else { return looks };
        for (directory, name) in levels(path) {
            let Ok(entry) = root.entry(&directory) else { break };
            if entry.kind != Kind::Directory {
                break;
            }
            match add_watch(inotify.get_ref(), entry.proc_path(), mask()) {
                Ok(watch) => looks.push((watch, name)),
                Err(Errno::NOSPC | Errno::NOMEM) => {
                    if !self.warned {
                        self.warned = true;
                        tracing::warn!("no more inotify watches: some sockets are found by looking again (fs.inotify.max_user_watches)");
                    }
                    break;
                }
                Err(_) => break,
            }
        }
        looks
    }

    fn release(&mut self, key: Key, (directory, name): &Look) {
        // Gone already if the directory was deleted.
        let Some(names) = self.names.get_mut(directory) else { return };
        if let Some(keys) = names.get_mut(name) {
            keys.remove(&key);
            if keys.is_empty() {
                names.remove(name);
            }
        }
        if names.is_empty() {
            self.names.remove(directory);
            if let Some(inotify) = &self.inotify {
                // Fails if the kernel has dropped the watch with its directory; numbers are not given out again.
                let _ = remove_watch(inotify.get_ref(), *directory);
            }
        }
    }
}

fn mask() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ATTRIB
        // A file of passwords may be written in its place.
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ONLYDIR
}

/// The directories above a path, from the top, each with the name in it that leads on.
fn levels(path: &ContainerPath) -> Vec<(ContainerPath, Arc<[u8]>)> {
    let mut levels = Vec::new();
    let mut path = path.clone();
    while path.as_str() != "/" && levels.len() < LEVELS {
        let parent = path.parent();
        // Empty between two slashes, and after the last.
        if !path.file_name().is_empty() {
            levels.push((parent.clone(), Arc::from(path.file_name().as_bytes())));
        }
        path = parent;
    }
    levels.reverse();
    levels
}

/// One read of the queue; `None`: it was empty.
fn drain(inotify: &OwnedFd, watched: &mut HashMap<i32, HashMap<Arc<[u8]>, BTreeSet<Key>>>) -> Option<Changes> {
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut reader = Reader::new(inotify, &mut buffer);
    let mut changed = None::<BTreeSet<Key>>;
    loop {
        let event = match reader.next() {
            Ok(event) => event,
            Err(Errno::INTR) => continue,
            Err(_) => break,
        };
        let changed = changed.get_or_insert_default();
        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            return Some(Changes::Any);
        }
        if let Some(names) = watched.get(&event.wd()) {
            match event.file_name() {
                Some(name) => changed.extend(names.get(name.to_bytes()).into_iter().flatten()),
                // About the directory itself: everybody in it.
                None => changed.extend(names.values().flatten()),
            }
        }
        if event.events().contains(ReadFlags::IGNORED) {
            let gone = event.wd();
            watched.remove(&gone);
        }
        if reader.is_buffer_empty() {
            break;
        }
    }
    changed.map(Changes::Of)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn paths(paths: &[&str]) -> Vec<ContainerPath> {
        paths.iter().map(|path| path.parse().unwrap()).collect()
    }

    async fn soon(directories: &mut Directories) -> Changes {
        tokio::time::timeout(Duration::from_secs(10), directories.changed()).await.unwrap()
    }

    #[test]
    fn levels_start_at_the_top_and_skip_empty_names() {
        let [path] = &paths(&["/run//php/x.sock/"])[..] else { unreachable!() };
        let levels: Vec<_> = levels(path).iter().map(|(_, name)| String::from_utf8(name.to_vec()).unwrap()).collect();
        assert_eq!(levels, ["run", "php", "x.sock"]);
        assert!(super::levels(&"/".parse().unwrap()).is_empty());
    }

    #[tokio::test]
    async fn keys_that_look_at_one_directory_share_its_watch_and_only_hear_of_their_own_names() {
        let dir = tempfile::tempdir().unwrap();
        let root = Rootfs::open(dir.path()).unwrap();
        let mut directories = Directories::new();
        directories.set(1, &root, &paths(&["/a"]));
        directories.set(2, &root, &paths(&["/b"]));
        assert_eq!(directories.names.len(), 1);
        fs::write(dir.path().join("noise"), "").unwrap();
        fs::write(dir.path().join("b"), "").unwrap();
        assert_eq!(soon(&mut directories).await, Changes::Of([2].into()));
        directories.clear(2);
        fs::remove_file(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        assert_eq!(soon(&mut directories).await, Changes::Of([1].into()));
        directories.clear(1);
        assert!(directories.names.is_empty() && directories.looks.is_empty());
    }

    #[tokio::test]
    async fn a_deleted_directory_is_noticed_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        let root = Rootfs::open(dir.path()).unwrap();
        let mut directories = Directories::new();
        directories.set(1, &root, &paths(&["/run/x"]));
        assert_eq!(directories.names.len(), 2);
        fs::remove_dir(dir.path().join("run")).unwrap();
        assert_eq!(soon(&mut directories).await, Changes::Of([1].into()));
        assert_eq!(directories.names.len(), 1, "the kernel has dropped the watch");
        directories.set(1, &root, &paths(&["/run/x"]));
        directories.clear(1);
        assert!(directories.names.is_empty());
    }
}
