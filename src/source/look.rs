//! One look at the directory: walk, set watches, settle -> a listing.
//!
//! In: what was known. Out: [`Sight`]. Never: a picture put together from two moments, if a second walk can help it. Blocks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::hold::{GRACE, Holds, Mode};
use super::read::Id;
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
        self.identity = found.root;
        let known = std::mem::take(&mut self.known);
        let hints = self.watch.hints.clone();
        let mode = match errand {
            Errand::AsIs => Mode::AsIs,
            _ if self.cold => Mode::Cold,
            _ => Mode::Warm,
        };
        let mut settled = self.holds.settle(known, &mut found, |path| hints.writer(path), mode, now);
        let problem = self.problem(found.problem, now, &mut settled.again);
        if self.cold && settled.again.is_some() {
            // Nothing is shown yet: what is held back is found again.
            return Sight { listing: self.listing.clone(), news: false, again: settled.again };
        }
        self.known = settled.files;
        let files = self.known.iter().map(|(name, seen)| (name.clone(), seen.content.clone())).collect();
        let listing = Listing { files, problem, unread: found.unread, polling: self.watch.polling.clone(), ..Listing::default() };
        let news = self.cold || !listing.same(&self.listing);
        self.cold = false;
        if news {
            self.listing = Arc::new(listing);
        }
        Sight { listing: self.listing.clone(), news, again: settled.again }
    }

    /// Events come, and for the directory that is there.
    fn quiet(&self) -> bool {
        self.watch.polling.is_none() && self.listing.problem.is_none() && self.identity == walk::identity(&self.root)
    }

    /// Walks until the watches are in place and nothing moved meanwhile.
    fn walk(&mut self, renew: bool) -> Walk {
        let mut found = Walk::default();
        for attempt in 0..WALKS {
            self.watch.hints.begin(Instant::now());
            let moves = self.watch.hints.moves();
            found = walk::walk(&self.root, &self.known);
            let added = self.watch.sync(&found.spots, renew && attempt == 0);
            if !added && self.watch.hints.moves() == moves {
                break;
            }
        }
        found
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
