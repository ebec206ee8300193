//! The loop of the control plane: listings and hints -> looks -> decisions -> one publication.
//!
//! In: a source, a watcher, the state of earlier runs. Out: snapshots, listeners that are open, records on disk. Never: a decision that depends on how a change was
//! noticed; a wait of one App for another.
//!
//! The path of a manifest: `intake` reads a listing, `desired` gives each App its part, `entry` takes it; `agenda` has it looked at,
//! `step` decides, `board` publishes, `changes` says what is new. `gateways` open and close listeners; `parents` says which of them lead
//! to an App. A panic in any of it is kept to its App, Gateway or file by `fault`.

mod agenda;
mod alike;
mod backoff;
mod board;
mod changes;
pub mod desired;
mod entry;
mod events;
mod fault;
mod gateways;
mod intake;
mod keep;
mod origin;
mod parents;
mod queue;
pub mod refusal;
mod resource;
mod round;
pub mod step;
mod ties;
mod timing;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::api::v1::App;
use crate::container::Runtimes;
use crate::container::watch::{Starts, Watch, Watcher};
use crate::metrics::Control;
use crate::names::AppName;
use crate::route::MediaTypes;
use crate::snapshot::Publisher;
use crate::source::{Listing, Source};
use crate::state::{Kept, Record, Store, Transitions, new_uid};
use agenda::Agenda;
use board::Board;
use desired::Desired;
use entry::{Entries, Entry, Seen};
use gateways::Gateways;
pub use gateways::Listening;
use intake::{Intake, Known};
use round::Round;
use step::Decision;
use timing::Timing;

/// Everything is looked at again so often, whatever the events said; of very many Apps [a part](round).
const RELIST: Duration = Duration::from_secs(30);
/// The first publication waits so long for the first looks, and for the disk; not for the disk [if there are very many](Reconciler::is_servable).
const FIRST_LOOKS: Duration = Duration::from_secs(3);

/// The control plane's loop.
#[derive(Debug)]
pub struct Reconciler {
    intake: Intake,
    agenda: Agenda,
    board: Board,
    watcher: Watcher,
    starts: Starts,
    gateways: Gateways,
    entries: Entries,
    by_key: HashMap<u64, AppName>,
    next_key: u64,
    timing: Timing,
}

