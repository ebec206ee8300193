//! Manifests that belong to no object -> resources beside those of the objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use crate::api::v1::Resource;
use crate::reconcile::desired::Stray;
use crate::reconcile::resource::{self, OfManifest};

/// Shows these in the place of those that there were. Returns whether that is news.
pub(super) fn show<Spec: Clone, Status: OfManifest + Clone>(
    resources: &mut OrdMap<String, Arc<Resource<Spec, Status>>>,
    shown: &mut BTreeMap<String, Stray>,
    strays: Vec<Stray>,
) -> bool {
    // A space keeps the key apart from every object's name, a number documents of one file from each other.
    let key = |(number, stray): (usize, Stray)| (format!("{} {} {number}", stray.name, stray.file), stray);
    let mut of_file = BTreeMap::new();
    let numbered = strays.into_iter().map(|stray| {
        let number = of_file.entry(stray.file.clone()).and_modify(|number| *number += 1).or_insert(0_usize);
        (*number, stray)
    });
    let strays: BTreeMap<_, _> = numbered.map(key).collect();
    if strays == *shown {
        return false;
    }
    let now = super::now();
    for gone in shown.keys().filter(|key| !strays.contains_key(*key)) {
        resources.remove(gone);
    }
    for (key, stray) in &strays {
        let before = resources.get(key).cloned();
        let after = resource::of_stray(stray, before.as_deref(), &now);
        resource::log_changes(before.as_deref(), &after);
        resources.insert(key.clone(), Arc::new(after));
    }
    *shown = strays;
    true
}
