//! Hints that something in a container may have changed: directories (inotify), mounts, the life of its init; [`Starts`] adds
//! containers that start.
//!
//! In: what to watch, under a key of the caller's. Out: keys, each meaning "look again". Never: a promise that every change gives a hint.

mod directories;
mod orphan;
mod starts;

use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

pub use starts::Starts;

use self::directories::{Changes, Directories};
use super::Container;
use super::init::Init;
use super::readiness::register;
use super::rootfs::Rootfs;
use crate::names::ContainerPath;

/// Chosen by the caller, one for each App.
pub type Key = u64;

/// What is watched for one key.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The container: its init, its mounts, and the root that `paths` are resolved in.
    pub container: Container,
    /// Sockets, roots, files to look at, whether they are there or not.
    pub paths: Vec<ContainerPath>,
}

/// Watches for changes. A key waits in it once at most, however much happens.
///
/// To miss nothing: enter the container, [`Watcher::set`], and only then look at the sockets.
#[derive(Debug)]
pub struct Watcher {
    directories: Directories,
    /// Boxed: a map has room for as many again.
    watched: HashMap<Key, Box<Watched>>,
    /// Keys that have a hint to be given, by when.
    due: BTreeSet<(Instant, Key)>,
    /// Events were lost: everybody gets a hint, then.
    lost: Option<Instant>,
    lost_last: Option<Instant>,
    signs: mpsc::Receiver<Sign>,
    sender: mpsc::Sender<Sign>,
    round: u64,
}

/// What is known about a key.
#[derive(Debug)]
struct Watched {
    /// `None`: there is none, or its init has ended; it must not be held then, for it keeps the mounts busy.
    root: Option<Arc<Rootfs>>,
    paths: Box<[ContainerPath]>,
    life: Option<Life>,
    /// When its hint is due, if it has one.
    due: Option<Instant>,
    /// No hint before this.
    quiet_until: Instant,
}

/// The task that attends an init; it ends with this.
#[derive(Debug)]
struct Life {
    init: Arc<Init>,
    round: u64,
    task: JoinHandle<()>,
}

/// What such a task has to say.
#[derive(Debug, Clone, Copy)]
struct Sign {
    key: Key,
    /// Tells it from a sign of the task before, about another container.
    round: u64,
    ended: bool,
}

/// A key's hints keep this distance: a container that is never still costs a bounded number of looks.
const DISTANCE: Duration = Duration::from_millis(20);
/// Hints to everybody keep this one.
const DISTANCE_OF_ALL: Duration = Duration::from_secs(1);

impl Watcher {
    /// Watches nothing yet. Without inotify (a limit of the kernel) it logs a warning and hints less.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    #[must_use]
    pub fn new() -> Self {
        let (sender, signs) = mpsc::channel(64);
        let directories = Directories::new();
        Self { directories, watched: HashMap::new(), due: BTreeSet::new(), lost: None, lost_last: None, signs, sender, round: 0 }
    }

    /// Replaces what is watched for `key`.
    pub fn set(&mut self, key: Key, watch: Watch) {
        let Watch { container: Container { root, init, .. }, paths } = watch;
        match &root {
            Some(root) => self.directories.set(key, root, &paths),
            None => self.directories.clear(key),
        }
        let before = self.watched.remove(&key);
        let (due, quiet_until) = before.as_ref().map_or((None, Instant::now()), |before| (before.due, before.quiet_until));
        let attended = before.and_then(|before| before.life).filter(|life| init.as_ref().is_some_and(|init| Arc::ptr_eq(init, &life.init)));
        let life = attended.or_else(|| init.map(|init| self.attend(key, init)));
        self.watched.insert(key, Box::new(Watched { root, paths: paths.into(), life, due, quiet_until }));
    }

    /// Watches nothing for `key` any more. A hint that it had is dropped.
    pub fn clear(&mut self, key: Key) {
        self.directories.clear(key);
        if let Some(due) = self.watched.remove(&key).and_then(|watched| watched.due) {
            self.due.remove(&(due, key));
        }
    }

