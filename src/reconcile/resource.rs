//! What is known of an App or Gateway -> what the admin socket shows (pure but for the time it is given).
//!
//! In: claims, the resource as it was. Out: the resource as it is. Never: a time that moves without its status.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::desired::Stray;
use super::entry::Entry;
use super::gateways;
use super::step::{Claim, Wanted, step};
use crate::api::v1::{
    API_VERSION, AppResource, AppStatus, Condition, ConditionStatus, ConditionType, Conditions, Diagnostic, GatewayResource, GatewayStatus,
    ListenerStatus, Metadata, Reason, Resource, ResourceMetadata,
};
use crate::manifest::Kind;
use crate::names::AppName;
use crate::route::Front;
use crate::state::{Kept, Record, Transition, Transitions};

/// A status that says what became of a manifest.
pub(super) trait OfManifest: Conditions {
    /// Of the object.
    const KIND: Kind;

    /// Where the manifest is.
    fn file(&self) -> &str;

    /// That of a manifest of which no more is known.
    fn of_manifest(file: String, served: Option<u64>, conditions: Vec<Condition>, errors: Vec<Diagnostic>) -> Self;
}

impl OfManifest for AppStatus {
    const KIND: Kind = Kind::App;

    fn file(&self) -> &str {
        &self.file
    }

    fn of_manifest(file: String, served_generation: Option<u64>, conditions: Vec<Condition>, errors: Vec<Diagnostic>) -> Self {
        Self { file, served_generation, conditions: conditions.into(), errors, ..Self::default() }
    }
}

impl OfManifest for GatewayStatus {
    const KIND: Kind = Kind::Gateway;

    fn file(&self) -> &str {
        &self.file
    }

    fn of_manifest(file: String, served_generation: Option<u64>, conditions: Vec<Condition>, errors: Vec<Diagnostic>) -> Self {
        Self { file, served_generation, conditions, errors, ..Self::default() }
    }
}

/// The resource of an App. `listeners`: those that lead to it. `conflicts`: rules of it whose match an older App has.
pub(super) fn of_entry(
    entry: &Entry,
    listeners: Arc<[String]>,
    conflicts: &[(usize, AppName)],
    before: Option<&AppResource>,
    now: &str,
) -> AppResource {
    let record = &entry.record;
    let app = entry.shown();
    #[cfg(test)]
    super::fault::trip("describe", app.map(|app| &app.metadata));
    let mut claims = entry.claims.to_vec();
    if let Some((rule, winner)) = conflicts.first() {
        let more = if conflicts.len() > 1 { format!(" (and {} more)", conflicts.len() - 1) } else { String::new() };
        claims.push(Claim {
            type_: ConditionType::Conflicted,
            status: ConditionStatus::True,
            reason: Reason::Conflicted,
            message: format!("spec.rules[{rule}] has a match of the older App `{winner}`, which answers{more}"),
        });
    }
    AppResource {
        api_version: API_VERSION.to_owned(),
        kind: Kind::App.to_string(),
        metadata: identity(record, app.map(|app| &app.metadata)),
        spec: app.map(|app| app.spec.clone()),
        status: AppStatus {
            file: record.file.clone(),
            served_generation: entry.served.as_ref().map(|served| served.generation),
            listeners,
            conditions: conditions(claims, record.generation, &since(before, record), now).into(),
            errors: entry.errors().to_vec(),
        },
    }
}

/// The resource of an object that can't be described, with the claims that say so. `served`: the generation that is served.
pub(super) fn of_fault<T: Kept, Spec: Clone, Status: OfManifest + Clone>(
    record: &Record<T>,
    served: Option<u64>,
    claims: Vec<Claim>,
    before: Option<&Resource<Spec, Status>>,
    now: &str,
) -> Resource<Spec, Status> {
    let conditions = conditions(claims, record.generation, &since(before, record), now);
    let status = Status::of_manifest(record.file.clone(), served, conditions, Vec::new());
    match before {
        Some(before) => Resource { status, ..before.clone() },
        None => Resource {
            api_version: API_VERSION.to_owned(),
            kind: Status::KIND.to_string(),
            metadata: identity(record, None),
            spec: None,
            status,
        },
    }
}

