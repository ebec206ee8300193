//! What was known and what was found -> what is settled: a file in the middle of a change is shown as it was before.
//!
//! In: two sets of files, what events say of writers, the time. Out: the files to list, and when to look again. Never: a file
//! that vanishes between delete and create; a wait without an end; I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::below;
use super::read::{FRESH, Stamp};
use super::walk::{Seen, Walk};

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
#[derive(Debug, Clone, Copy)]
struct Hold {
    /// Held since; survives further changes.
    first: Instant,
    /// Looks like this...
    stamp: Option<Stamp>,
    /// ...since. A file that is gone has no stamp either.
    since: Instant,
}

/// The changes that are not shown yet, by file.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<String, Hold>);

/// What is settled.
pub(super) struct Settled {
    pub files: BTreeMap<String, Seen>,
    /// When the first of the held changes may be shown.
    pub again: Option<Instant>,
}

impl Holds {
    /// Decides file by file.
    pub(super) fn settle(
        &mut self,
        mut known: BTreeMap<String, Seen>,
        found: &mut Walk,
        writer: impl Fn(&Path) -> Writer,
        mode: Mode,
        now: Instant,
    ) -> Settled {
        let mut round = Round { before: std::mem::take(&mut self.0), held: HashMap::new(), again: None, mode, now };
        let mut files = BTreeMap::new();
        // A file that was moved within the tree is at its new place already.
        let is_new = |(name, seen): (&String, &Seen)| seen.stamp.filter(|_| !known.contains_key(name)).map(|stamp| stamp.id);
        let moved: BTreeSet<_> = found.files.iter().filter_map(is_new).collect();
        for (name, new) in std::mem::take(&mut found.files) {
            let old = known.remove(&name);
            let unchanged = old.as_ref().is_some_and(|old| Arc::ptr_eq(&old.content, &new.content));
            if !unchanged && round.holds(&name, new.stamp, |hold| release(&new, hold, judge(&new, &writer), mode)) {
                files.extend(old.map(|old| (name, old)));
            } else {
                files.insert(name, new);
            }
        }
        for (name, old) in known {
            let unknown = found.problem.is_some() || below(&found.unread, &name);
            let elsewhere = old.stamp.is_some_and(|stamp| moved.contains(&stamp.id));
            if unknown || (!elsewhere && round.holds(&name, None, |hold| Some(hold.since + GRACE))) {
                files.insert(name, old);
            }
        }
        self.0 = round.held;
        Settled { files, again: round.again }
    }
}

/// One look: the holds before it and after it.
struct Round {
    before: HashMap<String, Hold>,
    held: HashMap<String, Hold>,
    again: Option<Instant>,
    mode: Mode,
    now: Instant,
}

impl Round {
    /// Whether the change is held back, until the time that `release` tells.
    fn holds(&mut self, name: &str, stamp: Option<Stamp>, release: impl Fn(&Hold) -> Option<Instant>) -> bool {
        if self.mode == Mode::AsIs {
            return false;
        }
        let now = self.now;
        let mut hold = self.before.get(name).copied().unwrap_or(Hold { first: now, stamp, since: now });
        if hold.stamp != stamp {
            (hold.stamp, hold.since) = (stamp, now);
        }
        let Some(until) = release(&hold).filter(|until| *until > now && now < hold.first + PATIENCE) else { return false };
        self.held.insert(name.to_owned(), hold);
        self.again = Some(self.again.map_or(until, |again| again.min(until)));
        true
    }
}

/// What events say of a file. A link that was moved to its place says that its target is finished.
fn judge(new: &Seen, writer: impl Fn(&Path) -> Writer) -> Writer {
    let moved_in = || new.links.iter().any(|(dir, name)| writer(&dir.join(name)) == Writer::Done);
    match writer(&new.real) {
        Writer::Unknown if moved_in() => Writer::Done,
        known => known,
    }
}

/// When a change may be shown; `None`: at once.
fn release(new: &Seen, hold: &Hold, writer: Writer, mode: Mode) -> Option<Instant> {
    let blank = new.stamp.is_none_or(|stamp| stamp.size == 0);
    match writer {
        Writer::Busy(last) => Some(last + SILENT_WRITER),
        _ if blank && mode == Mode::Warm => Some(hold.since + GRACE),
        Writer::Unknown if new.fresh => Some(hold.since + FRESH),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileContent, Problem};

    fn seen(text: &str) -> Seen {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("x.yaml"), text).unwrap();
        let mut walk = super::super::walk::walk(temp.path(), &BTreeMap::new());
        Seen { fresh: false, ..walk.files.remove("x.yaml").unwrap() }
    }

    /// Settles one file and tells the text that is shown, and how long a change is held.
    fn show(
        holds: &mut Holds,
        known: Option<&Seen>,
        found: Option<&Seen>,
        writer: Writer,
        now: Instant,
    ) -> (Option<String>, Option<Duration>) {
        let map = |seen: Option<&Seen>| seen.map(|seen| ("x.yaml".to_owned(), seen.clone())).into_iter().collect::<BTreeMap<_, _>>();
        let mut walk = Walk { files: map(found), ..Walk::default() };
        let settled = holds.settle(map(known), &mut walk, |_| writer, Mode::Warm, now);
        let text = |seen: &Seen| String::from_utf8(seen.content.bytes.as_ref().unwrap().to_vec()).unwrap();
        (settled.files.get("x.yaml").map(text), settled.again.map(|again| again - now))
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
        let young = Seen { fresh: true, ..seen("young") };
        let mut holds = Holds::default();
        assert_eq!(show(&mut holds, Some(&old), Some(&young), Writer::Unknown, now), (Some("old".into()), Some(FRESH)));
        let other = Seen { fresh: true, ..seen("other") };
        assert_eq!(show(&mut holds, Some(&old), Some(&other), Writer::Unknown, now + 40 * MS), (Some("old".into()), Some(FRESH)));
        assert_eq!(show(&mut holds, Some(&old), Some(&other), Writer::Unknown, now + 90 * MS), (Some("other".into()), None));
    }

    #[test]
    fn a_moved_file_is_not_shown_twice() {
        let (old, now) = (seen("text"), Instant::now());
        let content = Arc::new(FileContent { path: "/m/b.yaml".into(), ..(*old.content).clone() });
        let mut walk = Walk { files: BTreeMap::from([("b.yaml".to_owned(), Seen { content, ..old.clone() })]), ..Walk::default() };
        let known = BTreeMap::from([("a.yaml".to_owned(), old)]);
        let settled = Holds::default().settle(known, &mut walk, |_| Writer::Done, Mode::Warm, now);
        assert_eq!(settled.files.into_keys().collect::<Vec<_>>(), ["b.yaml"]);
    }

    #[test]
    fn what_could_not_be_read_is_not_gone() {
        let (old, now) = (seen("old"), Instant::now());
        let known = BTreeMap::from([("a/b/x.yaml".to_owned(), old)]);
        let unread = BTreeMap::from([("a/b".to_owned(), "why".to_owned())]);
        for mut walk in [Walk { unread, ..Walk::default() }, Walk { problem: Some(Problem::Missing("/m".into())), ..Walk::default() }] {
            let settled = Holds::default().settle(known.clone(), &mut walk, |_| Writer::Done, Mode::Warm, now + GRACE * 9);
            assert!(settled.files.contains_key("a/b/x.yaml") && settled.again.is_none());
        }
    }
}
