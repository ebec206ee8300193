//! Paths inside containers -> inotify watches on the directories that hold them, shared by all who look at the same name.
//!
//! In: a key, a root, paths. Out: the keys of names that changed. Never: more than one descriptor; an error for want of a watch; a wait for a
//! file system of a container.

mod way;

use std::collections::{BTreeSet, HashMap};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, init, remove_watch};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use self::way::{Found, Look, watch_all};
use super::Key;
use crate::container::readiness::register;
use crate::container::rootfs::Rootfs;
use crate::names::ContainerPath;

/// The watched directories.
#[derive(Debug)]
pub(super) struct Directories {
    /// `None`: there is no inotify; nothing is ever noticed here.
    inotify: Option<Arc<AsyncFd<OwnedFd>>>,
    /// By watch descriptor: who looks at which names in that directory.
    names: HashMap<i32, HashMap<Arc<[u8]>, BTreeSet<Key>>>,
    /// By key: the names it looks at, in order. For each of many Apps a tree would take 280 bytes, and its own copy of each name 32.
    looks: HashMap<Key, Box<[Look]>>,
    /// What was found last: many keys look at the same paths of one root.
    last: Option<Last>,
    /// A shortage was logged already.
    warned: bool,
    /// By key: directories that are being watched elsewhere, for want of an answer at hand.
    underway: HashMap<Key, Underway>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    arrive: mpsc::UnboundedSender<Arrival>,
    round: u64,
}

/// What is watched for some paths. Good for other keys as long as no event was read since: what has happened since is told to them, too.
#[derive(Debug)]
struct Last {
    root: Arc<Rootfs>,
    paths: Box<[ContainerPath]>,
    found: Found,
    at: Instant,
}

/// One such errand; one for each key at a time.
#[derive(Debug)]
struct Underway {
    round: u64,
    /// What was asked for meanwhile.
    next: Option<(Arc<Rootfs>, Vec<ContainerPath>)>,
}

/// Its end.
#[derive(Debug)]
struct Arrival {
    key: Key,
    round: u64,
    /// `None`: nothing has answered in time.
    found: Option<Found>,
}

/// What a read of the queue told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// Something may have changed for these.
    Of(BTreeSet<Key>),
    /// Events were lost: something may have changed for anybody.
    Any,
}

/// How long a file system may take until its directories are left unwatched.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found is used again for so long; a mount that hides a directory gives no event.
const FRESH: Duration = Duration::from_millis(20);

impl Directories {
    /// Needs a tokio runtime with I/O.
    pub(super) fn new() -> Self {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(std::io::Error::from)
            .and_then(|fd| register(fd, Interest::READABLE));
        if let Err(error) = &inotify {
            tracing::warn!(%error, "no inotify: sockets are found by looking again, not at once (fs.inotify.max_user_instances)");
        }
        let (arrive, arrivals) = mpsc::unbounded_channel();
        let (names, looks, underway) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { inotify: inotify.ok().map(Arc::new), names, looks, last: None, warned: false, underway, arrivals, arrive, round: 0 }
    }

    /// Replaces what is looked at for a key. Directories that are missing are watched for in the last one that is there. Where a file system
    /// would have to be asked that is done elsewhere: what was looked at stays so long, and the key counts as changed when it is done.
    pub(super) fn set(&mut self, key: Key, root: &Arc<Rootfs>, paths: &[ContainerPath]) {
        let Some(inotify) = &self.inotify else { return };
        if let Some(underway) = self.underway.get_mut(&key) {
            underway.next = Some((root.clone(), paths.to_vec()));
            return;
        }
        if let Some(found) = self.found_already(root, paths) {
            return self.put(key, found);
        }
        match watch_all(inotify.get_ref(), root.at_hand(), paths) {
            Ok(found) => {
                self.last = Some(Last { root: root.clone(), paths: paths.into(), found: found.clone(), at: Instant::now() });
                self.put(key, found);
            }
            Err(_) => self.set_elsewhere(key, root.clone(), paths.to_vec()),
        }
    }

    /// What was found for another key a moment ago. At a start with 10,000 Apps of one root that is a fifth of what the loop has to do.
    fn found_already(&self, root: &Arc<Rootfs>, paths: &[ContainerPath]) -> Option<Found> {
        let last = self.last.as_ref()?;
        let same = Arc::ptr_eq(&last.root, root) && *last.paths == *paths && last.at.elapsed() < FRESH;
        same.then(|| last.found.clone())
    }

    fn set_elsewhere(&mut self, key: Key, root: Arc<Rootfs>, paths: Vec<ContainerPath>) {
        let Some(inotify) = self.inotify.clone() else { return };
        self.round += 1;
        let (round, arrive) = (self.round, self.arrive.clone());
        self.underway.insert(key, Underway { round, next: None });
        tokio::spawn(async move {
            let late = arrive.clone();
            let watched = root.look_far(PATIENCE, move |view| {
                let found = watch_all(inotify.get_ref(), view, &paths).ok();
                // However late it is: what it watches has to be let go. Unless nobody is there any more.
                drop(arrive.send(Arrival { key, round, found }));
                Ok(())
            });
            if watched.await.is_err() {
                drop(late.send(Arrival { key, round, found: None }));
            }
        });
    }

