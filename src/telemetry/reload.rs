//! Snapshots as they come -> when what is configured was last wholly valid, as Prometheus and Alertmanager tell it of themselves.
//!
//! In: a [`Reader`]. Out: a time, in the counts of the control plane. Never: a time for what is not a change of manifests.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use crate::api::v1::{ConditionStatus, ConditionType, Conditions};
use crate::metrics::Control;
use crate::snapshot::{Reader, Snapshot};

/// Notes the time of every change that leaves all manifests valid, for as long as there are snapshots.
pub async fn follow(mut reader: Reader, counts: Control) {
    let (mut revision, mut before) = (0, None);
    while let Some(newer) = reader.newer_than(revision).await {
        revision = newer;
        let snapshot = reader.load();
        let now = (is_valid(&snapshot), configured(&snapshot));
        if now.0 && before != Some(now) {
            counts.reloaded(SystemTime::now());
        }
        before = Some(now);
    }
}

/// Whether every manifest is accepted and every source can be read.
pub(super) fn is_valid(snapshot: &Snapshot) -> bool {
    let holds = |status: &dyn Conditions, type_| status.condition(type_).is_none_or(|found| found.status != ConditionStatus::False);
    snapshot.apps.values().all(|app| holds(&app.status, ConditionType::Accepted))
        && snapshot.gateways.values().all(|gateway| holds(&gateway.status, ConditionType::Accepted))
        && snapshot.sources.values().all(|source| holds(&source.status, ConditionType::Ready))
}

/// Changes with the manifests, and with nothing else.
fn configured(snapshot: &Snapshot) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, app) in &snapshot.apps {
        (key, &app.metadata.uid, app.metadata.generation).hash(&mut hasher);
    }
    for (key, gateway) in &snapshot.gateways {
        (key, &gateway.metadata.uid, gateway.metadata.generation).hash(&mut hasher);
    }
    for (key, source) in &snapshot.sources {
        (key, &source.status.revision).hash(&mut hasher);
    }
    hasher.finish()
}
