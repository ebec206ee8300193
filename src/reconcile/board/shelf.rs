//! The resources of one kind: what is shown, and what will be once it is kept on disk.
//!
//! In: drafts, manifests that belong to no object. Out: resources, log lines, events. Never: a word when nothing has changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use imbl::OrdMap;

use crate::api::v1::Resource;
use crate::names::AppName;
use crate::reconcile::changes::{Subject, tell, tell_removed};
use crate::reconcile::desired::Stray;
use crate::reconcile::events::{Events, Moment};
use crate::reconcile::queue::Queue;
use crate::reconcile::resource::{self, OfManifest};

/// One kind.
#[derive(Debug)]
pub(super) struct Shelf<Spec, Status> {
    /// What is shown.
    pub(super) resources: OrdMap<String, Arc<Resource<Spec, Status>>>,
    /// Objects whose resource may be out of date.
    pub(super) changed: Queue,
    /// What is said of those whose records are being kept, once they are; none: that it is gone.
    pub(super) drafts: BTreeMap<AppName, Option<Resource<Spec, Status>>>,
    strays: BTreeMap<String, Stray>,
}

impl<Spec: Clone, Status: Clone> Default for Shelf<Spec, Status> {
    fn default() -> Self {
        Self { resources: OrdMap::new(), changed: Queue::default(), drafts: BTreeMap::new(), strays: BTreeMap::new() }
    }
}

impl<Spec: Clone + PartialEq, Status: OfManifest + Clone + PartialEq> Shelf<Spec, Status> {
    /// What is shown of the object with this identity. An older one of its name is gone, and nothing of it goes on.
    pub(super) fn shown(&self, name: &AppName, uid: &str) -> Option<&Resource<Spec, Status>> {
        self.resources.get(name.as_str()).filter(|before| *before.metadata.uid == *uid).map(|before| &**before)
    }

    /// Shows the drafts, also those that have changed again: an object that never rests is described, too. Returns whether there is news.
    pub(super) fn say(&mut self, events: &mut Events, at: Moment<'_>) -> bool {
        let mut news = false;
        for (name, draft) in std::mem::take(&mut self.drafts) {
            news |= self.replace(name.to_string(), draft, events, at);
        }
        news
    }

    /// Shows these manifests, which belong to no object, in the place of those that there were. Returns whether that is news.
    pub(super) fn strays(&mut self, strays: Vec<Stray>, events: &mut Events, at: Moment<'_>) -> bool {
        // A space keeps the key apart from every object's name, a number documents of one file that want one name from each other.
        let mut numbers = HashMap::new();
        let keyed = strays.into_iter().map(|stray| {
            let key = format!("{} {}", stray.name, stray.file);
            let number = numbers.entry(key.clone()).and_modify(|number| *number += 1).or_insert(0_usize);
            (format!("{key} {number}"), stray)
        });
        let strays: BTreeMap<_, _> = keyed.collect();
        if strays == self.strays {
            return false;
        }
        for gone in self.strays.keys().filter(|key| !strays.contains_key(*key)) {
            self.resources.remove(gone);
        }
        for (key, stray) in &strays {
            let before = self.resources.get(key).map(|before| &**before);
            let after = resource::of_stray(stray, before, at.now);
            self.replace(key.clone(), Some(after), events, at);
        }
        self.strays = strays;
        true
    }

    fn replace(&mut self, key: String, after: Option<Resource<Spec, Status>>, events: &mut Events, at: Moment<'_>) -> bool {
        let mut before = self.resources.get(&key).cloned();
        let gone = before.take_if(|before| after.as_ref().is_none_or(|after| after.metadata.uid != before.metadata.uid));
        if let Some(gone) = &gone {
            tell_removed(events, subject(gone), at);
            self.resources.remove(&key);
        }
        let Some(after) = after.and_then(|after| resource::news(before.as_deref(), after, at.revision)) else { return gone.is_some() };
        let before = before.as_ref().map(|before| before.status.conditions()).unwrap_or_default();
        tell(events, subject(&after), before, after.status.conditions(), at);
        self.resources.insert(key, Arc::new(after));
        true
    }
}

fn subject<Spec, Status: OfManifest>(resource: &Resource<Spec, Status>) -> Subject<'_> {
    Subject { kind: &resource.kind, name: &resource.metadata.name, file: resource.status.file() }
}