    /// Takes in what was watched elsewhere. The key, if it hears of more than before: what happened until now may have gone unheard.
    fn arrived(&mut self, Arrival { key, round, found }: Arrival) -> Option<Key> {
        let underway =
            if self.underway.get(&key).is_some_and(|underway| underway.round == round) { self.underway.remove(&key) } else { None };
        let known = self.looks.get(&key);
        let hears_more =
            found.as_ref().is_some_and(|found| found.looks.iter().any(|look| known.is_none_or(|known| known.binary_search(look).is_err())));
        match (underway, found) {
            (Some(underway), found) => {
                if let Some(found) = found {
                    self.put(key, found);
                }
                if let Some((root, paths)) = underway.next {
                    self.set(key, &root, &paths);
                }
                hears_more.then_some(key)
            }
            // It was cleared, or is late: what nobody looks at is let go.
            (None, Some(found)) => {
                found.looks.iter().for_each(|look| self.let_go(look.0));
                None
            }
            (None, None) => None,
        }
    }

    fn put(&mut self, key: Key, Found { looks, short }: Found) {
        if short && !self.warned {
            self.warned = true;
            tracing::warn!("no more inotify watches: some sockets are found by looking again (fs.inotify.max_user_watches)");
        }
        let looks: Box<[Look]> = looks.into_iter().map(|(directory, name)| (directory, self.enter(key, directory, name))).collect();
        // The new ones stand before the old ones go: a watch that stays misses nothing.
        let before = self.looks.remove(&key).unwrap_or_default();
        for look in before.iter().filter(|look| looks.binary_search(look).is_err()) {
            self.release(key, look);
        }
        if !looks.is_empty() {
            self.looks.insert(key, looks);
        }
    }

    /// The key looks at a name. Returns the one copy of that name.
    fn enter(&mut self, key: Key, directory: i32, name: Arc<[u8]>) -> Arc<[u8]> {
        let names = self.names.entry(directory).or_default();
        let name = names.get_key_value(&name).map_or(name, |(known, _)| known.clone());
        names.entry(name.clone()).or_default().insert(key);
        name
    }

    /// Forgets a key.
    pub(super) fn clear(&mut self, key: Key) {
        self.underway.remove(&key);
        for look in &self.looks.remove(&key).unwrap_or_default() {
            self.release(key, look);
        }
    }

    /// Waits for the next change. Safe to drop at any time.
    pub(super) async fn changed(&mut self) -> Changes {
        let Some(inotify) = self.inotify.clone() else { return std::future::pending().await };
        self.last = None;
        loop {
            let ready = tokio::select! {
                ready = inotify.readable() => ready,
                Some(arrival) = self.arrivals.recv() => match self.arrived(arrival) {
                    Some(key) => return Changes::Of([key].into()),
                    None => continue,
                },
            };
            // An error means that the runtime shuts down.
            let Ok(mut ready) = ready else { return std::future::pending().await };
            match drain(inotify.get_ref(), &mut self.names) {
                None => ready.clear_ready(),
                Some(Changes::Of(keys)) if keys.is_empty() => {}
                Some(changes) => return changes,
            }
        }
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
            self.last = None;
            self.let_go(*directory);
        }
    }

    /// Ends a watch that nobody has a name in.
    fn let_go(&self, directory: i32) {
        if let (Some(inotify), false) = (&self.inotify, self.names.contains_key(&directory)) {
            // Fails if the kernel has dropped the watch with its directory; numbers are not given out again.
            let _ = remove_watch(inotify.get_ref(), directory);
        }
    }
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

    /// A directory in memory: where others are may be a file system that is looked at elsewhere (an overlay).
    fn local() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").unwrap()
    }

    /// A root of which is known that it is local.
    fn root(dir: &tempfile::TempDir) -> Arc<Rootfs> {
        let root = Arc::new(Rootfs::open(dir.path()).unwrap());
        root.far().entry(&"/".parse().unwrap()).unwrap();
        root
    }

    async fn soon(directories: &mut Directories) -> Changes {
        tokio::time::timeout(Duration::from_secs(10), directories.changed()).await.unwrap()
    }

    #[test]
    fn levels_start_at_the_top_and_skip_empty_names() {
        let [path] = &paths(&["/run//php/x.sock/"])[..] else { unreachable!() };
        let levels: Vec<_> = super::way::levels(path).iter().map(|(_, name)| String::from_utf8(name.to_vec()).unwrap()).collect();
        assert_eq!(levels, ["run", "php", "x.sock"]);
        assert!(super::way::levels(&"/".parse().unwrap()).is_empty());
    }

    #[tokio::test]
    async fn keys_that_look_at_one_directory_share_its_watch_and_only_hear_of_their_own_names() {
        let dir = local();
        let root = root(&dir);
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
    async fn what_was_found_for_one_key_serves_others_until_events_are_read() {
        let dir = local();
        let root = root(&dir);
        let mut directories = Directories::new();
        fs::create_dir(dir.path().join("run")).unwrap();
        directories.set(1, &root, &paths(&["/run/x"]));
        // Nobody has been told of it yet: it is told to both.
        fs::rename(dir.path().join("run"), dir.path().join("old")).unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        assert!(directories.last.is_some());
        directories.set(2, &root, &paths(&["/run/x"]));
        assert_eq!(soon(&mut directories).await, Changes::Of([1, 2].into()));
        assert!(directories.last.is_none());
        for key in [1, 2] {
            directories.set(key, &root, &paths(&["/run/x"]));
        }
        fs::write(dir.path().join("run/x"), "").unwrap();
        assert_eq!(soon(&mut directories).await, Changes::Of([1, 2].into()));
        (1..=2).for_each(|key| directories.clear(key));
        assert!(directories.names.is_empty() && directories.last.is_none(), "no watch is used that is gone");
    }

    #[tokio::test]
    async fn a_deleted_directory_is_noticed_and_forgotten() {
        let dir = local();
        fs::create_dir(dir.path().join("run")).unwrap();
        let root = root(&dir);
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
