//! What was known and what was found -> what is settled: a file in the middle of a change is shown as it was before.
//!
//! In: the files that are known, changes, what events say of writers, the time. Out: the files to list, and when to look again. Never: a file
//! that vanishes between delete and create; a wait without an end; I/O.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::file::Seen;
use super::picture::Picture;
use super::read::{FRESH, Stamp};
use super::walk::Changes;

/// A writer that is silent for so long has forgotten to close.
const SILENT_WRITER: Duration = Duration::from_secs(2);
/// Between delete and create, or truncate and write, of one replacement.
pub(super) const GRACE: Duration = Duration::from_millis(100);
/// No file is held back for longer, whatever is done to it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What events say of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// Nothing.
    Unknown,
    /// Written to at this time, not closed since.
    Busy(Instant),
    /// Closed after writing, or moved to its place.
    Done,
}

/// What there is to fall back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// What was shown before.
    Warm,
    /// Nothing was shown yet: only what is in the middle of being written is held back.
    Cold,
    /// Nothing, and no more time: all is shown as it is.
    AsIs,
}

/// A change that is not shown yet.
#[derive(Debug, Clone)]
struct Hold {
    /// Where the file really is; `None`: it is reached through links, and only a walk finds it again.
    real: Option<PathBuf>,
    /// Held since; survives further changes.
    first: Instant,
    /// Looks like this...
    stamp: Option<Stamp>,
    /// ...since. A file that is gone has no stamp either.
    since: Instant,
}

/// The changes that are not shown yet, by file.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<Arc<str>, Hold>);

impl Holds {
    /// The files that a change of is held back, by path; `None`: not all of them have one that they can be found by.
    pub(super) fn places(&self) -> Option<Vec<PathBuf>> {
        self.0.values().map(|hold| hold.real.clone()).collect()
    }

    /// Decides change by change: one that is settled goes into the picture. Changes that were held before have to be among them. `unknown`:
    /// whether a file may be there although it was not found. Returns when the first of those that are held may be shown.
    pub(super) fn settle(
        &mut self,
        picture: &mut Picture,
        changes: Changes,
        unknown: impl Fn(&str) -> bool,
        writer: impl Fn(&Path) -> Writer,
        mode: Mode,
        now: Instant,
    ) -> Option<Instant> {
        let mut round = Round { before: std::mem::take(&mut self.0), held: HashMap::new(), again: None, mode, now };
        // A file that was moved within the tree is at its new place already.
        let is_new = |(name, seen): (&Arc<str>, &Seen)| seen.stamp.filter(|_| picture.find(name).is_none()).map(|stamp| stamp.id);
        let moved: BTreeSet<_> = changes.files.iter().filter_map(is_new).collect();
        for (name, new) in changes.files {
            let unchanged = picture.find(&name).is_some_and(|(_, old)| Arc::ptr_eq(&old.content, &new.content));
            if unchanged || !round.holds(&name, &new, new.stamp, |hold| release(&name, &new, hold, &writer, mode)) {
                picture.put(&name, new);
            }
        }
        for name in changes.gone {
            let Some((_, old)) = picture.find(&name).filter(|_| !unknown(&name)) else { continue };
            let elsewhere = old.stamp.is_some_and(|stamp| moved.contains(&stamp.id));
            // What nobody was shown does not vanish.
            let shown = mode == Mode::Warm;
            if elsewhere || !shown || !round.holds(&name, old, None, |hold| Some(hold.since + GRACE)) {
                picture.drop(&name);
            }
        }
        self.0 = round.held;
        round.again
    }
}

/// One look: the holds before it and after it.
struct Round {
    before: HashMap<Arc<str>, Hold>,
    held: HashMap<Arc<str>, Hold>,
    again: Option<Instant>,
    mode: Mode,
    now: Instant,
}

impl Round {
    /// Whether the change is held back, until the time that `release` tells.
    fn holds(&mut self, name: &Arc<str>, seen: &Seen, stamp: Option<Stamp>, release: impl Fn(&Hold) -> Option<Instant>) -> bool {
        if self.mode == Mode::AsIs {
            return false;
        }
        let now = self.now;
        let first = || Hold { real: seen.links().is_empty().then(|| seen.real(name).into_owned()), first: now, stamp, since: now };
        let mut hold = self.before.remove(name).unwrap_or_else(first);
        if hold.stamp != stamp {
            (hold.stamp, hold.since) = (stamp, now);
        }
        let Some(until) = release(&hold).filter(|until| *until > now && now < hold.first + PATIENCE) else { return false };
        self.held.insert(name.clone(), hold);
        self.again = Some(self.again.map_or(until, |again| again.min(until)));
        true
    }
}

/// What events say of a file. A link that was moved to its place says that its target is finished.
fn judge(name: &str, new: &Seen, writer: impl Fn(&Path) -> Writer) -> Writer {
    let moved_in = || new.links().iter().any(|(dir, name)| writer(&dir.join(name)) == Writer::Done);
    match writer(&new.real(name)) {
        Writer::Unknown if moved_in() => Writer::Done,
        known => known,
    }
}

