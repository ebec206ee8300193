//! Containers that start or stop -> hints, from `lxc-monitor`: one child for each lxcpath.
//!
//! In: which container a key is about. Out: keys, each meaning "look again". Never: a failure where LXC is not installed.
//!
//! `lxc-monitor` starts one `lxc-monitord` for its lxcpath if there is none; containers report to that daemon, within a millisecond and
//! with or without systemd, and it goes away by itself 30 s after its last listener has. It may have others, so it is never told to quit.
//! A monitor ends with its reader, however that ends.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::Key;
use super::orphan::ends_with_us;
use crate::api::v1::{ContainerRef, Runtime};
use crate::names::ContainerName;

/// Listens for containers that start or stop.
#[derive(Debug)]
pub struct Starts {
    /// The lxcpath of containers that name none; `None`: LXC's own default.
    lxcpath: Option<PathBuf>,
    places: HashMap<Place, Listener>,
    subjects: HashMap<Key, (Place, ContainerName)>,
    due: BTreeSet<Key>,
    news: mpsc::Receiver<News>,
    sender: mpsc::Sender<News>,
}

/// An lxcpath; `None`: LXC's own default.
type Place = Option<PathBuf>;

/// One child, and who is interested in what it says.
#[derive(Debug)]
struct Listener {
    names: HashMap<ContainerName, BTreeSet<Key>>,
    task: JoinHandle<()>,
}

/// What a child said about its place.
#[derive(Debug)]
enum News {
    /// This container started or stopped.
    Of(Place, String),
    /// Anything may have happened while nobody listened.
    Any(Place),
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// `lxc-monitor` does not say when it has begun to listen; by then it has.
const SETTLED: Duration = Duration::from_secs(1);

impl Starts {
    /// Listens to nothing yet.
    #[must_use]
    pub fn new(lxcpath: Option<PathBuf>) -> Self {
        let (sender, news) = mpsc::channel(64);
        Self { lxcpath, places: HashMap::new(), subjects: HashMap::new(), due: BTreeSet::new(), news, sender }
    }

    /// Replaces the container that `key` is about. Nothing is listened to for the host, a `Directory`, or another runtime's container.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub fn set(&mut self, key: Key, reference: Option<&ContainerRef>) {
        let subject = reference.filter(|reference| matches!(reference.runtime, Runtime::Auto | Runtime::Lxc)).and_then(|reference| {
            let place = reference.path.as_ref().map(PathBuf::from).or_else(|| self.lxcpath.clone());
            Some((place, reference.name.clone()?))
        });
        if self.subjects.get(&key) == subject.as_ref() {
            return;
        }
        self.clear(key);
        let Some((place, name)) = subject else { return };
        let sender = &self.sender;
        let listener = self
            .places
            .entry(place.clone())
            .or_insert_with(|| Listener { names: HashMap::new(), task: tokio::spawn(listen(place.clone(), sender.clone())) });
        listener.names.entry(name.clone()).or_default().insert(key);
        self.subjects.insert(key, (place, name));
    }

    /// Forgets `key`. A hint that it had is dropped.
    pub fn clear(&mut self, key: Key) {
        self.due.remove(&key);
        let Some((place, name)) = self.subjects.remove(&key) else { return };
        let Some(listener) = self.places.get_mut(&place) else { return };
        if let Some(keys) = listener.names.get_mut(&name) {
            keys.remove(&key);
            if keys.is_empty() {
                listener.names.remove(&name);
            }
        }
        if listener.names.is_empty() {
            self.places.remove(&place);
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
                    let keys = self.places.get(&place).and_then(|listener| listener.names.get(name.as_str()));
                    self.due.extend(keys.into_iter().flatten());
                }
                Some(News::Any(place)) => {
                    let names = self.places.get(&place).map(|listener| listener.names.values());
                    self.due.extend(names.into_iter().flatten().flatten());
                }
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The child goes with the task.
        self.task.abort();
    }
}

/// Keeps a child running, until nobody wants the news.
async fn listen(place: Place, news: mpsc::Sender<News>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let end = match spawn(&place) {
            Ok(child) => relay(child, &place, &news).await,
            Err(error) => Err(error),
        };
        if let Err(error) = end {
            tracing::debug!(%error, lxcpath = ?place, "lxc-monitor can't be run; containers that start are found by looking again");
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

fn spawn(place: &Place) -> io::Result<Child> {
    let mut command = Command::new("lxc-monitor");
    if let Some(path) = place {
        command.arg("-P").arg(path);
    }
    command.args(["-n", ".*"]).env("LC_ALL", "C").kill_on_drop(true);
    ends_with_us(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// Passes on what a child says, until it ends.
async fn relay(mut child: Child, place: &Place, news: &mpsc::Sender<News>) -> io::Result<()> {
    let Some(stdout) = child.stdout.take() else { return Ok(()) };
    // A line is as long as a name and a state: the child prints messages of a fixed size.
    let mut lines = BufReader::new(stdout).lines();
    let settled = Instant::now() + SETTLED;
    let mut told = false;
    loop {
        let message = tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => match changed(&line) {
                    Some(name) => News::Of(place.clone(), name.to_owned()),
                    None => continue,
                },
                None => break,
            },
            () = sleep_until(settled), if !told => {
                told = true;
                News::Any(place.clone())
            }
        };
        if news.send(message).await.is_err() {
            return Ok(());
        }
    }
    let status = child.wait().await?;
    tracing::debug!(%status, lxcpath = ?place, "lxc-monitor has ended");
    Ok(())
}

/// The container of `'web' changed state to [RUNNING]`, for states that change what can be reached.
fn changed(line: &str) -> Option<&str> {
    let (name, state) = line.strip_prefix('\'')?.rsplit_once("' changed state to [")?;
    matches!(state, "RUNNING]" | "STOPPED]").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_running_and_stopped_are_news() {
        assert_eq!(changed("'web' changed state to [RUNNING]"), Some("web"));
        assert_eq!(changed("'web' changed state to [STOPPED]"), Some("web"));
        for line in ["'web' changed state to [STARTING]", "'web' exited with status [0]", "", "web", "' changed state to ["] {
            assert_eq!(changed(line), None, "{line}");
        }
    }

    #[tokio::test]
    async fn a_key_hears_of_its_own_container_and_of_anything_at_its_place() {
        let reference = |name: &str| ContainerRef { name: name.parse().ok(), runtime: Runtime::Auto, path: None, rootfs: None };
        let place = Some(PathBuf::from("/nowhere/lxc"));
        let mut starts = Starts::new(place.clone());
        starts.set(1, Some(&reference("a")));
        starts.set(2, Some(&reference("b")));
        starts.set(3, None);
        assert_eq!(starts.places.len(), 1);
        starts.sender.send(News::Of(place.clone(), "b".into())).await.unwrap();
        assert_eq!(starts.next().await, 2);
        starts.sender.send(News::Any(place)).await.unwrap();
        assert_eq!((starts.next().await, starts.next().await), (1, 2));
        starts.clear(1);
        starts.set(2, None);
        assert!(starts.places.is_empty() && starts.subjects.is_empty());
    }
}
