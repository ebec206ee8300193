//! What has changed -> served, kept on disk, and said: in this order.
//!
//! In: Apps as they are, routes that are new. Out: snapshots, log lines, events, saved records. Never: a publication without news.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imbl::OrdMap;
use tokio::time::Instant;

use super::changes::{Subject, tell, tell_removed};
use super::desired::Stray;
use super::entry::Entry;
use super::events::{Events, Moment};
use super::keep::{BATCH, Keeper, with_source};
use super::origin::{self, Origin};
use super::{fault, resource};
use crate::api::v1::{App, AppResource};
use crate::listen::{Bound, Sockets};
use crate::names::AppName;
use crate::route::{CompiledApp, Front, Listeners};
use crate::snapshot::{Publisher, Snapshot};
use crate::source::Listing;
use crate::state::{Record, Store};

/// The threads let go of an old picture within this time, unless one is stuck.
const SWEEP: Duration = Duration::from_millis(200);

/// What is shown, and what has to be shown next.
#[derive(Debug)]
pub(super) struct Board {
    publisher: Publisher,
    keeper: Keeper,
    /// What is said of the Apps whose records are being kept, once they are; none: that it is gone.
    drafts: BTreeMap<AppName, Option<AppResource>>,
    listeners: Listeners,
    sockets: Sockets,
    resources: OrdMap<String, Arc<AppResource>>,
    strays: BTreeMap<String, Stray>,
    origin: Option<Origin>,
    events: Events,
    /// Apps whose resource may be out of date.
    changed: BTreeSet<AppName>,
    news: bool,
    opened: bool,
    sweep: Option<Instant>,
}

