//! Entries in the order of their keys, few or many: a persistent map that takes for few what they need (pure).
//!
//! In: keys, values. Out: look-ups, and clones that share what is large. Never: room for an entry that is not there.
//!
//! A node of a B-tree has room for 16 entries from the first one on. Most hosts have one rule: with slices for few the table takes 320 bytes per
//! App of one host, before it was 750. A change copies 16 entries at most, or a path in a B-tree.

use std::borrow::Borrow;
use std::{fmt, iter};

use imbl::OrdMap;

/// Entries that a slice has at most: as many as a node of a B-tree, so that more of them cost no more to change.
const FEW: usize = 16;

/// A map; with `V = ()` a set.
#[derive(Clone)]
pub(super) enum Sorted<K, V = ()> {
    Few(Box<[(K, V)]>),
    Many(Box<OrdMap<K, V>>),
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self::Few(Box::default())
    }
}

impl<K: Ord + Clone, V: Clone> Sorted<K, V> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    /// In their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (few, many) = match self {
            Self::Few(few) => (&**few, None),
            Self::Many(many) => (&[][..], Some(many.iter())),
        };
        few.iter().map(|(key, value)| (key, value)).chain(many.into_iter().flatten())
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Few(few) => few.get(place(few, key).ok()?).map(|(key, value)| (key, value)),
            Self::Many(many) => many.get_key_value(key),
        }
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Few(few) => place(few, key).ok().and_then(|place| few.get_mut(place)).map(|(_, value)| value),
            Self::Many(many) => many.get_mut(key),
        }
    }

    /// Adds an entry, or replaces the one of this key and the key itself.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self {
            Self::Few(few) => match place(few, &key) {
                Ok(place) => few[place] = (key, value),
                Err(place) if few.len() < FEW => {
                    let mut entries = std::mem::take(few).into_vec();
                    entries.reserve_exact(1);
                    entries.insert(place, (key, value));
                    *few = entries.into();
                }
                Err(_) => {
                    let entries = std::mem::take(few).into_iter().chain(iter::once((key, value)));
                    *self = Self::Many(Box::new(entries.collect()));
                }
            },
            Self::Many(many) => {
                many.insert(key, value);
            }
        }
    }

    /// Takes the entry of this key out.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Few(few) => {
                let place = place(few, key).ok()?;
                let mut entries = std::mem::take(few).into_vec();
                let removed = entries.remove(place);
                *few = entries.into();
                Some(removed)
            }
            Self::Many(many) => {
                let removed = many.remove_with_key(key);
                // Half of it: who goes to and fro over a limit pays for it once.
                if many.len() <= FEW / 2 {
                    *self = Self::Few(many.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
                }
                removed
            }
        }
    }

    /// Takes the first entry out.
    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let first = self.iter().next().map(|(key, _)| key.clone())?;
        self.remove(&first)
    }
}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for Sorted<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Few(few) => few.fmt(f),
            Self::Many(many) => many.fmt(f),
        }
    }
}

/// Where a key stands, or would stand.
fn place<K: Borrow<Q>, V, Q: Ord + ?Sized>(entries: &[(K, V)], key: &Q) -> Result<usize, usize> {
    entries.binary_search_by(|(known, _)| known.borrow().cmp(key))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_one_and_a_single_entry_take_no_more_than_they_need() {
        assert_eq!(size_of::<Sorted<u64>>(), 16);
        let mut one = Sorted::default();
        one.insert(1, ());
        assert!(matches!(&one, Sorted::Few(few) if few.len() == 1));
    }

    proptest! {
        #[test]
        fn it_is_a_map_however_many_there_are(steps in proptest::collection::vec((0_u8..40, any::<bool>()), 0..200)) {
            let (mut sorted, mut model) = (Sorted::<u8, usize>::default(), BTreeMap::new());
            for (step, (key, add)) in steps.into_iter().enumerate() {
                let (before, old) = (sorted.clone(), model.clone());
                if add {
                    sorted.insert(key, step);
                    model.insert(key, step);
                } else {
                    prop_assert_eq!(sorted.remove(&key), model.remove_entry(&key));
                }
                prop_assert_eq!(sorted.get(&key).map(|(_, value)| *value), model.get(&key).copied());
                prop_assert_eq!(sorted.get_mut(&key).copied(), model.get(&key).copied());
                prop_assert!(sorted.iter().eq(model.iter()) && sorted.is_empty() == model.is_empty());
                prop_assert!(before.iter().eq(old.iter()), "a clone stays as it is");
            }
            prop_assert_eq!(sorted.pop_first(), model.pop_first());
        }
    }
}
