//! Paths, element by element -> those that claim them.
//!
//! In: candidates with a path, or with the start of one. Out: the deepest one that accepts a request, in O(length of the path). Never: an
//! expression.

use std::sync::Arc;

use super::candidate::{Candidate, Tried};
use crate::route::PathMatcher;
use crate::route::sorted::Sorted;

/// A path element and what is below it. A change copies the nodes on its way, and no others.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    below: Sorted<Arc<str>, Arc<Node>>,
    /// The path that ends here.
    exact: Sorted<Tried>,
    /// Paths that start here.
    prefix: Sorted<Tried>,
}

impl Node {
    pub(super) fn insert(&mut self, candidate: &Candidate) {
        self.change(way(candidate), &mut |node| node.list(candidate).insert(Tried(candidate.clone()), ()));
    }

    pub(super) fn remove(&mut self, candidate: &Candidate) {
        let tried = Tried(candidate.clone());
        self.change(way(candidate), &mut |node| drop(node.list(candidate).remove(&tried)));
    }

    /// The deepest candidate on the way along `rest`, which is what follows a slash. The recursion is as deep as the longest path of the host.
    pub(super) fn find<'a>(&'a self, rest: Option<&str>, accepts: &impl Fn(&Candidate) -> bool) -> Option<&'a Candidate> {
        let deeper = match rest {
            None => first(&self.exact, accepts),
            Some(rest) => {
                let (element, rest) = cut(rest);
                self.below.get(element).and_then(|(_, node)| node.find(rest, accepts))
            }
        };
        deeper.or_else(|| first(&self.prefix, accepts))
    }

    /// Changes the node at the end of the way. What is empty afterwards is gone.
    fn change(&mut self, rest: Option<&str>, change: &mut dyn FnMut(&mut Self)) {
        let Some(rest) = rest else { return change(self) };
        let (element, rest) = cut(rest);
        if let Some(node) = self.below.get_mut(element) {
            let node = Arc::make_mut(node);
            node.change(rest, change);
            if node.is_empty() {
                self.below.remove(element);
            }
        } else {
            let mut node = Self::default();
            node.change(rest, change);
            self.below.insert(element.into(), Arc::new(node));
        }
    }

    fn is_empty(&self) -> bool {
        self.below.is_empty() && self.exact.is_empty() && self.prefix.is_empty()
    }

    fn list(&mut self, candidate: &Candidate) -> &mut Sorted<Tried> {
        match candidate.matcher().path {
            PathMatcher::Exact(_) => &mut self.exact,
            PathMatcher::Prefix(_) | PathMatcher::Regex(_) => &mut self.prefix,
        }
    }
}

/// The first that accepts.
pub(super) fn first<'a>(tried: &'a Sorted<Tried>, accepts: &impl Fn(&Candidate) -> bool) -> Option<&'a Candidate> {
    tried.iter().map(|(tried, ())| &tried.0).find(|candidate| accepts(candidate))
}

/// What a path has after its first slash; `None`: nothing, it stands for every path.
fn way(candidate: &Candidate) -> Option<&str> {
    match &candidate.matcher().path {
        PathMatcher::Exact(path) | PathMatcher::Prefix(path) => path.strip_prefix('/'),
        PathMatcher::Regex(_) => None,
    }
}

/// An element, and what follows its slash.
fn cut(rest: &str) -> (&str, Option<&str>) {
    rest.split_once('/').map_or((rest, None), |(element, after)| (element, Some(after)))
}