    /// The next key to look at. Safe to drop at any time: no hint is lost.
    pub async fn next(&mut self) -> Key {
        loop {
            let now = Instant::now();
            if self.lost.is_some_and(|at| at <= now) {
                self.hint_all(now);
            }
            if let Some(key) = self.take_due(now) {
                return key;
            }
            let first = self.due.first().map(|(at, _)| *at).into_iter().chain(self.lost).min();
            tokio::select! {
                changes = self.directories.changed() => match changes {
                    Changes::Of(keys) => keys.into_iter().for_each(|key| self.hint(key)),
                    Changes::Any => {
                        self.lost.get_or_insert(self.lost_last.map_or(now, |last| last + DISTANCE_OF_ALL));
                    }
                },
                // Never closed: a sender is held here.
                Some(sign) = self.signs.recv() => self.heed(sign),
                () = until(first) => {}
            }
        }
    }

    fn hint(&mut self, key: Key) {
        let Some(watched) = self.watched.get_mut(&key) else { return };
        if watched.due.is_none() {
            let due = watched.quiet_until.max(Instant::now());
            watched.due = Some(due);
            self.due.insert((due, key));
        }
    }

    fn hint_all(&mut self, now: Instant) {
        tracing::debug!("inotify events were lost; everything is looked at");
        self.lost = None;
        self.lost_last = Some(now);
        let keys: Vec<Key> = self.watched.keys().copied().collect();
        for key in keys {
            self.hint(key);
        }
    }

    fn heed(&mut self, sign: Sign) {
        let Some(watched) = self.watched.get_mut(&sign.key) else { return };
        if watched.life.as_ref().is_some_and(|life| life.round == sign.round) {
            if sign.ended {
                watched.root = None;
            }
            self.hint(sign.key);
        }
    }

