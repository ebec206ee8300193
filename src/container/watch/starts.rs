//! Containers that start or stop -> hints: one listener for each place that containers are run from.
//!
//! In: which container a key is about. Out: keys, each meaning "look again". Never: a failure where a runtime is not installed.

mod files;
mod incus;
mod lxc;

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::nspawn::RECORDS;
use super::Key;
use crate::api::v1::{ContainerRef, Runtime};
use crate::container::incus::{Door, Product};

/// Listens for containers that start or stop.
#[derive(Debug)]
pub struct Starts {
    /// The lxcpath of containers that name none; `None`: LXC's own default.
    lxcpath: Option<PathBuf>,
    listeners: HashMap<Place, Listener>,
    subjects: HashMap<Key, Vec<Subject>>,
    due: BTreeSet<Key>,
    news: mpsc::Receiver<News>,
    sender: mpsc::Sender<News>,
}

/// Where containers are run from, and so where it is heard that one starts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    /// Plain LXC, at an lxcpath; `None`: LXC's own default.
    Lxc(Option<PathBuf>),
    /// Incus or LXD, at the first of these places.
    Incus(Vec<Door>),
    /// What systemd-machined keeps of machines that run.
    Machines,
    /// Files with pids, in this directory.
    PidFiles(PathBuf),
}

/// A place, and the name of a container, or of the file that stands for it, there.
type Subject = (Place, String);

/// One source of news, and who is interested in it.
#[derive(Debug)]
struct Listener {
    names: HashMap<String, BTreeSet<Key>>,
    task: JoinHandle<()>,
}

/// What was heard from a place.
#[derive(Debug)]
enum News {
    /// This container started or stopped.
    Of(Place, String),
    /// Anything may have happened while nobody listened.
    Any(Place),
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(30);

impl Starts {
    /// Listens to nothing yet.
    #[must_use]
    pub fn new(lxcpath: Option<PathBuf>) -> Self {
        let (sender, news) = mpsc::channel(64);
        Self { lxcpath, listeners: HashMap::new(), subjects: HashMap::new(), due: BTreeSet::new(), news, sender }
    }

    /// Replaces the container that `key` is about; its `pidFile` is a path of the host ([`ContainerRef::anchored`]). Nothing is listened to for the host or a `Directory`.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub fn set(&mut self, key: Key, reference: Option<&ContainerRef>) {
        let subjects = reference.map(|reference| self.subjects_of(reference)).unwrap_or_default();
        if self.subjects.get(&key).is_some_and(|known| *known == subjects) {
            return;
        }
        self.clear(key);
        if subjects.is_empty() {
            return;
        }
        for (place, name) in &subjects {
            let sender = &self.sender;
            let listener = self
                .listeners
                .entry(place.clone())
                .or_insert_with(|| Listener { names: HashMap::new(), task: tokio::spawn(listen(place.clone(), sender.clone())) });
            listener.names.entry(name.clone()).or_default().insert(key);
        }
        self.subjects.insert(key, subjects);
    }

