//! All matchers of one hostname -> the one that answers a request.
//!
//! In: Apps that come and go. Out: the most specific matcher; those that are an older App's already. Never: a look at any other App of the
//! host than those that match the same: a change costs what its own matchers cost, and the logarithm of the others.

use std::sync::Arc;

use super::candidate::{Candidate, Same, Tried};
use super::paths::{Node, first};
use crate::names::AppName;
use crate::route::sorted::Sorted;
use crate::route::{CompiledApp, PathMatcher, Request};

/// All matchers of one hostname. Clones share what they have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    /// How many Apps claim it.
    apps: usize,
    paths: Node,
    regexes: Sorted<Tried>,
    /// Who has each match, the oldest that claims it; and who would have it next.
    claims: Sorted<Same, Sorted<Tried>>,
}

impl Host {
    pub(super) fn is_empty(&self) -> bool {
        self.apps == 0
    }

    /// Adds the matchers of an App that is not there.
    pub(super) fn insert(&mut self, app: &Arc<CompiledApp>) {
        self.apps += 1;
        Candidate::all(app).for_each(|candidate| self.claim(candidate));
    }

    /// Takes the matchers of an App away, which is there.
    pub(super) fn remove(&mut self, app: &Arc<CompiledApp>) {
        self.apps -= 1;
        Candidate::all(app).for_each(|candidate| self.release(candidate));
    }

    /// Exact path; longest prefix; expressions. Inside each, candidates stand in the order of their rank.
    pub(super) fn find(&self, request: &Request<'_>) -> Option<&Candidate> {
        let accepts = |candidate: &Candidate| candidate.matcher().accepts_beyond_path(request);
        let by_path = self.paths.find(request.path.strip_prefix('/'), &accepts);
        by_path.or_else(|| {
            first(&self.regexes, &|candidate| {
                matches!(&candidate.matcher().path, PathMatcher::Regex(regex) if regex.is_match(request.path)) && accepts(candidate)
            })
        })
    }

    /// Matchers of an App that an older one has as well: the rule's index and the older App's name.
    pub(super) fn conflicts(&self, app: &Arc<CompiledApp>) -> impl Iterator<Item = (usize, AppName)> {
        Candidate::all(app).filter_map(|candidate| {
            let rule = candidate.rule();
            let (Same(winner), _) = self.claims.get(&Same(candidate))?;
            (winner.app.name != app.name).then(|| (rule, winner.app.name.clone()))
        })
    }

    /// The Apps that lose a match to this one.
    pub(super) fn losers(&self, app: &Arc<CompiledApp>) -> impl Iterator<Item = AppName> {
        let claims = Candidate::all(app).filter_map(|candidate| self.claims.get(&Same(candidate)));
        let won = claims.filter(|(Same(winner), _)| winner.app.name == app.name);
        let losers = won.flat_map(|(_, losers)| losers.iter().map(|(Tried(loser), ())| &loser.app.name));
        losers.filter(|name| **name != app.name).cloned()
    }

    /// The older one has the match, whichever came first.
    fn claim(&mut self, candidate: Candidate) {
        let (claim, mut others) = (Same(candidate.clone()), Sorted::default());
        let mut first = Tried(candidate);
        if let Some((Same(winner), losers)) = self.claims.remove(&claim) {
            let mut winner = Tried(winner);
            others = losers;
            if first < winner {
                self.hide(&winner.0);
                self.show(&first.0);
            } else {
                std::mem::swap(&mut first, &mut winner);
            }
            others.insert(winner, ());
        } else {
            self.show(&first.0);
        }
        self.claims.insert(Same(first.0), others);
    }

    /// The next one has the match, if there is one.
    fn release(&mut self, candidate: Candidate) {
        let candidate = Tried(candidate);
        // It is there: each matcher has claimed its match when its App came.
        let Some((Same(winner), mut losers)) = self.claims.remove(&Same(candidate.0.clone())) else { return };
        let mut next = Some(winner.clone());
        if Tried(winner) == candidate {
            self.hide(&candidate.0);
            next = losers.pop_first().map(|(Tried(next), ())| next);
            if let Some(next) = &next {
                self.show(next);
            }
        } else {
            losers.remove(&candidate);
        }
        if let Some(next) = next {
            self.claims.insert(Same(next), losers);
        }
    }

    /// Requests find it.
    fn show(&mut self, candidate: &Candidate) {
        match candidate.matcher().path {
            PathMatcher::Exact(_) | PathMatcher::Prefix(_) => self.paths.insert(candidate),
            PathMatcher::Regex(_) => self.regexes.insert(Tried(candidate.clone()), ()),
        }
    }

    /// Requests find it no longer.
    fn hide(&mut self, candidate: &Candidate) {
        match candidate.matcher().path {
            PathMatcher::Exact(_) | PathMatcher::Prefix(_) => self.paths.remove(candidate),
            PathMatcher::Regex(_) => drop(self.regexes.remove(&Tried(candidate.clone()))),
        }
    }
}