/// When a change may be shown; `None`: at once.
fn release(name: &str, new: &Seen, hold: &Hold, writer: impl Fn(&Path) -> Writer, mode: Mode) -> Option<Instant> {
    let blank = new.stamp.is_none_or(|stamp| stamp.size == 0);
    match judge(name, new, writer) {
        Writer::Busy(last) => Some(last + SILENT_WRITER),
        _ if blank && mode == Mode::Warm => Some(hold.since + GRACE),
        Writer::Unknown if new.fresh => Some(hold.since + FRESH),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileContent;
    use crate::source::walk::{Walk, walk};

    fn seen(text: &str) -> Seen {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("x.yaml"), text).unwrap();
        let mut walk = walk(temp.path(), &mut Picture::default(), Walk::default());
        aged(walk.changes.files.remove("x.yaml").unwrap(), false)
    }

    fn aged(mut seen: Seen, fresh: bool) -> Seen {
        seen.fresh = fresh;
        seen
    }

    /// Settles one file and tells the text that is shown, and how long a change is held.
    fn show(
        holds: &mut Holds,
        known: Option<&Seen>,
        found: Option<&Seen>,
        writer: Writer,
        now: Instant,
    ) -> (Option<String>, Option<Duration>) {
        let (name, mut picture): (Arc<str>, _) = ("x.yaml".into(), Picture::default());
        if let Some(known) = known {
            picture.put(&name, known.clone());
        }
        let changes = match found {
            Some(found) => Changes { files: HashMap::from([(name.clone(), found.clone())]), gone: Vec::new() },
            None => Changes { files: HashMap::new(), gone: vec![name] },
        };
        let again = holds.settle(&mut picture, changes, |_| false, |_| writer, Mode::Warm, now);
        let text = |content: &Arc<FileContent>| String::from_utf8(content.bytes.as_ref().unwrap().to_vec()).unwrap();
        (picture.files().get("x.yaml").map(text), again.map(|again| again - now))
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_file_that_is_written_is_shown_as_before_until_the_writer_closes_or_is_silent_for_two_seconds() {
        let (old, new, now) = (seen("old"), seen("new"), Instant::now());
        let mut holds = Holds::default();
        let shown = |holds: &mut Holds, writer, now| show(holds, Some(&old), Some(&new), writer, now);
        assert_eq!(shown(&mut holds, Writer::Busy(now), now), (Some("old".into()), Some(SILENT_WRITER)));
        assert_eq!(shown(&mut holds, Writer::Done, now + MS), (Some("new".into()), None));
        assert_eq!(shown(&mut holds, Writer::Busy(now), now + SILENT_WRITER), (Some("new".into()), None));
        assert_eq!(show(&mut holds, None, Some(&new), Writer::Busy(now), now).0, None, "a new file is left out");
    }

    #[test]
    fn a_file_that_never_rests_is_shown_after_all() {
        let (old, new, start) = (seen("old"), seen("new"), Instant::now());
        let mut holds = Holds::default();
        let mut now = start;
        while show(&mut holds, Some(&old), Some(&new), Writer::Busy(now), now).0.unwrap() == "old" {
            now += Duration::from_secs(1);
        }
        assert_eq!(now - start, PATIENCE);
    }

    #[test]
    fn a_vanished_file_and_an_emptied_one_are_shown_as_before_for_a_moment() {
        let (old, empty, now) = (seen("old"), seen(""), Instant::now());
        for found in [None, Some(&empty)] {
            let mut holds = Holds::default();
            assert_eq!(show(&mut holds, Some(&old), found, Writer::Done, now), (Some("old".into()), Some(GRACE)));
            assert_eq!(show(&mut holds, Some(&old), found, Writer::Done, now + 60 * MS), (Some("old".into()), Some(40 * MS)));
            let after = show(&mut holds, Some(&old), found, Writer::Done, now + GRACE);
            assert_eq!(after, (found.map(|_| String::new()), None));
        }
    }

    #[test]
    fn a_young_file_without_a_known_writer_has_to_stand_still() {
        let (old, now) = (seen("old"), Instant::now());
        let young = aged(seen("young"), true);
        let mut holds = Holds::default();
        assert_eq!(show(&mut holds, Some(&old), Some(&young), Writer::Unknown, now), (Some("old".into()), Some(FRESH)));
        let other = aged(seen("other"), true);
        assert_eq!(show(&mut holds, Some(&old), Some(&other), Writer::Unknown, now + 40 * MS), (Some("old".into()), Some(FRESH)));
        assert_eq!(show(&mut holds, Some(&old), Some(&other), Writer::Unknown, now + 90 * MS), (Some("other".into()), None));
    }

    #[test]
    fn a_moved_file_is_not_shown_twice() {
        let (old, now) = (seen("text"), Instant::now());
        let content = Arc::new(FileContent { path: "/m/b.yaml".into(), ..(*old.content).clone() });
        let mut picture = Picture::default();
        picture.put(&"a.yaml".into(), old.clone());
        let mut moved = old;
        moved.content = content;
        let files = HashMap::from([("b.yaml".into(), moved)]);
        let changes = Changes { files, gone: vec!["a.yaml".into()] };
        Holds::default().settle(&mut picture, changes, |_| false, |_| Writer::Done, Mode::Warm, now);
        assert_eq!(picture.files().keys().map(|name| &**name).collect::<Vec<_>>(), ["b.yaml"]);
    }

    #[test]
    fn what_could_not_be_read_is_not_gone() {
        let (old, now) = (seen("old"), Instant::now());
        let (name, mut picture): (Arc<str>, _) = ("a/b/x.yaml".into(), Picture::default());
        picture.put(&name, old);
        let changes = Changes { files: HashMap::new(), gone: vec![name.clone()] };
        let again = Holds::default().settle(&mut picture, changes, |_| true, |_| Writer::Done, Mode::Warm, now + GRACE * 9);
        assert!(picture.files().contains_key(&*name) && again.is_none());
    }
}
