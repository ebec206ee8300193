//! One look at the directory: walk, set watches, settle -> a listing.
//!
//! In: what was known. Out: [`Sight`]. Never: a picture put together from two revisions of a directory that is a link, or from two moments if
//! a second walk can help it. Blocks.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::CWD;

use super::glimpse::Ground;
use super::hold::{GRACE, Holds, Mode, PATIENCE};
use super::picture::Picture;
use super::read::{self, Id, Stamp};
use super::revision::Way;
use super::walk::{self, Changes, Walk};
use super::watch::Watch;
use super::{Listing, Problem, below};

/// Walks of one look: while watches are added, or entries move under the walk.
const WALKS: usize = 4;

/// Paths that are looked at one by one; more of them are a walk, which costs less for each.
const PATHS: usize = 1000;
/// Files, and directories, that a glance looks at: more take turns.
const GLANCE: usize = 1000;

/// Why there is a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Nothing was hinted: look only if nobody else would notice a change.
    Glance,
    /// Something was hinted, or is due: look at that, if it can be told what it is.
    Hinted,
    /// Anything may have changed.
    Look,
    /// As `Look`, and set all watches anew.
    Renew,
    /// As `Look`, and show everything as it is.
    AsIs,
}

/// What a look shows.
#[derive(Debug)]
pub(super) struct Sight {
    pub listing: Arc<Listing>,
    /// It says something that the one before did not.
    pub news: bool,
    /// When something that is held back now may be shown.
    pub again: Option<Instant>,
}

/// What is known from the looks so far.
#[derive(Debug)]
pub(super) struct Look {
    root: PathBuf,
    pub watch: Watch,
    identity: Option<Id>,
    picture: Picture,
    ground: Ground,
    holds: Holds,
    listing: Arc<Listing>,
    /// Since when the directory is away, while that is not shown.
    away: Option<Instant>,
    /// Since when no walk has found a whole revision.
    torn: Option<Instant>,
    /// How the directory was reached when it was read last.
    way: Option<Way>,
    cold: bool,
    /// Events name what has changed, since all is as it should be and no file is reached through the link of a ConfigMap.
    plain: bool,
    /// The file that the last glance ended with.
    glanced: Option<Arc<str>>,
}

impl Look {
    pub(super) fn new(root: PathBuf, watch: Watch) -> Self {
        Self {
            root,
            watch,
            identity: None,
            picture: Picture::default(),
            ground: Ground::default(),
            holds: Holds::default(),
            listing: Arc::default(),
            away: None,
            torn: None,
            way: None,
            cold: true,
            plain: false,
            glanced: None,
        }
    }

    /// Looks.
    pub(super) fn take(&mut self, errand: Errand) -> Sight {
        let short = match errand {
            Errand::Glance => self.quiet().then(|| Sight { listing: self.listing.clone(), news: false, again: None }),
            Errand::Hinted => self.glimpse(),
            Errand::Look | Errand::Renew | Errand::AsIs => None,
        };
        short.unwrap_or_else(|| self.look(errand))
    }

    /// Looks at what was hinted and at what is held back; `None`: all has to be looked at.
    fn glimpse(&mut self) -> Option<Sight> {
        if !self.plain || self.watch.polling.is_some() {
            return None;
        }
        let now = Instant::now();
        let touched = self.watch.hints.begin(now);
        let mut paths: BTreeSet<PathBuf> = touched.named()?;
        paths.extend(self.holds.places()?);
        if paths.len() > PATHS {
            return None;
        }
        let changes = self.ground.look(&paths, &self.picture)?;
        if walk::identity(&self.root) != self.identity {
            return None;
        }
        let again = self.settle(changes, |_| false, Mode::Warm, now);
        let (problem, unread) = (None, self.listing.unread.clone());
        let revision = self.picture.revision(self.way.as_ref()?, None)?;
        let listing = Listing { revision, files: self.picture.files().clone(), problem, unread, polling: None };
        Some(self.show(listing, again))
    }

