//! Values that are equal for very many Apps -> one copy of each, which all of them share (pure).
//!
//! In: what is said of one App after the other. Out: the same. Never: a search longer than [`RECENT`]; a copy that is kept for nobody but the
//! next few.
//!
//! Apps that are in order have the same conditions, from the same second, of the same listeners. With a copy for each of them an App took
//! 900 bytes more.

use std::collections::VecDeque;
use std::sync::Arc;

use super::step::Claim;
use crate::api::v1::{AppStatus, Condition};

/// Different values that are remembered; the one that was met longest ago goes.
const RECENT: usize = 8;

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Alike {
    claims: Recent<Claim>,
    conditions: Recent<Condition>,
    listeners: Recent<String>,
}

impl Alike {
    /// Puts the copy that others have in the place of equal claims.
    pub(super) fn claims(&mut self, claims: &mut Arc<[Claim]>) {
        self.claims.share(claims);
    }

    /// The same for what is shown of an App.
    pub(super) fn status(&mut self, status: &mut AppStatus) {
        self.conditions.share(&mut status.conditions);
        self.listeners.share(&mut status.listeners);
    }
}

/// Lists, the one that was met last in front.
#[derive(Debug)]
struct Recent<T>(VecDeque<Arc<[T]>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: PartialEq> Recent<T> {
    fn share(&mut self, list: &mut Arc<[T]>) {
        match self.0.iter().position(|known| known == list) {
            Some(0) => {}
            Some(at) => self.0.make_contiguous()[..=at].rotate_right(1),
            None => {
                self.0.truncate(RECENT - 1);
                self.0.push_front(list.clone());
            }
        }
        list.clone_from(&self.0[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_become_one_and_few_are_remembered() {
        let mut recent = Recent::default();
        let list = |number: usize| -> Arc<[usize]> { [number, 7].into() };
        let mut share = |number| {
            let mut shared = list(number);
            recent.share(&mut shared);
            assert_eq!(shared, list(number));
            shared
        };
        let (first, second) = (share(1), share(2));
        assert!(Arc::ptr_eq(&first, &share(1)) && Arc::ptr_eq(&second, &share(2)));
        (3..3 + RECENT).for_each(|number| drop(share(number)));
        assert!(!Arc::ptr_eq(&first, &share(1)));
        assert_eq!(recent.0.len(), RECENT);
    }
}
