//! Events of notify -> "look again", and who is in the middle of writing.
//!
//! In: events, on notify's own thread. Out: a wake-up, the time of the first and last hint, [`Writer`]s. Never: more memory than a
//! bounded number of paths; a look because of our own reading.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind};
use tokio::sync::Notify;

use super::hold::Writer;

/// Files whose writers are remembered; of more, nothing is known.
const MAX_WRITERS: usize = 4096;
/// A writer is forgotten this long after its last sign of life.
const FORGET: Duration = Duration::from_secs(5);

/// The entries of a directory that matter; `None`: all.
pub(super) type Names = Option<BTreeSet<OsString>>;

/// What events have told since the last look.
#[derive(Debug, Default)]
pub(super) struct Hints {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The first and the last hint since the last look.
    times: Option<(Instant, Instant)>,
    /// Entries that came, went or moved, ever.
    moves: u64,
    /// By real path, with the time of the last event.
    writers: HashMap<PathBuf, (Writer, Instant)>,
    expected: HashMap<PathBuf, Names>,
    /// Watched directories that went away: notify drops their watches, and those below.
    dropped: BTreeSet<PathBuf>,
    /// Events were lost: too many came at once, or reading them failed.
    lost: bool,
}

impl Hints {
    /// Takes one event in.
    pub(super) fn take(&self, event: notify::Result<Event>) {
        let now = Instant::now();
        let mut state = self.lock();
        let counts = match event {
            Ok(event) if event.need_rescan() => {
                // Closes may have been lost with the rest.
                state.writers.clear();
                state.lost = true;
                true
            }
            Ok(event) => state.note(&event, now),
            Err(_) => {
                state.lost = true;
                true
            }
        };
        if counts {
            let first = state.times.map_or(now, |(first, _)| first);
            state.times = Some((first, now));
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Waits for a hint.
    pub(super) async fn stirred(&self) {
        self.wake.notified().await;
    }

    /// When the first and the last hint came, if any did since the last [`begin`](Self::begin).
    pub(super) fn times(&self) -> Option<(Instant, Instant)> {
        self.lock().times
    }

    /// A look begins: what is hinted from now on needs another one.
    pub(super) fn begin(&self, now: Instant) {
        let mut state = self.lock();
        state.times = None;
        state.writers.retain(|_, (_, seen)| now.saturating_duration_since(*seen) < FORGET);
    }

    /// Entries that came, went or moved, ever: whether it rises during a walk tells whether the walk saw one moment.
    pub(super) fn moves(&self) -> u64 {
        self.lock().moves
    }

    /// Who writes to this file, by real path.
    pub(super) fn writer(&self, path: &Path) -> Writer {
        self.lock().writers.get(path).map_or(Writer::Unknown, |(writer, _)| *writer)
    }

    /// Sets what matters from now on; returns the directories whose watches are lost.
    pub(super) fn expect(&self, expected: HashMap<PathBuf, Names>) -> BTreeSet<PathBuf> {
        let mut state = self.lock();
        state.expected = expected;
        std::mem::take(&mut state.dropped)
    }

    /// Whether events were lost. `renew`: all is set anew, so that this is over.
    pub(super) fn lost(&self, renew: bool) -> bool {
        let mut state = self.lock();
        let lost = state.lost;
        state.lost &= !renew;
        lost && !renew
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the event is a hint.
    fn note(&mut self, event: &Event, now: Instant) -> bool {
        let writer = match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => Some(Writer::Busy(now)),
            EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                Some(Writer::Done)
            }
            // Our own reading; From and To, once more.
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return false,
            _ => None,
        };
        let names = matches!(event.kind, EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        let leaves = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)));
        let mut counts = false;
        for path in &event.paths {
            if !self.matters(path) {
                continue;
            }
            counts = true;
            self.moves += u64::from(names);
            if leaves && self.expected.contains_key(path) {
                self.dropped.insert(path.clone());
            }
            match writer {
                Some(writer) if self.writers.len() < MAX_WRITERS || self.writers.contains_key(path) => {
                    self.writers.insert(path.clone(), (writer, now));
                }
                _ if names => drop(self.writers.remove(path)),
                _ => {}
            }
        }
        counts
    }

    /// A directory that is watched, or one of the entries in it that are asked for.
    fn matters(&self, path: &Path) -> bool {
        let entry = path.parent().zip(path.file_name());
        let named = entry.and_then(|(dir, name)| Some(self.expected.get(dir)?.as_ref().is_none_or(|names| names.contains(name))));
        named == Some(true) || self.expected.contains_key(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind};

    fn hints() -> Hints {
        let hints = Hints::default();
        hints.expect(HashMap::from([("/m".into(), None), ("/out".into(), Some(BTreeSet::from(["x.yaml".into()])))]));
        hints
    }

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    #[test]
    fn a_writer_is_busy_until_it_closes() {
        let (hints, file) = (hints(), Path::new("/m/a.yaml"));
        hints.take(Ok(event(WRITE, "/m/a.yaml")));
        assert!(matches!(hints.writer(file), Writer::Busy(_)));
        hints.take(Ok(event(CLOSE, "/m/a.yaml")));
        assert_eq!(hints.writer(file), Writer::Done);
        hints.take(Ok(event(EventKind::Remove(RemoveKind::File), "/m/a.yaml")));
        assert_eq!(hints.writer(file), Writer::Unknown);
    }

    #[test]
    fn reading_and_the_neighbours_of_a_links_target_are_no_hints() {
        let hints = hints();
        hints.take(Ok(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/m/a.yaml")));
        hints.take(Ok(event(WRITE, "/out/y.yaml")));
        hints.take(Ok(event(WRITE, "/elsewhere/x.yaml")));
        assert_eq!(hints.times(), None);
        hints.take(Ok(event(WRITE, "/out/x.yaml")));
        assert!(hints.times().is_some());
    }

    #[test]
    fn an_overflow_is_a_hint_and_forgets_the_writers() {
        let hints = hints();
        hints.take(Ok(event(WRITE, "/m/a.yaml")));
        hints.begin(Instant::now());
        hints.take(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(hints.times().is_some());
        assert_eq!(hints.writer(Path::new("/m/a.yaml")), Writer::Unknown);
        assert!(hints.lost(false) && hints.lost(false), "until all is set anew");
        assert!(!hints.lost(true) && !hints.lost(false));
    }

    #[test]
    fn a_watched_directory_that_goes_away_loses_its_watch() {
        let hints = hints();
        hints.take(Ok(event(EventKind::Modify(ModifyKind::Name(RenameMode::From)), "/m")));
        assert_eq!(hints.expect(HashMap::new()), BTreeSet::from(["/m".into()]));
        assert!(hints.expect(HashMap::new()).is_empty());
    }

    #[test]
    fn the_number_of_writers_is_bounded() {
        let hints = hints();
        for n in 0..MAX_WRITERS * 2 {
            hints.take(Ok(event(EventKind::Create(CreateKind::File), &format!("/m/{n}"))));
            hints.take(Ok(event(WRITE, &format!("/m/{n}"))));
        }
        assert_eq!(hints.lock().writers.len(), MAX_WRITERS);
    }
}