    /// Looks at everything.
    fn look(&mut self, errand: Errand) -> Sight {
        self.plain = false;
        let mut found = self.walk(errand == Errand::Renew);
        let now = Instant::now();
        if !found.torn {
            self.torn = None;
        } else if errand != Errand::AsIs && now < *self.torn.get_or_insert(now) + PATIENCE {
            return Sight { listing: self.listing.clone(), news: false, again: Some(now + GRACE) };
        }
        self.identity = found.root;
        let mode = match errand {
            Errand::AsIs => Mode::AsIs,
            _ if self.cold => Mode::Cold,
            // One revision as a whole: nothing of the one before is kept beside it.
            _ if found.problem.is_none() && self.way.as_ref().is_some_and(|before| found.way.was_turned(before)) => Mode::AsIs,
            _ => Mode::Warm,
        };
        let (unread, lost) = (found.unread, found.problem.is_some());
        let changes = std::mem::take(&mut found.changes);
        let mut again = self.settle(changes, |file| lost || below(&unread, file), mode, now);
        let revision = self.picture.revision(&found.way, found.problem.as_ref());
        let problem = self.problem(found.problem, now, &mut again);
        if self.cold && again.is_some() {
            // Nothing is shown yet: what is held back is found again.
            return Sight { listing: self.listing.clone(), news: false, again };
        }
        if revision.is_some() {
            self.way = Some(found.way);
        }
        self.plain = !lost && !found.torn && !found.data;
        self.ground = Ground { spots: found.spots, hinges: found.hinges, entries: found.entries };
        let revision = revision.unwrap_or_else(|| self.listing.revision.clone());
        let files = self.picture.files().clone();
        self.show(Listing { revision, files, problem, unread, polling: self.watch.polling.clone() }, again)
    }

    fn settle(&mut self, changes: Changes, unknown: impl Fn(&str) -> bool, mode: Mode, now: Instant) -> Option<Instant> {
        let hints = &self.watch.hints;
        self.holds.settle(&mut self.picture, changes, unknown, |path| hints.writer(path), mode, now)
    }

    fn show(&mut self, listing: Listing, again: Option<Instant>) -> Sight {
        let news = self.cold || !listing.same(&self.listing);
        self.cold = false;
        if news {
            self.listing = Arc::new(listing);
        }
        Sight { listing: self.listing.clone(), news, again }
    }

    /// Events come, and none is missing. A mount gives none, nor does a file that is written through a hard link elsewhere, or by mmap(2).
    fn quiet(&mut self) -> bool {
        self.watch.polling.is_none()
            && self.listing.problem.is_none()
            && self.identity == walk::identity(&self.root)
            && self.watch.stands(GLANCE)
            && self.stand()
    }

    /// The files whose turn it is are as they were. All of 100,000 would be as many system calls every 2 s; the walk of every half minute makes them.
    fn stand(&mut self) -> bool {
        let from = self.glanced.take().map_or(Bound::Unbounded, Bound::Excluded);
        for (count, file) in self.listing.files.range::<_, Arc<str>>((from, Bound::Unbounded)).map(|(file, _)| file).enumerate() {
            let is_same = self
                .picture
                .find(file)
                .is_some_and(|(_, seen)| read::stat(CWD, seen.real(file).as_os_str()).ok().map(|stat| Stamp::of(&stat)) == seen.stamp);
            if !is_same {
                return false;
            }
            if count + 1 == GLANCE {
                self.glanced = Some(file.clone());
                break;
            }
        }
        true
    }

    /// Walks until the watches are in place and nothing moved meanwhile.
    fn walk(&mut self, renew: bool) -> Walk {
        if renew {
            // Before the walk: it sees what happened until then.
            self.watch.sync(&self.ground.spots, true);
        }
        let (mut attempt, mut found) = (0, Walk::default());
        loop {
            self.watch.hints.begin(Instant::now());
            let moves = self.watch.hints.moves();
            found = walk::walk(&self.root, &mut self.picture, found);
            let added = self.watch.sync(&found.spots, false);
            attempt += 1;
            if attempt == WALKS || (!added && self.watch.hints.moves() == moves) {
                return found;
            }
        }
    }

    /// A directory that is replaced may be away for a moment: that is not shown.
    fn problem(&mut self, found: Option<Problem>, now: Instant, again: &mut Option<Instant>) -> Option<Problem> {
        if found.is_none() || self.cold || self.listing.problem.is_some() {
            self.away = None;
            return found;
        }
        let until = *self.away.get_or_insert(now) + GRACE;
        if now >= until {
            return found;
        }
        *again = Some(again.map_or(until, |again| again.min(until)));
        None
    }
}

#[cfg(test)]
mod tests;