impl Reconciler {
    /// A loop that starts from what earlier runs have kept. `listening`: where, while no Gateway says so. `allow_empty`: an empty
    /// directory means that there are no objects.
    #[must_use]
    pub fn new(
        runtimes: Arc<Runtimes>,
        watcher: Watcher,
        starts: Starts,
        store: Store,
        publisher: Publisher,
        listening: Listening,
        allow_empty: bool,
    ) -> Self {
        let (board, records, gateways) = Board::new(publisher, store);
        let mut this = Self {
            intake: Intake::new(allow_empty),
            agenda: Agenda::new(runtimes),
            board,
            watcher,
            starts,
            gateways: Gateways::new(listening, gateways),
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

    /// With looks on a runtime of another thread, which lives as long.
    #[must_use]
    pub fn looking_on(mut self, looks: Handle) -> Self {
        self.agenda.looking_on(looks);
        self
    }

    /// With what the extensions of files say; without it that is the built-in table.
    #[must_use]
    pub fn with_media_types(mut self, media: Arc<MediaTypes>) -> Self {
        self.board.media = media;
        self
    }

    /// Runs until it is dropped.
    pub async fn run(mut self, mut source: impl Source) {
        let mut relist = tokio::time::interval_at(Instant::now() + RELIST, RELIST);
        relist.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut round = Round::new(Instant::now());
        let path = source.path().to_owned();
        let listing = source.next().await;
        self.list(&path, &listing);
        self.look_at_all();
        let mut first = Some(Instant::now() + FIRST_LOOKS);
        loop {
            self.listen();
            let entries = &mut self.entries;
            self.agenda.start(self.timing.counts(), |name| entries.get_mut(name).map(|entry| entry.job()));
            if first.is_some_and(|latest| self.is_servable() || Instant::now() >= latest) {
                first = None;
                self.board.open();
            }
            // While very many wait for their first look nothing is said: the sooner they are through, the sooner they are served.
            if first.is_none() || self.agenda.is_idle() || !(self.agenda.is_full() || self.board.has_much_to_say()) {
                self.board.publish(&self.entries, &self.gateways);
            }
            if first.is_none() {
                self.timing.served();
            }
            self.board.sweep();
            for name in round.turn(&self.entries, Instant::now()) {
                self.agenda.soon(name);
            }
            let due = [self.agenda.next_due(), self.gateways.next_due(), first, self.board.sweep_due(), Some(round.due())];
            let wake = due.into_iter().flatten().min();
            tokio::select! {
                listing = source.next() => self.list(&path, &listing),
                key = self.watcher.next() => self.hint(key),
                key = self.starts.next() => self.hint(key),
                (name, seen) = self.agenda.seen() => self.saw(&name, seen),
                () = self.board.kept() => {}
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                _ = relist.tick() => self.board.note_again(self.gateways.names()),
            }
            while let Some((name, seen)) = self.agenda.seen_already() {
                self.saw(&name, seen);
            }
        }
    }

    /// Whether the first publication need not wait any more: all were looked at, and are kept. With very many Apps it does not wait for
    /// the disk: they are served, and each is shown when it is kept.
    fn is_servable(&self) -> bool {
        self.agenda.is_idle() && (self.board.is_settled() || self.board.has_much_to_say())
    }

    /// Takes a listing: the directory's content decides, however it came to be.
    fn list(&mut self, path: &Path, listing: &Arc<Listing>) {
        let began = std::time::Instant::now();
        let news = self.intake.read(listing, Known { apps: &self.entries, gateways: &self.gateways });
        self.board.source(path, listing, news.is_none());
        let Some(news) = news else { return };
        let (apps, gateways) = (news.assignment.apps, news.assignment.gateways);
        self.gateways.list(gateways.objects, news.gone_gateways, first_record);
        for name in news.gone_apps {
            self.remove(name);
        }
        for (name, desired) in apps.objects {
            if !self.entries.contains_key(&name) {
                self.admit(first_record(&name, &desired.file), Entry::new);
            }
            self.want(&name, desired);
        }
        if let Some([apps, gateways]) = news.strays {
            self.board.strays(apps, gateways);
        }
        self.timing.counts().listed(began);
    }

    /// Opens and closes what the Gateways say. Apps that a listener leads to from now on, or no longer, are decided again.
    fn listen(&mut self) {
        let Some(change) = self.gateways.look(Instant::now()) else { return };
        self.board.note_gateways(change.gateways);
        if change.listeners {
            let parents = self.gateways.parents();
            self.board.listen(parents.fronts.clone(), self.gateways.sockets().clone());
            for (name, entry) in &mut self.entries {
                // If that panics, the look that follows does it again, and says it.
                if fault::contain(|| entry.attach(parents)).unwrap_or(true) {
                    entry.hurry();
                    self.agenda.soon(name.clone());
                }
            }
        }
    }

    fn admit(&mut self, record: Record<App>, make: fn(u64, Record<App>) -> Entry) {
        let key = self.next_key;
        // Two keys: what is served is watched under the first, what waits under the second.
        self.next_key += 2;
        self.by_key.insert(key, record.name.clone());
        self.entries.insert(record.name.clone(), Box::new(make(key, record)));
    }

    fn remove(&mut self, name: AppName) {
        let Some(entry) = self.entries.remove(&name) else { return };
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
        self.board.note_again(self.gateways.names());
        for name in self.entries.keys() {
            self.agenda.soon(name.clone());
        }
    }

    /// Takes what a listing says of an App.
    fn want(&mut self, name: &AppName, desired: Desired<App>) {
        let Some(entry) = self.entries.get_mut(name).filter(|entry| !entry.has(&desired)) else { return };
        let before = entry.clone();
        match fault::contain(|| entry.want(desired.clone())) {
            Ok(news) => {
                if news | entry.taken() {
                    entry.hurry();
                    self.timing.noticed(name);
                    self.agenda.soon(name.clone());
                }
            }
            Err(fault) => {
                // Whatever was half-changed.
                *entry = before;
                entry.record.file.clone_from(&desired.file);
                self.failed(name, fault, Some(desired));
            }
        }
    }

    /// Takes what a look found; an error: it has panicked.
    fn saw(&mut self, name: &AppName, seen: Result<Seen, String>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        if let Some(desired) = entry.untaken() {
            return self.want(name, desired);
        }
        let before = entry.clone();
        let (board, watcher, starts, parents) = (&mut self.board, &mut self.watcher, &mut self.starts, self.gateways.parents());
        let mut step = |seen| {
            entry.attach(parents);
            serve(entry, seen, board, watcher, starts)
        };
        match seen.and_then(|seen| fault::contain(|| step(seen))) {
            Ok(None) => self.agenda.soon(name.clone()),
            Ok(Some((decision, changed))) => {
                self.timing.decided(name, changed);
                self.board.note(name.clone());
                // What was missing for so long is left to the round.
                if decision.look_again
                    && let Some(pause) = Some(entry.pause()).filter(|pause| *pause < RELIST)
                {
                    self.agenda.later(name.clone(), Instant::now() + pause);
                }
            }
            Err(fault) => {
                // Whatever was half-changed; the board changes its routes as a whole, and hints may come too often.
                *entry = before;
                self.failed(name, fault, None);
            }
        }
    }

    /// A step of an App has panicked, and is tried again: what is served stays, the others go on.
    fn failed(&mut self, name: &AppName, fault: String, untaken: Option<Desired<App>>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let (file, line) = (entry.record.file.clone(), fault.clone());
        if entry.fail(fault, untaken) {
            tracing::error!(app = %name, %file, "{line}");
        }
        // An App of an earlier run is served as it was.
        let before = entry.clone();
        if fault::contain(|| route(entry, &mut self.board)).is_err() {
            *entry = before;
        }
        self.board.note(name.clone());
        self.agenda.later(name.clone(), Instant::now() + entry.pause());
    }
}

/// Serves an App as the look says; and whether its routes are others now. `None`: the manifest has changed since, and what was found is of no use.
fn serve(entry: &mut Entry, seen: Seen, board: &mut Board, watcher: &mut Watcher, starts: &mut Starts) -> Option<(Decision, bool)> {
    let decision = entry.see(seen)?;
    board.alike.claims(&mut entry.claims);
    if decision.serve == step::Serve::Wanted {
        entry.promote();
    }
    let changed = route(entry, board);
    for change in entry.rewatch() {
        starts.set(change.key, change.reference.as_ref());
        match change.watch {
            Some((container, paths)) => watcher.set(change.key, Watch { container, paths }),
            None => watcher.clear(change.key),
        }
    }
    Some((decision, changed))
}

/// Puts the routes of what is served into the table. Returns whether they are others than before.
fn route(entry: &mut Entry, board: &mut Board) -> bool {
    match entry.routes(&board.media, board.served(&entry.record.name)) {
        None => return false,
        Some(Ok(app)) => board.route(app),
        Some(Err(error)) => {
            tracing::error!(app = %entry.record.name, "{error}");
            return false;
        }
    }
    true
}

/// The identity of an object that is new.
fn first_record<T: Kept>(name: &AppName, file: &str) -> Record<T> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let first_seen = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    Record {
        name: name.clone(),
        uid: new_uid().into(),
        first_seen,
        file: file.to_owned(),
        generation: 0,
        newer: None,
        good: None,
        transitions: Transitions::new(),
    }
}

#[cfg(test)]
mod tests;
