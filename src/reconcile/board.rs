//! What has changed -> served, kept on disk, and said: in this order.
//!
//! In: Apps and Gateways as they are, routes and listeners that are new. Out: snapshots, log lines, events, saved records. Never: a publication without news.

mod gateways;
mod shelf;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::alike::Alike;
use super::changes::{Subject, tell, tell_kept};
use super::desired::Stray;
use super::entry::{Entries, Entry};
use super::events::{Events, Moment};
use super::gateways::Gateways;
use super::keep::{BATCH, Keeper, Records, Word, with_source};
use super::origin::{self, Origin};
use super::{fault, resource};
use crate::api::v1::{App, AppResource, AppSpec, AppStatus, Conditions, Gateway, GatewaySpec, GatewayStatus, Resource};
use crate::listen::Sockets;
use crate::manifest::Kind;
use crate::names::AppName;
use crate::route::{CompiledApp, Listeners, MediaTypes};
use crate::snapshot::{Publisher, Snapshot};
use crate::source::Listing;
use crate::state::{Kept, Record, Store};
use shelf::Shelf;

/// The threads let go of an old picture within this time, unless one is stuck.
const SWEEP: Duration = Duration::from_millis(200);

/// What is shown, and what has to be shown next.
#[derive(Debug)]
pub(super) struct Board {
    publisher: Publisher,
    keeper: Keeper,
    listeners: Listeners,
    sockets: Sockets,
    apps: Shelf<Arc<AppSpec>, AppStatus>,
    gateways: Shelf<GatewaySpec, GatewayStatus>,
    origin: Option<Origin>,
    events: Events,
    news: bool,
    opened: bool,
    /// Something was said or served, or is about to be.
    begun: bool,
    sweep: Option<Instant>,
    /// What is said of very many Apps.
    pub(super) alike: Alike,
    /// What the extensions of files say.
    pub(super) media: Arc<MediaTypes>,
}

impl Board {
    /// An empty board; and what earlier runs have kept.
    pub(super) fn new(publisher: Publisher, store: Store) -> (Self, Vec<Record<App>>, Vec<Record<Gateway>>) {
        let (apps, problems) = store.load();
        let (gateways, more_problems) = store.load();
        for problem in problems.iter().chain(&more_problems) {
            tracing::error!("state: {}", with_source(problem));
        }
        let board = Self {
            publisher,
            keeper: Keeper::new(store),
            listeners: Listeners::default(),
            sockets: Sockets::default(),
            apps: Shelf::default(),
            gateways: Shelf::default(),
            origin: None,
            events: Events::default(),
            // The first publication says that there is something to read.
            news: true,
            opened: false,
            begun: false,
            sweep: None,
            alike: Alike::default(),
            media: Arc::default(),
        };
        (board, apps, gateways)
    }

    /// Something about an App has changed.
    pub(super) fn note(&mut self, name: AppName) {
        self.apps.changed.push(name);
    }

    /// An App as it is in the table.
    pub(super) fn served(&self, name: &AppName) -> Option<&CompiledApp> {
        self.listeners.app(name.as_str()).map(|app| &**app)
    }

    /// Its routes have changed; conflicts of others may have, too. All of it or, if it panics, nothing.
    ///
    /// Before the first word is said, nobody's word can be out of date, and nobody is asked for it.
    pub(super) fn route(&mut self, app: CompiledApp) {
        let name = app.name.clone();
        let mut listeners = self.listeners.clone();
        listeners.insert(&Arc::new(app));
        if self.begun {
            self.replace(&name, listeners);
        } else {
            self.listeners = listeners;
            self.news = true;
        }
        self.apps.changed.push(name);
    }

    /// It is gone, and its routes with it.
    pub(super) fn remove(&mut self, name: AppName) {
        let mut listeners = self.listeners.clone();
        listeners.remove(&name);
        self.replace(&name, listeners);
        self.apps.changed.push(name);
    }

    /// Says again what there is to say of every Gateway, and keeps again what could not be kept: as a look does for an App.
    pub(super) fn note_again(&mut self, gateways: impl Iterator<Item = AppName>) {
        self.gateways.changed.extend(gateways.chain(self.keeper.troubled(Kind::Gateway).cloned()));
        self.apps.changed.extend(self.keeper.troubled(Kind::App).cloned());
    }

