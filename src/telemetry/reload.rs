//! Snapshots as they come -> when what is configured was last wholly valid, as Prometheus and Alertmanager tell it of themselves.
//!
//! In: a [`Reader`]. Out: a time, in the counts of the control plane. Never: a time for what is not a change of manifests; a look at what
//! two snapshots have in common.

use std::sync::Arc;
use std::time::SystemTime;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::api::v1::{AppResource, ConditionStatus, ConditionType, Conditions, GatewayResource, Resource, SourceResource};
use crate::metrics::Control;
use crate::snapshot::{Reader, Snapshot};

/// Notes the time of every change that leaves all manifests valid, for as long as there are snapshots.
pub async fn follow(mut reader: Reader, counts: Control) {
    let (mut revision, mut seen) = (0, Seen::default());
    while reader.newer_than(revision).await.is_some() {
        let snapshot = reader.load();
        revision = snapshot.revision;
        if seen.take(&snapshot) {
            counts.reloaded(SystemTime::now());
        }
    }
}

/// What a snapshot was like. It holds none of the routes: they would keep the roots of containers.
#[derive(Debug, Default)]
struct Seen {
    /// Whether there was any.
    any: bool,
    apps: OrdMap<String, Arc<AppResource>>,
    gateways: OrdMap<String, Arc<GatewayResource>>,
    sources: OrdMap<String, Arc<SourceResource>>,
    /// How many objects are not valid.
    invalid: usize,
}

/// What there is to know of an object here.
trait Configured {
    /// It is accepted; a source can be read.
    fn is_valid(&self) -> bool;

    /// Whether both are the same as far as people write them.
    fn is_written_like(&self, other: &Self) -> bool;
}

impl Seen {
    /// Takes the next snapshot. Returns whether all of it is valid, and was not so before, or not written so.
    fn take(&mut self, snapshot: &Snapshot) -> bool {
        let was_valid = self.any && self.invalid == 0;
        let changes = [
            follow_changes(&mut self.apps, &snapshot.apps, &mut self.invalid),
            follow_changes(&mut self.gateways, &snapshot.gateways, &mut self.invalid),
            follow_changes(&mut self.sources, &snapshot.sources, &mut self.invalid),
        ];
        self.any = true;
        self.invalid == 0 && (!was_valid || changes.contains(&true))
    }
}

/// Makes `before` what is `now`. Returns whether something else is written.
fn follow_changes<T: Configured + PartialEq>(
    before: &mut OrdMap<String, Arc<T>>,
    now: &OrdMap<String, Arc<T>>,
    invalid: &mut usize,
) -> bool {
    let mut changes = false;
    for item in before.diff(now) {
        let (old, new) = match item {
            DiffItem::Add(_, new) => (None, Some(new)),
            DiffItem::Remove(_, old) => (Some(old), None),
            DiffItem::Update { old: (_, old), new: (_, new) } => (Some(old), Some(new)),
        };
        let is_invalid = |object: Option<&Arc<T>>| usize::from(object.is_some_and(|object| !object.is_valid()));
        *invalid = *invalid + is_invalid(new) - is_invalid(old);
        changes |= !old.zip(new).is_some_and(|(old, new)| new.is_written_like(old));
    }
    before.clone_from(now);
    changes
}

/// Whether every manifest is accepted and every source can be read.
pub(super) fn is_valid(snapshot: &Snapshot) -> bool {
    snapshot.apps.values().all(|app| app.is_valid())
        && snapshot.gateways.values().all(|gateway| gateway.is_valid())
        && snapshot.sources.values().all(|source| source.is_valid())
}

fn holds(status: &impl Conditions, type_: ConditionType) -> bool {
    status.condition(type_).is_none_or(|found| found.status != ConditionStatus::False)
}

fn is_same_generation<Spec, Status>(one: &Resource<Spec, Status>, other: &Resource<Spec, Status>) -> bool {
    (&one.metadata.uid, one.metadata.generation) == (&other.metadata.uid, other.metadata.generation)
}

impl Configured for AppResource {
    fn is_valid(&self) -> bool {
        holds(&self.status, ConditionType::Accepted)
    }

    fn is_written_like(&self, other: &Self) -> bool {
        is_same_generation(self, other)
    }
}

impl Configured for GatewayResource {
    fn is_valid(&self) -> bool {
        holds(&self.status, ConditionType::Accepted)
    }

    fn is_written_like(&self, other: &Self) -> bool {
        is_same_generation(self, other)
    }
}

impl Configured for SourceResource {
    fn is_valid(&self) -> bool {
        holds(&self.status, ConditionType::Ready)
    }

    fn is_written_like(&self, other: &Self) -> bool {
        self.status.revision == other.status.revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::{API_VERSION, AppStatus, Condition, Reason, ResourceMetadata};

    /// An App, with what makes a difference.
    fn app(generation: u64, accepted: ConditionStatus, file: &str) -> Arc<AppResource> {
        let (message, last_transition_time) = (String::new(), String::new());
        let accepted = Condition {
            type_: ConditionType::Accepted,
            status: accepted,
            reason: Reason::Accepted,
            message,
            observed_generation: 1,
            last_transition_time,
        };
        Arc::new(AppResource {
            api_version: API_VERSION.to_owned(),
            kind: "App".to_owned(),
            metadata: ResourceMetadata { generation, ..ResourceMetadata::default() },
            spec: None,
            status: AppStatus { file: file.to_owned(), conditions: [accepted].into(), ..AppStatus::default() },
        })
    }

    #[test]
    fn only_a_change_of_what_is_written_that_leaves_all_valid_is_a_reload() {
        use ConditionStatus::{False, True, Unknown};
        let mut seen = Seen::default();
        let mut now = Snapshot::default();
        assert!(seen.take(&now), "nothing at all is valid");
        let steps = [
            ("a", Some(app(1, True, "a")), true),
            ("a", Some(app(1, True, "b")), false),
            ("b", Some(app(1, False, "b")), false),
            ("a", Some(app(2, True, "a")), false),
            ("b", Some(app(1, Unknown, "b")), true),
            ("b", Some(app(1, True, "b")), false),
            ("a", Some(app(3, False, "a")), false),
            ("a", None, true),
            ("b", None, true),
            ("b", None, false),
        ];
        for (number, (name, app, reloads)) in steps.into_iter().enumerate() {
            match app {
                Some(app) => now.apps.insert(name.to_owned(), app),
                None => now.apps.remove(name),
            };
            assert_eq!(seen.take(&now), reloads, "{number}");
            assert_eq!(seen.invalid == 0, is_valid(&now), "{number}");
        }
    }
}
