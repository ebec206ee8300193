//! What has changed -> served, kept on disk, and said: in this order.
//!
//! In: Apps as they are, routes that are new. Out: snapshots, log lines, saved records. Never: a publication without news.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imbl::OrdMap;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Listening;
use super::desired::Stray;
use super::entry::Entry;
use super::resource;
use crate::api::v1::{App, AppResource};
use crate::listen::{self, Sharing, Sockets};
use crate::names::AppName;
use crate::route::{CompiledApp, Front, Listeners};
use crate::snapshot::{Publisher, Snapshot};
use crate::state::{Error, Record, Store};

/// The threads let go of an old picture within this time, unless one is stuck.
const SWEEP: Duration = Duration::from_millis(200);
/// Records that are kept before the next word is said of them.
const BATCH: usize = 64;

/// What is shown, and what has to be shown next.
#[derive(Debug)]
pub(super) struct Board {
    publisher: Publisher,
    store: Arc<Store>,
    listeners: Listeners,
    sockets: Sockets,
    resources: OrdMap<String, Arc<AppResource>>,
    strays: BTreeMap<String, Stray>,
    /// Apps whose resource may be out of date.
    changed: BTreeSet<AppName>,
    /// The writer of the records of these Apps.
    keeping: Option<(JoinHandle<()>, BTreeSet<AppName>)>,
    news: bool,
    opened: bool,
    sweep: Option<Instant>,
}

impl Board {
    /// An empty board; and what earlier runs have kept.
    pub(super) fn new(publisher: Publisher, store: Store, listening: Listening) -> (Self, Vec<Record<App>>) {
        let mut listeners = Listeners::default();
        let mut sockets = BTreeMap::new();
        let bound = listen::bind(listening.address, listening.threads, Sharing::Alone);
        match bound.and_then(|bound| bound.open().map(|()| Arc::new(bound))) {
            Ok(bound) => {
                listeners.set([Front { name: None, socket: bound.local_addr(), hostname: None }]);
                sockets.insert(bound.local_addr(), bound);
            }
            Err(error) => tracing::error!(address = %listening.address, "can't listen: {error}"),
        }
        let (records, problems) = store.load();
        for problem in &problems {
            tracing::error!("state: {}", with_source(problem));
        }
        let board = Self {
            publisher,
            store: Arc::new(store),
            listeners,
            sockets: Arc::new(sockets),
            resources: OrdMap::new(),
            strays: BTreeMap::new(),
            changed: BTreeSet::new(),
            keeping: None,
            // The first publication says that there is something to read.
            news: true,
            opened: false,
            sweep: None,
        };
        (board, records)
    }

    /// Something about an App has changed.
    pub(super) fn note(&mut self, name: AppName) {
        self.changed.insert(name);
    }

    /// Its routes have changed; conflicts of those that share a host may have, too.
    pub(super) fn route(&mut self, app: CompiledApp) {
        let name = app.name.clone();
        self.changed.extend(self.listeners.neighbours(&name));
        self.listeners.insert(&Arc::new(app));
        self.changed.extend(self.listeners.neighbours(&name));
        self.changed.insert(name);
        self.news = true;
    }

    /// It is gone, and its routes with it.
    pub(super) fn remove(&mut self, name: AppName) {
        self.changed.extend(self.listeners.neighbours(&name));
        self.listeners.remove(&name);
        self.changed.insert(name);
        self.news = true;
    }

    /// The manifests that belong to no App.
    pub(super) fn strays(&mut self, strays: Vec<Stray>) {
        // A space keeps the key apart from every App's name, a number documents of one file from each other.
        let key = |(number, stray): (usize, Stray)| (format!("{} {} {number}", stray.name, stray.file), stray);
        let mut of_file = BTreeMap::new();
        let numbered = strays.into_iter().map(|stray| {
            let number = of_file.entry(stray.file.clone()).and_modify(|number| *number += 1).or_insert(0_usize);
            (*number, stray)
        });
        let strays: BTreeMap<_, _> = numbered.map(key).collect();
        if strays == self.strays {
            return;
        }
        let now = now();
        for gone in self.strays.keys().filter(|key| !strays.contains_key(*key)) {
            self.resources.remove(gone);
        }
        self.strays = strays;
        for (key, stray) in &self.strays {
            let before = self.resources.get(key).cloned();
            let after = resource::of_stray(stray, before.as_deref(), &now);
            resource::log_changes(before.as_deref(), &after);
            self.resources.insert(key.clone(), Arc::new(after));
        }
        self.news = true;
    }