impl Board {
    /// An empty board; and what earlier runs have kept.
    pub(super) fn new(publisher: Publisher, store: Store, listen: Arc<Bound>) -> (Self, Vec<Record<App>>) {
        let mut listeners = Listeners::default();
        listeners.set([Front { name: None, socket: listen.local_addr(), hostname: None }]);
        let sockets = Arc::new(BTreeMap::from([(listen.local_addr(), listen)]));
        let (records, problems) = store.load();
        for problem in &problems {
            tracing::error!("state: {}", with_source(problem));
        }
        let board = Self {
            publisher,
            keeper: Keeper::new(store),
            drafts: BTreeMap::new(),
            listeners,
            sockets,
            resources: OrdMap::new(),
            strays: BTreeMap::new(),
            origin: None,
            events: Events::default(),
            changed: BTreeSet::new(),
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

    /// Its routes have changed; conflicts of those that share a host may have, too. All of it or, if it panics, nothing.
    pub(super) fn route(&mut self, app: CompiledApp) {
        let name = app.name.clone();
        let mut listeners = self.listeners.clone();
        let mut changed = listeners.neighbours(&name);
        listeners.insert(&Arc::new(app));
        changed.extend(listeners.neighbours(&name));
        self.listeners = listeners;
        self.changed.extend(changed);
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
            let revision = self.publisher.next_revision();
            if let Some(after) = resource::news(before.as_deref(), after, revision) {
                let before = before.as_ref().map_or(&[][..], |before| &before.status.conditions);
                tell(&mut self.events, subject(&after), before, &after.status.conditions, Moment { now: &now, revision });
                self.resources.insert(key.clone(), Arc::new(after));
            }
        }
        self.news = true;
    }

    /// Where manifests come from, as it was seen; `emptied`: it has become empty, which is no deletion.
    pub(super) fn source(&mut self, path: &Path, listing: &Arc<Listing>, emptied: bool) {
        let (now, revision) = (now(), self.publisher.next_revision());
        let origin = self.origin.get_or_insert_with(|| Origin::new(path));
        let Some(before) = origin.see(listing, emptied, &now, revision) else { return };
        if let Some(after) = origin.resource() {
            let file = path.to_string_lossy();
            let subject = Subject { kind: "Source", name: origin::NAME, file: &file };
            tell(&mut self.events, subject, &before, &after.status.conditions, Moment { now: &now, revision });
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
        if self.keeper.is_idle() && !self.changed.is_empty() {
            let now = now();
            let names: Vec<_> = std::iter::from_fn(|| self.changed.pop_first()).take(BATCH).collect();
            self.drafts = names.into_iter().map(|name| (name.clone(), entries.get(&name).map(|entry| self.draft(entry, &now)))).collect();
            let record = |(name, draft): (&AppName, &Option<AppResource>)| {
                let transitions = draft.as_ref().map(|draft| resource::since(&draft.status.conditions)).unwrap_or_default();
                (entries.get(name).map(|entry| Record { transitions, ..entry.record.clone() }), name.clone())
            };
            self.keeper.keep(self.drafts.iter().map(record).collect());
        }
    }

    /// Whether all that has changed is kept, and said.
    pub(super) fn is_settled(&self) -> bool {
        self.keeper.is_idle() && self.changed.is_empty()
    }

    /// The first publication. Until then nothing is served and nothing said, so that whoever asks a daemon that is ready finds every App.
    pub(super) fn open(&mut self) {
        self.opened = true;
        self.publish_news();
    }

    /// Waits until what was begun is kept, and says it; never ends if nothing was begun. Cancel-safe.
    pub(super) async fn kept(&mut self) {
        self.keeper.kept().await;
        let now = now();
        // Also of what has changed again meanwhile: an App that never rests is not one that nothing is said of.
        for (name, draft) in std::mem::take(&mut self.drafts) {
            self.say(&name, draft, &now);
        }
        self.publish_news();
    }

    fn publish_news(&mut self) {
        if self.opened && std::mem::take(&mut self.news) {
            self.publisher.publish(Snapshot {
                sockets: self.sockets.clone(),
                listeners: self.listeners.clone(),
                apps: self.resources.clone(),
                sources: self
                    .origin
                    .iter()
                    .filter_map(Origin::resource)
                    .map(|source| (source.metadata.name.clone(), source.clone()))
                    .collect(),
                events: self.events.all(),
                ..Snapshot::default()
            });
            self.sweep.get_or_insert_with(|| Instant::now() + SWEEP);
        }
    }

    /// What there is to say of an App. A panic in that becomes what is said.
    fn draft(&self, entry: &Entry, now: &str) -> AppResource {
        let name = &entry.record.name;
        // An older one of its name is gone, and nothing of it goes on.
        let before = self.resources.get(name.as_str()).filter(|before| before.metadata.uid == entry.record.uid).map(|before| &**before);
        // Nothing is changed that could be left half-changed.
        let draft = fault::contain(|| resource::of_entry(entry, &self.listeners.conflicts(name), before, now));
        draft.unwrap_or_else(|fault| {
            let mut entry = entry.clone();
            entry.fail(fault, None);
            resource::of_fault(&entry, before, now)
        })
    }

    fn say(&mut self, name: &AppName, draft: Option<AppResource>, now: &str) {
        let revision = self.publisher.next_revision();
        let at = Moment { now, revision };
        let mut before = self.resources.get(name.as_str()).cloned();
        if let Some(gone) = before.take_if(|before| draft.as_ref().is_none_or(|draft| draft.metadata.uid != before.metadata.uid)) {
            tell_removed(&mut self.events, subject(&gone), at);
            self.resources.remove(name.as_str());
            self.news = true;
        }
        if let Some(after) = draft.and_then(|draft| resource::news(before.as_deref(), draft, revision)) {
            let before = before.as_ref().map_or(&[][..], |before| &before.status.conditions);
            tell(&mut self.events, subject(&after), before, &after.status.conditions, at);
            self.resources.insert(name.to_string(), Arc::new(after));
            self.news = true;
        }
    }
}

fn subject(app: &AppResource) -> Subject<'_> {
    Subject { kind: &app.kind, name: &app.metadata.name, file: &app.status.file }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