    /// Where a container may be heard of.
    fn subjects_of(&self, reference: &ContainerRef) -> Vec<Subject> {
        if let Some(file) = reference.pid_file.as_ref().map(Path::new) {
            let subject = |(directory, name): (&Path, &OsStr)| (Place::PidFiles(directory.to_owned()), name.to_string_lossy().into_owned());
            return file.parent().zip(file.file_name()).map(subject).into_iter().collect();
        }
        let Some(name) = reference.name.as_ref() else { return Vec::new() };
        let path = reference.path.as_ref().map(PathBuf::from);
        let mut subjects = Vec::new();
        if matches!(reference.runtime, Runtime::Auto | Runtime::Lxc) {
            subjects.push((Place::Lxc(path.clone().or_else(|| self.lxcpath.clone())), name.to_string()));
        }
        for (runtime, product) in [(Runtime::Incus, Product::Incus), (Runtime::Lxd, Product::Lxd)] {
            let subject = (Place::Incus(product.doors(path.as_deref())), name.to_string());
            // Both are in one place where the manifest names it.
            if (reference.runtime == Runtime::Auto || reference.runtime == runtime) && !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        if matches!(reference.runtime, Runtime::Auto | Runtime::Nspawn) {
            subjects.push((Place::Machines, name.to_string()));
        }
        subjects
    }

    /// Forgets `key`. A hint that it had is dropped.
    pub fn clear(&mut self, key: Key) {
        self.due.remove(&key);
        for (place, name) in self.subjects.remove(&key).unwrap_or_default() {
            let Some(listener) = self.listeners.get_mut(&place) else { continue };
            if let Some(keys) = listener.names.get_mut(&name) {
                keys.remove(&key);
                if keys.is_empty() {
                    listener.names.remove(&name);
                }
            }
            if listener.names.is_empty() {
                self.listeners.remove(&place);
            }
        }
    }

    /// The next key to look at. Safe to drop at any time: no hint is lost.
    pub async fn next(&mut self) -> Key {
        loop {
            if let Some(key) = self.due.pop_first() {
                return key;
            }
            // Never closed: a sender is held here.
            match self.news.recv().await {
                Some(News::Of(place, name)) => {
                    let keys = self.listeners.get(&place).and_then(|listener| listener.names.get(name.as_str()));
                    self.due.extend(keys.into_iter().flatten());
                }
                Some(News::Any(place)) => {
                    let names = self.listeners.get(&place).map(|listener| listener.names.values());
                    self.due.extend(names.into_iter().flatten().flatten());
                }
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // What it holds goes with it.
        self.task.abort();
    }
}

/// Listens to a place, until nobody wants the news.
async fn listen(place: Place, news: mpsc::Sender<News>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        if let Err(error) = relay(&place, &news).await {
            tracing::debug!(%error, ?place, "nothing is heard of containers that start; they are found by looking again");
        }
        if news.is_closed() {
            return;
        }
        if started.elapsed() > LAST_PAUSE {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Passes on what is heard, until the source ends.
async fn relay(place: &Place, news: &mpsc::Sender<News>) -> io::Result<()> {
    match place {
        Place::Lxc(lxcpath) => lxc::listen(lxcpath.as_deref(), place, news).await,
        Place::Incus(doors) => incus::listen(doors, place, news).await,
        Place::Machines => files::listen(Path::new(RECORDS), place, news).await,
        Place::PidFiles(directory) => files::listen(directory, place, news).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_hears_of_its_own_container_and_of_anything_at_its_place() {
        let reference =
            |name: &str| ContainerRef { name: name.parse().ok(), runtime: Runtime::Auto, path: None, rootfs: None, pid_file: None };
        let lxcpath = PathBuf::from("/nowhere/lxc");
        let place = Place::Lxc(Some(lxcpath.clone()));
        let mut starts = Starts::new(Some(lxcpath));
        starts.set(1, Some(&reference("a")));
        starts.set(2, Some(&reference("b")));
        starts.set(3, None);
        assert_eq!(starts.listeners.len(), 4, "LXC's, Incus', LXD's, and machined's, for both");
        starts.sender.send(News::Of(place.clone(), "b".into())).await.unwrap();
        assert_eq!(starts.next().await, 2);
        starts.sender.send(News::Any(place)).await.unwrap();
        assert_eq!((starts.next().await, starts.next().await), (1, 2));
        starts.set(1, Some(&ContainerRef { path: Some("/srv/lxd".into()), ..reference("a") }));
        assert_eq!(starts.subjects[&1].len(), 3, "one place for both daemons where it is named");
        starts.clear(1);
        starts.set(2, None);
        assert!(starts.listeners.is_empty() && starts.subjects.is_empty());
    }

    #[tokio::test]
    async fn a_pid_file_is_listened_to_in_its_directory_and_no_runtime_is() {
        let file = |file: &str| ContainerRef {
            name: "a".parse().ok(),
            runtime: Runtime::Auto,
            path: None,
            rootfs: None,
            pid_file: Some(file.to_owned()),
        };
        let mut starts = Starts::new(None);
        starts.set(1, Some(&file("/nowhere/run/a.pid")));
        starts.set(2, Some(&file("/nowhere/run/b.pid")));
        let place = Place::PidFiles("/nowhere/run".into());
        assert_eq!(starts.listeners.keys().collect::<Vec<_>>(), [&place]);
        // What its listener says first.
        assert_eq!((starts.next().await, starts.next().await), (1, 2));
        starts.sender.send(News::Of(place, "b.pid".into())).await.unwrap();
        assert_eq!(starts.next().await, 2);
    }
}
