//! A snapshot -> its objects by kind, and what differs from one snapshot to the next.
//!
//! In: persistent collections, of which two share all that did not change. Out: changes. Never: a snapshot held: it holds the roots of
//! containers, and a watcher may be slow.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, Vector};
use serde::Serialize;

use super::fields::Field;
use crate::api::v1::{Event, Resource, WatchType};
use crate::snapshot;

/// The kinds of objects that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    App,
    Gateway,
    Source,
    Event,
    /// Made when it is asked for.
    Backend,
}

/// An object that is listed and watched.
pub(super) trait Object: Serialize + PartialEq + Send + Sync + 'static {
    /// The value of a field that can be selected by; empty if this kind has none.
    fn field(&self, field: Field) -> &str;
    /// Its labels, if this kind has any.
    fn labels(&self) -> Option<&BTreeMap<String, String>>;
}

/// All objects of a kind, as one snapshot has them.
pub(super) trait Collection: Clone + Default + Send + Sync + 'static {
    /// What it holds.
    type Object: Object;
    /// All of them, in their order.
    fn all(&self) -> impl Iterator<Item = &Arc<Self::Object>>;
    /// Those of one name: the object that has it, then manifests that want it.
    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Self::Object>>;
    /// What has happened from here to there.
    fn changes(&self, newer: &Self) -> Vec<Change<Self::Object>>;
}

/// What has happened to one object: as it was, if it was there; as it is, if it is there.
#[derive(Debug)]
pub(super) struct Change<T> {
    pub(super) before: Option<Arc<T>>,
    pub(super) after: Option<Arc<T>>,
}

impl Kind {
    /// All kinds, as discovery lists them.
    pub(super) const ALL: [Self; 5] = [Self::App, Self::Gateway, Self::Source, Self::Event, Self::Backend];

    /// As `kind:` has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::App => "App",
            Self::Gateway => "Gateway",
            Self::Source => "Source",
            Self::Event => "Event",
            Self::Backend => "Backend",
        }
    }

    /// As `kind:` of a list has it.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::App => "AppList",
            Self::Gateway => "GatewayList",
            Self::Source => "SourceList",
            Self::Event => "EventList",
            Self::Backend => "BackendList",
        }
    }

    /// As paths have it.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::App => "apps",
            Self::Gateway => "gateways",
            Self::Source => "sources",
            Self::Event => "events",
            Self::Backend => "backends",
        }
    }

    /// What `fieldSelector` may name.
    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Self::Event => &[Field::Name, Field::InvolvedKind, Field::InvolvedName],
            Self::App | Self::Gateway | Self::Source | Self::Backend => &[Field::Name],
        }
    }

    /// Whether changes of its objects can be told: there are none between two snapshots of what is made when it is asked for.
    pub(super) fn is_watched(self) -> bool {
        self != Self::Backend
    }
}

impl<T> Change<T> {
    /// What a watcher is told of whom this object fits: one that begins to fit is added, one that stops is deleted.
    pub(super) fn told(self, fits: impl Fn(&T) -> bool) -> Option<(WatchType, Arc<T>)> {
        match (self.before.filter(|object| fits(object)), self.after.filter(|object| fits(object))) {
            (None, None) => None,
            (None, Some(after)) => Some((WatchType::Added, after)),
            (Some(_), Some(after)) => Some((WatchType::Modified, after)),
            (Some(before), None) => Some((WatchType::Deleted, before)),
        }
    }
}

impl<S, T> Object for Resource<S, T>
where
    S: Serialize + PartialEq + Send + Sync + 'static,
    T: Serialize + PartialEq + Send + Sync + 'static,
{
    fn field(&self, field: Field) -> &str {
        match field {
            Field::Name => &self.metadata.name,
            Field::InvolvedKind | Field::InvolvedName => "",
        }
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.metadata.labels)
    }
}

impl Object for Event {
    fn field(&self, field: Field) -> &str {
        match field {
            Field::Name => &self.metadata.name,
            Field::InvolvedKind => &self.involved_object.kind,
            Field::InvolvedName => &self.involved_object.name,
        }
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        None
    }
}

impl<S, T> Collection for OrdMap<String, Arc<Resource<S, T>>>
where
    Resource<S, T>: Object,
{
    type Object = Resource<S, T>;

    fn all(&self) -> impl Iterator<Item = &Arc<Self::Object>> {
        self.values()
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Self::Object>> {
        snapshot::named(self, name)
    }

    fn changes(&self, newer: &Self) -> Vec<Change<Self::Object>> {
        let mut changes = Vec::new();
        for item in self.diff(newer) {
            match item {
                DiffItem::Add(_, after) => changes.push(Change { before: None, after: Some(after.clone()) }),
                DiffItem::Remove(_, before) => changes.push(Change { before: Some(before.clone()), after: None }),
                DiffItem::Update { old: (_, before), new: (_, after) } if before.metadata.uid == after.metadata.uid => {
                    changes.push(Change { before: Some(before.clone()), after: Some(after.clone()) });
                }
                // Deleted, and made anew since the last look.
                DiffItem::Update { old: (_, before), new: (_, after) } => {
                    changes.push(Change { before: Some(before.clone()), after: None });
                    changes.push(Change { before: None, after: Some(after.clone()) });
                }
            }
        }
        changes
    }
}

impl Collection for Vector<Arc<Event>> {
    type Object = Event;

    fn all(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.iter()
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Event>> {
        self.iter().filter(move |event| event.metadata.name == name)
    }

    fn changes(&self, newer: &Self) -> Vec<Change<Event>> {
        if self.ptr_eq(newer) {
            return Vec::new();
        }
        let mut old: HashMap<&str, &Arc<Event>> = self.iter().map(|event| (&*event.metadata.name, event)).collect();
        let mut changes = Vec::new();
        for after in newer {
            let before = old.remove(&*after.metadata.name);
            if before.is_none_or(|before| !Arc::ptr_eq(before, after) && before != after) {
                changes.push(Change { before: before.cloned(), after: Some(after.clone()) });
            }
        }
        // Only so many are kept.
        let gone = self.iter().filter(|event| old.contains_key(&*event.metadata.name));
        let gone = gone.map(|event| Change { before: Some(event.clone()), after: None });
        gone.chain(changes).collect()
    }
}