    /// The manifests that belong to no App, and those that belong to no Gateway.
    pub(super) fn strays(&mut self, apps: Vec<Stray>, gateways: Vec<Stray>) {
        let now = now();
        let at = Moment { now: &now, revision: self.publisher.next_revision() };
        self.news |= self.apps.strays(apps, &mut self.events, at);
        self.news |= self.gateways.strays(gateways, &mut self.events, at);
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
    pub(super) fn publish(&mut self, entries: &Entries, gateways: &Gateways) {
        self.publish_news();
        if self.keeper.is_idle() && !self.nothing_changed() {
            self.begun = true;
            let now = now();
            let apps: Vec<_> = std::iter::from_fn(|| self.apps.changed.pop()).take(BATCH).collect();
            let mut draft = |entry: &Entry| {
                let mut draft = self.draft(entry, &now);
                self.alike.status(&mut draft.status);
                draft
            };
            let drafts = apps.into_iter().map(|name| (name.clone(), entries.get(&name).map(|entry| draft(entry)))).collect();
            self.apps.drafts = drafts;
            let others: Vec<_> = std::iter::from_fn(|| self.gateways.changed.pop()).take(BATCH).collect();
            let draft = |name: AppName| (name.clone(), gateways.entry(&name).map(|entry| self.draft_gateway(entry, &now)));
            self.gateways.drafts = others.into_iter().map(draft).collect();
            let apps = records(&self.apps, |name| entries.get(name).map(|entry| &entry.record));
            let gateways = records(&self.gateways, |name| gateways.entry(name).map(|entry| &entry.record));
            self.keeper.keep(apps, gateways);
        }
    }

    /// Whether all that has changed is kept, and said.
    pub(super) fn is_settled(&self) -> bool {
        self.keeper.is_idle() && self.nothing_changed()
    }

    /// Whether more has changed than is kept together.
    pub(super) fn has_much_to_say(&self) -> bool {
        self.apps.changed.len() > BATCH
    }

    fn nothing_changed(&self) -> bool {
        self.apps.changed.is_empty() && self.gateways.changed.is_empty()
    }

    /// The first publication. Until then nothing is served and nothing said, so that whoever asks a daemon that is ready finds every App, of very
    /// many [those that are kept](Self::has_much_to_say).
    pub(super) fn open(&mut self) {
        (self.opened, self.begun) = (true, true);
        self.publish_news();
    }

    /// Waits until what was begun is kept, and says it; never ends if nothing was begun. Cancel-safe.
    pub(super) async fn kept(&mut self) {
        let words = self.keeper.kept().await;
        let now = now();
        let at = Moment { now: &now, revision: self.publisher.next_revision() };
        for Word { object, trouble } in words {
            tell_kept(&mut self.events, object, trouble.as_deref(), at);
            self.news = true;
        }
        self.news |= self.gateways.say(&mut self.events, at);
        self.news |= self.apps.say(&mut self.events, at);
        self.publish_news();
    }

    fn publish_news(&mut self) {
        if self.opened && std::mem::take(&mut self.news) {
            self.publisher.publish(Snapshot {
                sockets: self.sockets.clone(),
                listeners: self.listeners.clone(),
                apps: self.apps.resources.clone(),
                gateways: self.gateways.resources.clone(),
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
        let before = self.apps.shown(name, &entry.record.uid);
        // Nothing is changed that could be left half-changed.
        let draft = fault::contain(|| resource::of_entry(entry, self.open_to(name), &self.listeners.conflicts(name), before, now));
        draft.unwrap_or_else(|fault| {
            let mut entry = entry.clone();
            entry.fail(fault, None);
            let served = entry.served.as_ref().map(|served| served.generation);
            resource::of_fault(&entry.record, served, entry.claims.to_vec(), before, now)
        })
    }
}

/// The records of what is drafted, with the times of its conditions.
fn records<'a, T: Kept + 'a, Spec, Status: Conditions>(
    shelf: &Shelf<Spec, Status>,
    record: impl Fn(&AppName) -> Option<&'a Record<T>>,
) -> Records<T> {
    let one = |(name, draft): (&AppName, &Option<Resource<Spec, Status>>)| {
        let transitions = draft.as_ref().map(|draft| resource::transitions(draft.status.conditions())).unwrap_or_default();
        (record(name).map(|record| Record { transitions, ..record.clone() }), name.clone())
    };
    shelf.drafts.iter().map(one).collect()
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
