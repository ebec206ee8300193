//! What has changed -> served, kept on disk, and said: in this order.
//!
//! In: Apps and Gateways as they are, routes and listeners that are new. Out: snapshots, log lines, saved records. Never: a publication without news.

mod gateways;
mod strays;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imbl::OrdMap;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::desired::Stray;
use super::entry::Entry;
use super::gateways::Gateways;
use super::resource;
use crate::api::v1::{App, AppResource, Gateway, GatewayResource};
use crate::listen::Sockets;
use crate::names::AppName;
use crate::route::{CompiledApp, Listeners};
use crate::snapshot::{Publisher, Snapshot};
use crate::state::{Error, Kept, Record, Store};

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
    gateways: OrdMap<String, Arc<GatewayResource>>,
    strays: BTreeMap<String, Stray>,
    gateway_strays: BTreeMap<String, Stray>,
    /// Apps whose resource may be out of date.
    changed: BTreeSet<AppName>,
    /// Gateways whose resource may be out of date.
    changed_gateways: BTreeSet<AppName>,
    /// The writer of the records of these.
    keeping: Option<(JoinHandle<()>, Batch)>,
    news: bool,
    opened: bool,
    sweep: Option<Instant>,
}

/// Apps and Gateways whose records are kept together.
#[derive(Debug)]
struct Batch {
    apps: BTreeSet<AppName>,
    gateways: BTreeSet<AppName>,
}

impl Board {
    /// An empty board; and what earlier runs have kept.
    pub(super) fn new(publisher: Publisher, store: Store) -> (Self, Vec<Record<App>>, Vec<Record<Gateway>>) {
        let (records, problems) = store.load();
        let (gateways, more_problems) = store.load();
        for problem in problems.iter().chain(&more_problems) {
            tracing::error!("state: {}", with_source(problem));
        }
        let board = Self {
            publisher,
            store: Arc::new(store),
            listeners: Listeners::default(),
            sockets: Sockets::default(),
            resources: OrdMap::new(),
            gateways: OrdMap::new(),
            strays: BTreeMap::new(),
            gateway_strays: BTreeMap::new(),
            changed: BTreeSet::new(),
            changed_gateways: BTreeSet::new(),
            keeping: None,
            // The first publication says that there is something to read.
            news: true,
            opened: false,
            sweep: None,
        };
        (board, records, gateways)
    }

    /// Something about an App has changed.
    pub(super) fn note(&mut self, name: AppName) {
        self.changed.insert(name);
    }

    /// Its routes have changed; conflicts of those that share a host may have, too.
    pub(super) fn route(&mut self, app: CompiledApp) {
        let name = app.name.clone();
        self.changed.extend(self.listeners.neighbours(&name));
        self.count_attached(&name, |listeners| listeners.insert(&Arc::new(app)));
        self.changed.extend(self.listeners.neighbours(&name));
        self.changed.insert(name);
        self.news = true;
    }

    /// It is gone, and its routes with it.
    pub(super) fn remove(&mut self, name: AppName) {
        self.changed.extend(self.listeners.neighbours(&name));
        self.count_attached(&name, |listeners| listeners.remove(&name));
        self.changed.insert(name);
        self.news = true;
    }

    /// The manifests that belong to no App, and those that belong to no Gateway.
    pub(super) fn strays(&mut self, apps: Vec<Stray>, gateways: Vec<Stray>) {
        self.news |= strays::show(&mut self.resources, &mut self.strays, apps);
        self.news |= strays::show(&mut self.gateways, &mut self.gateway_strays, gateways);
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
    pub(super) fn publish(&mut self, entries: &BTreeMap<AppName, Entry>, gateways: &Gateways) {
        self.publish_news();
        if self.keeping.is_none() && !self.nothing_changed() {
            let batch = Batch {
                apps: std::iter::from_fn(|| self.changed.pop_first()).take(BATCH).collect(),
                gateways: std::mem::take(&mut self.changed_gateways),
            };
            let record = |name: &AppName| (entries.get(name).map(|entry| entry.record.clone()), name.clone());
            let gateway = |name: &AppName| (gateways.entry(name).map(|entry| entry.record.clone()), name.clone());
            let (apps, gateways) = (batch.apps.iter().map(record).collect(), batch.gateways.iter().map(gateway).collect());
            let store = self.store.clone();
            let keep = move || {
                keep_all::<Gateway>(&store, gateways);
                keep_all::<App>(&store, apps);
            };
            self.keeping = Some((tokio::task::spawn_blocking(keep), batch));
        }
    }

    /// Whether all that has changed is kept, and said.
    pub(super) fn is_settled(&self) -> bool {
        self.keeping.is_none() && self.nothing_changed()
    }

    fn nothing_changed(&self) -> bool {
        self.changed.is_empty() && self.changed_gateways.is_empty()
    }

    /// The first publication. Until then nothing is served and nothing said, so that whoever asks a daemon that is ready finds every App.
    pub(super) fn open(&mut self) {
        self.opened = true;
        self.publish_news();
    }

    /// Waits until what was begun is kept, and says it; never ends if nothing was begun. Cancel-safe.
    pub(super) async fn kept(&mut self, entries: &BTreeMap<AppName, Entry>, gateways: &Gateways) {
        let Some((keeping, _)) = &mut self.keeping else { return std::future::pending().await };
        if keeping.await.is_err() {
            tracing::error!("state can't be kept: the writer has failed");
        }
        let Some((_, batch)) = self.keeping.take() else { return };
        let now = now();
        // What has changed again meanwhile is said when that is kept.
        for name in batch.gateways.difference(&self.changed_gateways.clone()) {
            self.describe_gateway(name, gateways.entry(name), &now);
        }
        for name in batch.apps.difference(&self.changed.clone()) {
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
                gateways: self.gateways.clone(),
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
        let after = resource::of_entry(entry, self.open_to(name), &self.listeners.conflicts(name), before.as_deref(), now);
        resource::log_changes(before.as_deref(), &after);
        if before.as_deref() != Some(&after) {
            self.resources.insert(name.to_string(), Arc::new(after));
            self.news = true;
        }
    }
}

/// A failing disk costs the memory of a later start, never what is served now.
fn keep_all<T: Kept>(store: &Store, records: Vec<(Option<Record<T>>, AppName)>) {
    for (record, name) in records {
        if let Err(error) = keep(store, record, &name) {
            tracing::error!(kind = T::DIRECTORY, name = %name, "state can't be kept: {}", with_source(&error));
        }
    }
}

fn keep<T: Kept>(store: &Store, record: Option<Record<T>>, name: &AppName) -> Result<(), Error> {
    match record {
        Some(record) if record.good.is_some() => store.save(&record),
        // Nothing that was ever served: there is nothing to remember.
        Some(_) => Ok(()),
        None => store.remove::<T>(name),
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