    /// When old pictures are freed next: they hold the roots of containers, which may be gone.
    pub(super) fn sweep_due(&self) -> Option<Instant> {
        self.sweep
    }

    /// Frees what no thread holds any more, if it is time.
    pub(super) fn sweep(&mut self) {
        if self.sweep.is_some_and(|due| due <= Instant::now()) {
            self.sweep = self.publisher.free_retired().then(|| Instant::now() + SWEEP);
        }
    }

    /// Serves what has changed, and begins to keep it on disk; it is said when that is done ([`Board::kept`]): what is said to be served
    /// outlives a `kill -9`, and a slow disk holds up no change.
    pub(super) fn publish(&mut self, entries: &BTreeMap<AppName, Entry>) {
        self.publish_news();
        if self.keeping.is_none() && !self.changed.is_empty() {
            let names: BTreeSet<_> = std::iter::from_fn(|| self.changed.pop_first()).take(BATCH).collect();
            let record = |name: &AppName| (entries.get(name).map(|entry| entry.record.clone()), name.clone());
            let (records, store) = (names.iter().map(record).collect(), self.store.clone());
            self.keeping = Some((tokio::task::spawn_blocking(move || keep_all(&store, records)), names));
        }
    }

    /// Whether all that has changed is kept, and said.
    pub(super) fn is_settled(&self) -> bool {
        self.keeping.is_none() && self.changed.is_empty()
    }

    /// The first publication. Until then nothing is served and nothing said, so that whoever asks a daemon that is ready finds every App.
    pub(super) fn open(&mut self) {
        self.opened = true;
        self.publish_news();
    }

    /// Waits until what was begun is kept, and says it; never ends if nothing was begun. Cancel-safe.
    pub(super) async fn kept(&mut self, entries: &BTreeMap<AppName, Entry>) {
        let Some((keeping, _)) = &mut self.keeping else { return std::future::pending().await };
        if keeping.await.is_err() {
            tracing::error!("state can't be kept: the writer has failed");
        }
        let Some((_, names)) = self.keeping.take() else { return };
        let now = now();
        // What has changed again meanwhile is said when that is kept.
        for name in names.difference(&self.changed.clone()) {
            self.describe(name, entries.get(name), &now);
        }
        self.publish_news();
    }

    fn publish_news(&mut self) {
        if self.opened && std::mem::take(&mut self.news) {
            self.publisher.publish(Snapshot {
                sockets: self.sockets.clone(),
                listeners: self.listeners.clone(),
                apps: self.resources.clone(),
                ..Snapshot::default()
            });
            self.sweep.get_or_insert_with(|| Instant::now() + SWEEP);
        }
    }

    fn describe(&mut self, name: &AppName, entry: Option<&Entry>, now: &str) {
        let before = self.resources.get(name.as_str()).cloned();
        let Some(entry) = entry else {
            self.news |= self.resources.remove(name.as_str()).is_some();
            return;
        };
        let after = resource::of_entry(entry, &self.listeners.conflicts(name), before.as_deref(), now);
        resource::log_changes(before.as_deref(), &after);
        if before.as_deref() != Some(&after) {
            self.resources.insert(name.to_string(), Arc::new(after));
            self.news = true;
        }
    }
}

/// A failing disk costs the memory of a later start, never what is served now.
fn keep_all(store: &Store, records: Vec<(Option<Record<App>>, AppName)>) {
    for (record, name) in records {
        if let Err(error) = keep(store, record, &name) {
            tracing::error!(app = %name, "state can't be kept: {}", with_source(&error));
        }
    }
}

fn keep(store: &Store, record: Option<Record<App>>, name: &AppName) -> Result<(), Error> {
    match record {
        Some(record) if record.good.is_some() => store.save(&record),
        // Nothing that was ever served: there is nothing to remember.
        Some(_) => Ok(()),
        None => store.remove::<App>(name),
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
