//! What is known of an App or Gateway -> what the admin socket shows (pure but for the time it is given).
//!
//! In: claims, the resource as it was. Out: the resource as it is, and which conditions changed. Never: a time that moves without its status.

use std::time::{Duration, UNIX_EPOCH};

use super::desired::Stray;
use super::entry::Entry;
use super::gateways;
use super::step::{Claim, Wanted, step};
use crate::api::v1::{
    API_VERSION, AppResource, AppStatus, Condition, ConditionStatus, ConditionType, Conditions, GatewayResource, GatewayStatus,
    ListenerStatus, Metadata, Reason, Resource, ResourceMetadata,
};
use crate::manifest::Kind;
use crate::names::AppName;
use crate::route::Front;
use crate::state::{Kept, Record};

/// A status that says what became of a manifest.
pub(super) trait OfManifest: Conditions {
    /// Of the object.
    const KIND: Kind;

    /// Where the manifest is.
    fn file(&self) -> &str;

    /// That of a manifest that belongs to no object.
    fn of_stray(file: String, conditions: Vec<Condition>) -> Self;
}

impl OfManifest for AppStatus {
    const KIND: Kind = Kind::App;

    fn file(&self) -> &str {
        &self.file
    }

    fn of_stray(file: String, conditions: Vec<Condition>) -> Self {
        Self { file, conditions, ..Self::default() }
    }
}

impl OfManifest for GatewayStatus {
    const KIND: Kind = Kind::Gateway;

    fn file(&self) -> &str {
        &self.file
    }

    fn of_stray(file: String, conditions: Vec<Condition>) -> Self {
        Self { file, conditions, ..Self::default() }
    }
}

/// The resource of an App. `listeners`: those that lead to it. `conflicts`: rules of it whose match an older App has.
pub(super) fn of_entry(
    entry: &Entry,
    listeners: Vec<String>,
    conflicts: &[(usize, AppName)],
    before: Option<&AppResource>,
    now: &str,
) -> AppResource {
    let record = &entry.record;
    let app = entry.shown();
    let mut claims = entry.claims.clone();
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
            conditions: conditions(claims, record.generation, said(before), now),
            ..AppStatus::default()
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
    let known = |name: &str| before?.status.listeners.iter().find(|listener| listener.name == name);
    let listener = |listener: &gateways::Listener| {
        let name = listener.front.name.as_ref().map(|(_, name)| name.to_string()).unwrap_or_default();
        let before = known(&name).map(|before| &*before.conditions).unwrap_or_default();
        let generation = entry.served.as_ref().map_or(0, |served| served.generation);
        ListenerStatus {
            address: listener.front.socket.to_string(),
            attached_apps: attached(&listener.front) as u64,
            conditions: conditions(claims_of(listener), generation, before, now),
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
            conditions: conditions(entry.claims.clone(), record.generation, said(before), now),
            listeners: entry.listeners().iter().map(listener).collect(),
            ..GatewayStatus::default()
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
    let claims = step(Wanted::Invalid { reason: refusal.reason, message: &refusal.message }, None).claims;
    Resource {
        api_version: API_VERSION.to_owned(),
        kind: Status::KIND.to_string(),
        metadata: ResourceMetadata { name: stray.name.clone(), ..ResourceMetadata::default() },
        spec: None,
        status: Status::of_stray(stray.file.clone(), conditions(claims, 0, said(before), now)),
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

/// The conditions as they were.
fn said<Spec, Status: Conditions>(before: Option<&Resource<Spec, Status>>) -> &[Condition] {
    before.map(|before| before.status.conditions()).unwrap_or_default()
}

fn conditions(claims: Vec<Claim>, generation: u64, before: &[Condition], now: &str) -> Vec<Condition> {
    let condition = |claim: Claim| {
        let old = before.iter().find(|old| old.type_ == claim.type_ && old.status == claim.status);
        Condition {
            type_: claim.type_,
            status: claim.status,
            reason: claim.reason,
            message: claim.message,
            observed_generation: generation,
            last_transition_time: old.map_or_else(|| now.to_owned(), |old| old.last_transition_time.clone()),
        }
    };
    claims.into_iter().map(condition).collect()
}

/// A line for each condition whose status, reason or message is new; `Ready` repeats what `Accepted` and `ResolvedRefs` complain of.
pub(super) fn log_changes<Spec, Status: OfManifest>(before: Option<&Resource<Spec, Status>>, after: &Resource<Spec, Status>) {
    let name = |kind: Kind| (Status::KIND == kind).then_some(after.metadata.name.as_str());
    let (app, gateway, file) = (name(Kind::App), name(Kind::Gateway), after.status.file());
    for condition in after.status.conditions() {
        let old = said(before).iter().find(|old| old.type_ == condition.type_);
        if old.is_some_and(|old| old.status == condition.status && old.reason == condition.reason && old.message == condition.message) {
            continue;
        }
        let (type_, status, reason) = (condition.type_, condition.status, condition.reason);
        let message = one_line(&condition.message);
        let bad = status == ConditionStatus::False || type_ == ConditionType::Conflicted;
        if matches!(type_, ConditionType::Accepted | ConditionType::ResolvedRefs) {
            tracing::debug!(app, gateway, %file, condition = %type_, %status, %reason, "{message}");
        } else if bad {
            tracing::warn!(app, gateway, %file, condition = %type_, %status, %reason, "{message}");
        } else {
            tracing::info!(app, gateway, %file, condition = %type_, %status, %reason, "{message}");
        }
    }
}

/// The first of several lines, and how many there are.
fn one_line(message: &str) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    match lines.count() {
        0 => first.to_owned(),
        more => format!("{first} (and {more} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_one_line() {
        assert_eq!(one_line("no socket"), "no socket");
        assert_eq!(one_line("a.yaml:1:1: first\na.yaml:2:1: second\na.yaml:3:1: third"), "a.yaml:1:1: first (and 2 more)");
        assert_eq!(one_line(""), "");
    }
}
