//! One look at the directory: walk, set watches, settle -> a listing.
//!
//! In: what was known. Out: [`Sight`]. Never: a picture put together from two revisions of a directory that is a link, or from two moments if
//! a second walk can help it. Blocks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::CWD;

use super::hold::{GRACE, Holds, Mode, PATIENCE};
use super::read::{self, Id, Stamp};
use super::revision::Way;
use super::walk::{self, Seen, Walk};
use super::watch::Watch;
use super::{Listing, Problem};

/// Walks of one look: while watches are added, or entries move under the walk.
const WALKS: usize = 4;

/// Why there is a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Nothing was hinted: look only if nobody else would notice a change.
    Glance,
    /// Something may have changed.
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
    known: BTreeMap<String, Seen>,
    holds: Holds,
    listing: Arc<Listing>,
    /// Since when the directory is away, while that is not shown.
    away: Option<Instant>,
    /// Since when no walk has found a whole revision.
    torn: Option<Instant>,
    /// How the directory was reached when it was read last.
    way: Option<Way>,
    cold: bool,
}

impl Look {
    pub(super) fn new(root: PathBuf, watch: Watch) -> Self {
        Self {
            root,
            watch,
            identity: None,
            known: BTreeMap::new(),
            holds: Holds::default(),
            listing: Arc::default(),
            away: None,
            torn: None,
            way: None,
            cold: true,
        }
    }

    /// Looks.
    pub(super) fn take(&mut self, errand: Errand) -> Sight {
        if errand == Errand::Glance && self.quiet() {
            return Sight { listing: self.listing.clone(), news: false, again: None };
        }
        let mut found = self.walk(errand == Errand::Renew);
        let now = Instant::now();
        if !found.torn {
            self.torn = None;
        } else if errand != Errand::AsIs && now < *self.torn.get_or_insert(now) + PATIENCE {
            return Sight { listing: self.listing.clone(), news: false, again: Some(now + GRACE) };
        }
        self.identity = found.root;
        let known = std::mem::take(&mut self.known);
        let hints = self.watch.hints.clone();
        let mode = match errand {
            Errand::AsIs => Mode::AsIs,
            _ if self.cold => Mode::Cold,
            // One revision as a whole: nothing of the one before is kept beside it.
            _ if found.problem.is_none() && self.way.as_ref().is_some_and(|before| found.way.was_turned(before)) => Mode::AsIs,
            _ => Mode::Warm,
        };
        let mut settled = self.holds.settle(known, &mut found, |path| hints.writer(path), mode, now);
        let revision = found.revision(&settled.files);
        let problem = self.problem(found.problem, now, &mut settled.again);
        if self.cold && settled.again.is_some() {
            // Nothing is shown yet: what is held back is found again.
            return Sight { listing: self.listing.clone(), news: false, again: settled.again };
        }
        self.known = settled.files;
        if revision.is_some() {
            self.way = Some(found.way);
        }
        let revision = revision.unwrap_or_else(|| self.listing.revision.clone());
        let files = self.known.iter().map(|(name, seen)| (name.clone(), seen.content.clone())).collect();
        let listing = Listing { revision, files, problem, unread: found.unread, polling: self.watch.polling.clone() };
        let news = self.cold || !listing.same(&self.listing);
        self.cold = false;
        if news {
            self.listing = Arc::new(listing);
        }
        Sight { listing: self.listing.clone(), news, again: settled.again }
    }

    /// Events come, and none is missing. A mount gives none, nor does a file that is written through a hard link elsewhere, or by mmap(2).
    fn quiet(&self) -> bool {
        let is_same = |seen: &Seen| read::stat(CWD, seen.real.as_os_str()).ok().map(|stat| Stamp::of(&stat)) == seen.stamp;
        self.watch.polling.is_none()
            && self.listing.problem.is_none()
            && self.identity == walk::identity(&self.root)
            && self.watch.stands()
            && self.known.values().all(is_same)
    }

    /// Walks until the watches are in place and nothing moved meanwhile.
    fn walk(&mut self, renew: bool) -> Walk {
        let mut attempt = 0;
        loop {
            self.watch.hints.begin(Instant::now());
            let moves = self.watch.hints.moves();
            let found = walk::walk(&self.root, &self.known);
            let added = self.watch.sync(&found.spots, renew && attempt == 0);
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