/// The resource of a Gateway. `attached`: how many Apps a listener leads to.
pub(super) fn of_gateway(
    entry: &gateways::Entry,
    attached: impl Fn(&Front) -> usize,
    before: Option<&GatewayResource>,
    now: &str,
) -> GatewayResource {
    let record = &entry.record;
    let gateway = entry.shown();
    #[cfg(test)]
    super::fault::trip("describe", gateway.map(|gateway| &gateway.metadata));
    let known = |name: &str| before?.status.listeners.iter().find(|listener| listener.name == name);
    let listener = |listener: &gateways::Listener| {
        let name = listener.front.name.as_ref().map(|(_, name)| name.to_string()).unwrap_or_default();
        let since = known(&name).map(|before| transitions(&before.conditions)).unwrap_or_default();
        let generation = entry.served.as_ref().map_or(0, |served| served.generation);
        ListenerStatus {
            address: listener.front.socket.to_string(),
            attached_apps: attached(&listener.front) as u64,
            conditions: conditions(claims_of(listener), generation, &since, now),
            name,
        }
    };
    GatewayResource {
        api_version: API_VERSION.to_owned(),
        kind: Kind::Gateway.to_string(),
        metadata: identity(record, gateway.map(|gateway| &gateway.metadata)),
        spec: gateway.map(|gateway| gateway.spec.clone()),
        status: GatewayStatus {
            file: record.file.clone(),
            served_generation: entry.served.as_ref().map(|served| served.generation),
            conditions: conditions(entry.claims.clone(), record.generation, &since(before, record), now),
            listeners: entry.listeners().iter().map(listener).collect(),
            errors: entry.errors().to_vec(),
        },
    }
}

fn claims_of(listener: &gateways::Listener) -> Vec<Claim> {
    let claim = |type_: ConditionType, holds: bool, good: Reason, said: &str| match &listener.missing {
        Some(missing) if !holds => {
            Claim { type_, status: ConditionStatus::False, reason: missing.reason, message: missing.message.clone() }
        }
        _ => Claim { type_, status: ConditionStatus::True, reason: good, message: said.to_owned() },
    };
    vec![
        claim(ConditionType::Accepted, listener.is_accepted(), Reason::Accepted, "no other listener has its address for its host"),
        claim(ConditionType::Programmed, listener.missing.is_none(), Reason::Programmed, "it is listened on"),
    ]
}

/// The resource of a manifest that belongs to no object.
pub(super) fn of_stray<Spec, Status: OfManifest>(
    stray: &Stray,
    before: Option<&Resource<Spec, Status>>,
    now: &str,
) -> Resource<Spec, Status> {
    let refusal = &stray.refusal;
    let claims = step(Wanted::Invalid { reason: refusal.reason, message: &refusal.message() }, None).claims;
    let since = before.map(|before| transitions(before.status.conditions())).unwrap_or_default();
    Resource {
        api_version: API_VERSION.to_owned(),
        kind: Status::KIND.to_string(),
        metadata: ResourceMetadata { name: stray.name.clone(), ..ResourceMetadata::default() },
        spec: None,
        status: Status::of_manifest(stray.file.clone(), None, conditions(claims, 0, &since, now), refusal.errors.clone()),
    }
}

fn identity<T: Kept>(record: &Record<T>, written: Option<&Metadata>) -> ResourceMetadata {
    let seen = UNIX_EPOCH + Duration::from_nanos(record.first_seen);
    ResourceMetadata {
        name: record.name.to_string(),
        uid: record.uid.clone(),
        generation: record.generation,
        creation_timestamp: humantime::format_rfc3339_seconds(seen).to_string(),
        resource_version: String::new(),
        labels: written.map(|metadata| metadata.labels.clone()).unwrap_or_default(),
        annotations: written.map(|metadata| metadata.annotations.clone()).unwrap_or_default(),
    }
}

/// Since when each condition has its status. The first resource of a run goes on where the run before has ended.
fn since<T: Kept, Spec, Status: Conditions>(before: Option<&Resource<Spec, Status>>, record: &Record<T>) -> Transitions {
    before.map_or_else(|| record.transitions.clone(), |before| transitions(before.status.conditions()))
}

/// Since when each of these has its status.
pub(super) fn transitions(conditions: &[Condition]) -> Transitions {
    let one =
        |condition: &Condition| (condition.type_, Transition { status: condition.status, time: condition.last_transition_time.clone() });
    conditions.iter().map(one).collect()
}

/// Claims with their times: a condition that had this status before has had it since then.
pub(super) fn conditions(claims: Vec<Claim>, generation: u64, since: &Transitions, now: &str) -> Vec<Condition> {
    let condition = |claim: Claim| {
        let old = since.get(&claim.type_).filter(|old| old.status == claim.status);
        Condition {
            type_: claim.type_,
            status: claim.status,
            reason: claim.reason,
            message: claim.message,
            observed_generation: generation,
            last_transition_time: old.map_or(now, |old| &old.time).to_owned(),
        }
    };
    claims.into_iter().map(condition).collect()
}

/// Makes `after` the resource to be shown, unless it says what is shown already. `revision`: the one that will show it.
pub(super) fn news<Spec: PartialEq, Status: PartialEq>(
    before: Option<&Resource<Spec, Status>>,
    mut after: Resource<Spec, Status>,
    revision: u64,
) -> Option<Resource<Spec, Status>> {
    after.metadata.resource_version = before.map(|before| before.metadata.resource_version.clone()).unwrap_or_default();
    if before == Some(&after) {
        return None;
    }
    after.metadata.resource_version = revision.to_string();
    Some(after)
}
