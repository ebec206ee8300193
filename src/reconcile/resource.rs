//! What is known of an App -> what the admin socket shows (pure but for the time it is given).
//!
//! In: claims, the resource as it was. Out: the resource as it is. Never: a time that moves without its status.

use super::desired::Stray;
use super::entry::Entry;
use super::step::Claim;
use crate::api::v1::{API_VERSION, AppResource, AppStatus, Condition, ConditionStatus, ConditionType, Metadata, ResourceMetadata};
use crate::names::AppName;
use crate::state::{Transition, Transitions};

/// The resource of an App. `conflicts`: rules of it whose match an older App has.
pub(super) fn of_entry(entry: &Entry, conflicts: &[(usize, AppName)], before: Option<&AppResource>, now: &str) -> AppResource {
    let record = &entry.record;
    let app = entry.shown();
    #[cfg(test)]
    super::fault::trip("describe", app);
    // The first one of a run goes on where the one before has ended.
    let since = before.map_or_else(|| record.transitions.clone(), |before| since(&before.status.conditions));
    let mut claims = entry.claims.clone();
    if let Some((rule, winner)) = conflicts.first() {
        let more = if conflicts.len() > 1 { format!(" (and {} more)", conflicts.len() - 1) } else { String::new() };
        claims.push(Claim {
            type_: ConditionType::Conflicted,
            status: ConditionStatus::True,
            reason: crate::api::v1::Reason::Conflicted,
            message: format!("spec.rules[{rule}] has a match of the older App `{winner}`, which answers{more}"),
        });
    }
    AppResource {
        api_version: API_VERSION.to_owned(),
        kind: "App".to_owned(),
        metadata: identity(entry, app.map(|app| &app.metadata)),
        spec: app.map(|app| app.spec.clone()),
        status: AppStatus {
            file: record.file.clone(),
            served_generation: entry.served.as_ref().map(|served| served.generation),
            conditions: conditions(claims, record.generation, &since, now),
            errors: entry.errors().to_vec(),
            ..AppStatus::default()
        },
    }
}

/// The resource of an App that can't be described, with what [`Entry::fail`] says of that.
pub(super) fn of_fault(entry: &Entry, before: Option<&AppResource>, now: &str) -> AppResource {
    let record = &entry.record;
    let since = before.map(|before| since(&before.status.conditions)).unwrap_or_default();
    let conditions = conditions(entry.claims.clone(), record.generation, &since, now);
    let served_generation = entry.served.as_ref().map(|served| served.generation);
    let status = AppStatus { file: record.file.clone(), served_generation, conditions, ..AppStatus::default() };
    match before {
        Some(before) => AppResource { status, ..before.clone() },
        None => {
            AppResource { api_version: API_VERSION.to_owned(), kind: "App".to_owned(), metadata: identity(entry, None), spec: None, status }
        }
    }
}

/// The resource of a manifest that belongs to no App.
pub(super) fn of_stray(stray: &Stray, before: Option<&AppResource>, now: &str) -> AppResource {
    let refusal = &stray.refusal;
    let wanted = super::step::Wanted::Invalid { reason: refusal.reason, message: &refusal.message() };
    let claims = super::step::step(wanted, None).claims;
    let since = before.map(|before| since(&before.status.conditions)).unwrap_or_default();
    AppResource {
        api_version: API_VERSION.to_owned(),
        kind: "App".to_owned(),
        metadata: ResourceMetadata { name: stray.name.clone(), ..ResourceMetadata::default() },
        spec: None,
        status: AppStatus {
            file: stray.file.clone(),
            conditions: conditions(claims, 0, &since, now),
            errors: refusal.errors.clone(),
            ..AppStatus::default()
        },
    }
}

fn identity(entry: &Entry, written: Option<&Metadata>) -> ResourceMetadata {
    let record = &entry.record;
    let seen = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(record.first_seen);
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

/// Since when each condition has its status.
pub(super) fn since(conditions: &[Condition]) -> Transitions {
    let one =
        |condition: &Condition| (condition.type_, Transition { status: condition.status, time: condition.last_transition_time.clone() });
    conditions.iter().map(one).collect()
}

/// Makes `after` the resource to be shown, unless it says what is shown already. `revision`: the one that will show it.
pub(super) fn news(before: Option<&AppResource>, mut after: AppResource, revision: u64) -> Option<AppResource> {
    after.metadata.resource_version = before.map(|before| before.metadata.resource_version.clone()).unwrap_or_default();
    if before == Some(&after) {
        return None;
    }
    after.metadata.resource_version = revision.to_string();
    Some(after)
}
