//! Events of notify -> "look again", and who is in the middle of writing.
//!
//! In: events, on notify's own thread. Out: a wake-up, the time of the first and last hint, [`Writer`]s. Never: more memory than a
//! bounded number of paths; a look because of our own reading.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind};
use tokio::sync::Notify;

use super::file::is_manifest;
use super::hold::Writer;

/// Files whose writers are remembered; of more, nothing is known.
const MAX_WRITERS: usize = 4096;
/// Paths that are remembered between two looks; of more, it is said that it may be any.
const MAX_TOUCHED: usize = 2048;
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

/// Where something was hinted since the last look.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// By real path, and whether the event was the end of a change.
    paths: BTreeMap<PathBuf, bool>,
    /// How many of them are in the middle of one.
    unfinished: usize,
    /// It may be anywhere.
    anywhere: bool,
    /// A directory came or went, or events were lost: more is to come.
    rough: bool,
}

/// When something was hinted since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// The first time.
    pub first: Instant,
    /// The last time.
    pub last: Instant,
    /// All files that were hinted are complete: closed after writing, or moved to their places.
    pub complete: bool,
}

#[derive(Debug, Default)]
struct State {
    /// The first and the last hint since the last look.
    times: Option<(Instant, Instant)>,
    touched: Touched,
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
                state.touched.all();
                true
            }
            Ok(event) => state.note(&event, now),
            Err(_) => {
                state.lost = true;
                state.touched.all();
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
    pub(super) fn times(&self) -> Option<Times> {
        let state = self.lock();
        let complete = state.touched.unfinished == 0 && !state.touched.rough;
        state.times.map(|(first, last)| Times { first, last, complete })
    }

    /// A look begins: what is hinted from now on needs another one. Returns where something was hinted until now.
    pub(super) fn begin(&self, now: Instant) -> Touched {
        let mut state = self.lock();
        state.times = None;
        state.writers.retain(|_, (_, seen)| now.saturating_duration_since(*seen) < FORGET);
        std::mem::take(&mut state.touched)
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

impl Touched {
    /// The paths, if it is nowhere else.
    pub(super) fn named(self) -> Option<BTreeSet<PathBuf>> {
        (!self.anywhere).then(|| self.paths.into_keys().collect())
    }

    /// It may be anywhere, and it is not over.
    fn all(&mut self) {
        (self.anywhere, self.rough) = (true, true);
    }

    /// `complete`: the event was the end of a change (or the beginning or the middle of one; `None`: it says nothing of that).
    fn note(&mut self, path: &Path, complete: Option<bool>) {
        if self.paths.len() == MAX_TOUCHED && !self.paths.contains_key(path) {
            return self.all();
        }
        let before = self.paths.get(path).copied();
        let now = complete.or(before).unwrap_or(true);
        self.paths.insert(path.to_owned(), now);
        self.unfinished += usize::from(!now);
        self.unfinished -= usize::from(before == Some(false));
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
        let folder = matches!(event.kind, EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder));
        let complete = match writer {
            Some(writer) => Some(writer == Writer::Done),
            None => names.then_some(false),
        };
        let mut counts = false;
        for path in &event.paths {
            if !self.matters(path) {
                continue;
            }
            counts = true;
            if folder {
                self.touched.all();
            }
            self.touched.anywhere |= !self.is_in_tree(path);
            // What is no manifest is never complete, and nobody waits for it.
            self.touched.note(path, complete.map(|complete| complete || !path.file_name().is_some_and(is_manifest)));
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

    /// An entry of a directory of the tree, and not a directory that is watched.
    fn is_in_tree(&self, path: &Path) -> bool {
        !self.expected.contains_key(path) && path.parent().and_then(|dir| self.expected.get(dir)).is_some_and(Option::is_none)
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
    use notify::event::{DataChange, Flag};

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
    fn events_name_files_of_the_tree_and_anything_else_may_be_anywhere() {
        let hints = hints();
        let named = |events: &[(EventKind, &str)]| {
            for (kind, path) in events {
                hints.take(Ok(event(*kind, path)));
            }
            hints.begin(Instant::now()).named().map(|paths| paths.into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(
            named(&[(WRITE, "/m/a.yaml"), (CLOSE, "/m/a.yaml"), (WRITE, "/m/b.yaml")]),
            Some(vec!["/m/a.yaml".into(), "/m/b.yaml".into()])
        );
        assert_eq!(named(&[]), Some(Vec::new()), "a look forgets them");
        for (kind, path) in
            [(WRITE, "/out/x.yaml"), (EventKind::Remove(RemoveKind::File), "/m"), (EventKind::Create(CreateKind::Folder), "/m/d")]
        {
            assert_eq!(named(&[(WRITE, "/m/a.yaml"), (kind, path)]), None, "{path}");
        }
        let many: Vec<_> = (0..=MAX_TOUCHED).map(|n| format!("/m/{n}.yaml")).collect();
        assert_eq!(named(&many.iter().map(|path| (WRITE, path.as_str())).collect::<Vec<_>>()), None);
    }

    #[test]
    fn a_change_is_complete_when_every_file_is_closed_or_moved_to_its_place() {
        let hints = hints();
        let complete = |kind, path| {
            hints.take(Ok(event(kind, path)));
            hints.times().unwrap().complete
        };
        assert!(!complete(EventKind::Create(CreateKind::File), "/m/a.yaml") && !complete(WRITE, "/m/a.yaml"));
        assert!(complete(CLOSE, "/m/a.yaml"));
        assert!(!complete(EventKind::Remove(RemoveKind::File), "/m/b.yaml") && !complete(CLOSE, "/m/a.yaml"));
        assert!(complete(EventKind::Modify(ModifyKind::Name(RenameMode::To)), "/m/b.yaml"));
        assert!(complete(EventKind::Create(CreateKind::File), "/m/.b.tmp"), "nobody reads that");
        assert!(!complete(EventKind::Create(CreateKind::Folder), "/m/sub"));
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
