//! Names that wait -> who is next: the one that has waited longest.
//!
//! In: names, in any order. Out: each once. Never: one that waits behind others that came later, however often these ask.

use std::collections::{BTreeMap, HashMap};

use crate::names::AppName;

/// Room for so many stays when nobody waits any more.
const ROOM: usize = 64;

/// Names in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    turns: BTreeMap<u64, AppName>,
    turn_of: HashMap<AppName, u64>,
    next: u64,
}

impl Queue {
    /// Puts a name at the end, unless it waits already.
    pub(super) fn push(&mut self, name: AppName) {
        if !self.turn_of.contains_key(&name) {
            self.turn_of.insert(name.clone(), self.next);
            self.turns.insert(self.next, name);
            self.next += 1;
        }
    }

    /// Takes out the one that has waited longest.
    pub(super) fn pop(&mut self) -> Option<AppName> {
        let (_, name) = self.turns.pop_first()?;
        self.turn_of.remove(&name);
        self.shrink();
        Some(name)
    }

    /// Takes out a name, wherever it stands.
    pub(super) fn remove(&mut self, name: &AppName) {
        if let Some(turn) = self.turn_of.remove(name) {
            self.turns.remove(&turn);
            self.shrink();
        }
    }

    /// After a start that was the room for all Apps, 40 bytes for each.
    fn shrink(&mut self) {
        if self.turn_of.is_empty() {
            self.turn_of.shrink_to(ROOM);
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}

impl Extend<AppName> for Queue {
    fn extend<T: IntoIterator<Item = AppName>>(&mut self, names: T) {
        names.into_iter().for_each(|name| self.push(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_waited_longest_is_next_however_often_others_ask() {
        let name = |text: &str| text.parse::<AppName>().unwrap();
        let mut queue = Queue::default();
        queue.extend(["z", "gone", "b"].map(name));
        queue.push(name("z"));
        queue.remove(&name("gone"));
        assert_eq!(queue.pop(), Some(name("z")));
        queue.extend(["a", "z", "b"].map(name));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, ["b", "a", "z"].map(name));
        assert!(queue.is_empty() && queue.turn_of.is_empty());
    }
}
