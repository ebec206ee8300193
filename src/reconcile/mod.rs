//! The loop of the control plane: listings and hints -> looks -> decisions -> one publication.
//!
//! In: a source, a watcher, the state of earlier runs. Out: snapshots, records on disk. Never: a decision that depends on how a change was
//! noticed; a wait of one App for another.
//!
//! The path of a manifest: `intake` reads a listing, `desired` gives each App its part, `entry` takes it; `agenda` has it looked at,
//! `step` decides, `board` publishes.

mod agenda;
mod board;
pub mod desired;
mod entry;
mod intake;
mod resource;
pub mod step;
mod timing;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior};

use crate::api::v1::App;
use crate::container::Runtimes;
use crate::container::watch::{Starts, Watch, Watcher};
use crate::listen::Bound;
use crate::metrics::Control;
use crate::names::AppName;
use crate::snapshot::Publisher;
use crate::source::{Listing, Source};
use crate::state::{Record, Store, new_uid};
use agenda::Agenda;
use board::Board;
use entry::{Entry, Seen};
use intake::Intake;
use timing::Timing;

/// Everything is looked at again so often, whatever the events said.
const RELIST: Duration = Duration::from_secs(30);
/// The first publication waits so long for the first looks, and for the disk.
const FIRST_LOOKS: Duration = Duration::from_secs(3);

/// The control plane's loop.
#[derive(Debug)]
pub struct Reconciler {
    intake: Intake,
    agenda: Agenda,
    board: Board,
    watcher: Watcher,
    starts: Starts,
    entries: BTreeMap<AppName, Entry>,
    by_key: HashMap<u64, AppName>,
    next_key: u64,
    timing: Timing,
}

impl Reconciler {
    /// A loop that starts from what earlier runs have kept. `allow_empty`: an empty directory means that there are no Apps.
    #[must_use]
    pub fn new(
        runtimes: Arc<Runtimes>,
        watcher: Watcher,
        starts: Starts,
        store: Store,
        publisher: Publisher,
        listen: Arc<Bound>,
        allow_empty: bool,
    ) -> Self {
        let (board, records) = Board::new(publisher, store, listen);
        let mut this = Self {
            intake: Intake::new(allow_empty),
            agenda: Agenda::new(runtimes),
            board,
            watcher,
            starts,
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            next_key: 0,
            timing: Timing::default(),
        };
        for record in records {
            this.admit(record, Entry::restored);
        }
        this
    }

    /// The same, with what it does counted.
    #[must_use]
    pub fn counted(self, counts: Control) -> Self {
        Self { timing: Timing::new(counts), ..self }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self, mut source: impl Source) {
        let mut relist = tokio::time::interval_at(Instant::now() + RELIST, RELIST);
        relist.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let listing = source.next().await;
        self.list(&listing);
        self.look_at_all();
        let mut first = Some(Instant::now() + FIRST_LOOKS);
        loop {
            let entries = &mut self.entries;
            self.agenda.start(self.timing.counts(), |name| entries.get_mut(name).map(Entry::job));
            self.board.publish(&self.entries);
            if first.is_some_and(|latest| (self.agenda.is_idle() && self.board.is_settled()) || Instant::now() >= latest) {
                first = None;
                self.board.open();
            }
            if first.is_none() {
                self.timing.served();
            }
            self.board.sweep();
            let wake = self.agenda.next_due().into_iter().chain(first).chain(self.board.sweep_due()).min();
            tokio::select! {
                listing = source.next() => self.list(&listing),
                key = self.watcher.next() => self.hint(key),
                key = self.starts.next() => self.hint(key),
                (name, seen) = self.agenda.seen() => self.saw(&name, seen),
                () = self.board.kept(&self.entries) => {}
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                _ = relist.tick() => self.look_at_all(),
            }
            while let Some((name, seen)) = self.agenda.seen_already() {
                self.saw(&name, seen);
            }
        }
    }

    /// Takes a listing: the directory's content decides, however it came to be.
    fn list(&mut self, listing: &Listing) {
        let began = std::time::Instant::now();
        let owners = self.entries.iter().map(|(name, entry)| (name.clone(), entry.record.file.clone())).collect();
        let Some(news) = self.intake.read(listing, &owners) else { return };
        for name in news.gone {
            self.remove(name);
        }
        for (name, desired) in news.assignment.apps {
            if !self.entries.contains_key(&name) {
                self.admit(first_record(&name, &desired.file), Entry::new);
            }
            if let Some(entry) = self.entries.get_mut(&name)
                && entry.want(desired)
            {
                entry.hurry();
                self.timing.noticed(&name);
                self.agenda.soon(name);
            }
        }
        self.board.strays(news.assignment.strays);
        self.timing.counts().listed(began);
    }

    fn admit(&mut self, record: Record<App>, make: fn(u64, Record<App>) -> Entry) {
        let key = self.next_key;
        // Two keys: what is served is watched under the first, what waits under the second.
        self.next_key += 2;
        self.by_key.insert(key, record.name.clone());
        self.entries.insert(record.name.clone(), make(key, record));
    }

    fn remove(&mut self, name: AppName) {
        let Some(entry) = self.entries.remove(&name) else { return };
        tracing::info!(app = %name, file = %entry.record.file, "removed");
        self.by_key.remove(&entry.key);
        for key in [entry.key, entry.key + 1] {
            self.watcher.clear(key);
            self.starts.clear(key);
        }
        self.agenda.forget(&name);
        self.timing.noticed(&name);
        self.timing.decided(&name, true);
        self.board.remove(name);
    }

    /// Something may have changed in a container: what is missing may appear any moment.
    fn hint(&mut self, key: u64) {
        if let Some(name) = self.by_key.get(&(key & !1)).cloned() {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.hurry();
            }
            self.timing.noticed(&name);
            self.agenda.soon(name);
        }
    }

    fn look_at_all(&mut self) {
        for name in self.entries.keys() {
            self.agenda.soon(name.clone());
        }
    }

    /// Takes what a look found; `None`: it has failed, and is tried again.
    fn saw(&mut self, name: &AppName, seen: Option<Seen>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Some(seen) = seen else {
            self.agenda.later(name.clone(), Instant::now() + entry.pause());
            return;
        };
        let Some(decision) = entry.see(seen) else {
            self.agenda.soon(name.clone());
            return;
        };
        if decision.serve == step::Serve::Wanted {
            entry.promote();
        }
        let routes = entry.routes();
        self.timing.decided(name, matches!(routes, Some(Ok(_))));
        match routes {
            None => {}
            Some(Ok(app)) => self.board.route(app),
            Some(Err(error)) => tracing::error!(app = %name, "{error}"),
        }
        for change in entry.rewatch() {
            self.starts.set(change.key, change.reference.as_ref());
            match change.watch {
                Some((container, paths)) => self.watcher.set(change.key, Watch { container, paths }),
                None => self.watcher.clear(change.key),
            }
        }
        self.board.note(name.clone());
        if decision.look_again {
            self.agenda.later(name.clone(), Instant::now() + entry.pause());
        }
    }
}

/// The identity of an App that is new.
fn first_record(name: &AppName, file: &str) -> Record<App> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let first_seen = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    Record { name: name.clone(), uid: new_uid(), first_seen, file: file.to_owned(), generation: 0, newer: None, good: None }
}