    fn take_due(&mut self, now: Instant) -> Option<Key> {
        let &(due, key) = self.due.first().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, key));
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.due = None;
            watched.quiet_until = now + DISTANCE;
            // A directory that has appeared is watched before the caller looks into it.
            if let Some(root) = &watched.root {
                self.directories.set(key, root, &watched.paths);
            }
        }
        Some(key)
    }

    fn attend(&mut self, key: Key, init: Arc<Init>) -> Life {
        self.round += 1;
        let round = self.round;
        // Opened now, so that no mount between this and the first run of the task is missed.
        let mounts = init.mounts().and_then(|table| register(table, Interest::PRIORITY | Interest::ERROR));
        let task = tokio::spawn(attend(init.clone(), mounts.ok(), Sign { key, round, ended: false }, self.sender.clone()));
        Life { init, round, task }
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Gives a sign for each change of the mount table, and a last one when init has ended.
async fn attend(init: Arc<Init>, mounts: Option<AsyncFd<OwnedFd>>, sign: Sign, signs: mpsc::Sender<Sign>) {
    loop {
        let sign = tokio::select! {
            () = init.ended() => Sign { ended: true, ..sign },
            () = changed(mounts.as_ref()) => sign,
        };
        // Waits where many have something to say; the watcher is gone if it fails.
        if signs.send(sign).await.is_err() || sign.ended {
            return;
        }
        sleep(DISTANCE).await;
    }
}

/// proc(5): the table polls as `POLLERR | POLLPRI` after a change.
async fn changed(mounts: Option<&AsyncFd<OwnedFd>>) {
    let Some(mounts) = mounts else { return std::future::pending().await };
    match mounts.ready(Interest::PRIORITY | Interest::ERROR).await {
        Ok(mut ready) => ready.clear_ready(),
        // The runtime shuts down.
        Err(_) => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;

    /// In memory: where others are may be a file system that is looked at elsewhere (an overlay), which gives hints of its own.
    const LOCAL: &str = "/dev/shm";

    fn watch(root: &Path, path: &str) -> Watch {
        let root = Rootfs::open(root).unwrap();
        // Of which is known that it is local.
        root.far().entry(&"/".parse().unwrap()).unwrap();
        Watch {
            container: Container { root: Some(Arc::new(root)), init: None, alive: true, network: None },
            paths: vec![path.parse().unwrap()],
        }
    }

    async fn soon(watcher: &mut Watcher) -> Key {
        tokio::time::timeout(Duration::from_secs(10), watcher.next()).await.unwrap()
    }

    #[tokio::test]
    async fn a_socket_is_noticed_in_directories_that_appear_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::new();
        watcher.set(7, watch(dir.path(), "/run/php/fpm.sock"));
        for step in ["run", "run/php"] {
            fs::create_dir(dir.path().join(step)).unwrap();
            assert_eq!(soon(&mut watcher).await, 7, "{step}");
        }
        let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("run/php/fpm.sock")).unwrap();
        assert_eq!(soon(&mut watcher).await, 7);
    }

    #[tokio::test]
    async fn a_link_on_the_way_is_followed_inside_the_root_and_its_swap_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["var", "run", "other"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        symlink("/run", dir.path().join("var/run")).unwrap();
        let mut watcher = Watcher::new();
        watcher.set(7, watch(dir.path(), "/var/run/x.sock"));
        fs::write(dir.path().join("run/x.sock"), "").unwrap();
        assert_eq!(soon(&mut watcher).await, 7);
        symlink("/other", dir.path().join("var/new")).unwrap();
        fs::rename(dir.path().join("var/new"), dir.path().join("var/run")).unwrap();
        assert_eq!(soon(&mut watcher).await, 7);
        fs::write(dir.path().join("other/x.sock"), "").unwrap();
        assert_eq!(soon(&mut watcher).await, 7);
    }

    #[tokio::test]
    async fn a_storm_of_changes_is_one_hint_and_a_cleared_key_has_none() {
        let dir = tempfile::tempdir_in(LOCAL).unwrap();
        let mut watcher = Watcher::new();
        watcher.set(1, watch(dir.path(), "/x"));
        watcher.set(2, watch(dir.path(), "/x"));
        for _ in 0..500 {
            fs::write(dir.path().join("x"), "").unwrap();
            fs::remove_file(dir.path().join("x")).unwrap();
        }
        assert_eq!(soon(&mut watcher).await, 1);
        assert!(watcher.due.len() < 2);
        watcher.clear(2);
        fs::write(dir.path().join("x"), "").unwrap();
        assert_eq!(soon(&mut watcher).await, 1);
    }

    #[tokio::test]
    async fn the_end_of_an_init_gives_a_hint_and_lets_its_root_go() {
        let dir = tempfile::tempdir_in(LOCAL).unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let mut what = watch(dir.path(), "/x");
        what.container.init = Some(Arc::new(Init::open(child.id()).unwrap()));
        let root = what.container.root.clone().unwrap();
        let mut watcher = Watcher::new();
        watcher.set(7, what);
        drop(child.stdin.take());
        assert_eq!(soon(&mut watcher).await, 7);
        assert_eq!(Arc::strong_count(&root), 1);
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn lost_events_give_everybody_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::new();
        (1..=3).for_each(|key| watcher.set(key, watch(dir.path(), "/x")));
        watcher.lost = Some(Instant::now());
        let keys = BTreeSet::from([soon(&mut watcher).await, soon(&mut watcher).await, soon(&mut watcher).await]);
        assert_eq!(keys, BTreeSet::from([1, 2, 3]));
        assert!(watcher.lost.is_none() && watcher.lost_last.is_some());
    }

    #[tokio::test]
    async fn waiting_can_be_spawned() {
        let (mut watcher, mut starts) = (Watcher::new(), Starts::new(None));
        let task = tokio::spawn(async move {
            tokio::select! { key = watcher.next() => key, key = starts.next() => key }
        });
        tokio::task::yield_now().await;
        assert!(!task.is_finished(), "nothing is watched, nothing is hinted");
        task.abort();
    }
}
