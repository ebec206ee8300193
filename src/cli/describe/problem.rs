//! An object that is not ready -> what is wrong, what it means for requests, and how to look.
//!
//! In: conditions. Out: sentences, the most important one first; none if all is well. Never: a sentence that the status does not bear out.

use std::path::Path;

use super::super::get::columns::{first_failure, first_line};
use super::advice;
use crate::api::v1::{
    AppResource, Condition, ConditionStatus, ConditionType, Conditions, Diagnostic, GatewayResource, Reason, SourceResource,
};

/// What is wrong with an App.
pub(super) fn of_app(app: &AppResource, manifests: Option<&Path>) -> Vec<String> {
    let types = [ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Programmed, ConditionType::Ready];
    let Some(failure) = first_failure(&app.status, &types) else { return conflict(&app.status) };
    let mut lines = complaint(failure, &app.status.errors);
    lines.push(effect(app, failure));
    lines.extend(advice::for_app(app, failure, manifests).map(|advice| format!("To do: {advice}")));
    lines
}

/// What is wrong with a Gateway, or with one of its listeners.
pub(super) fn of_gateway(gateway: &GatewayResource, manifests: Option<&Path>) -> Vec<String> {
    let types = [ConditionType::Accepted, ConditionType::Programmed];
    let of_listener = gateway.status.listeners.iter().filter_map(|listener| Some((listener, first_failure(listener, &types)?)));
    let mut lines = Vec::new();
    for (listener, failure) in of_listener {
        lines.push(format!("{}: listener {} ({}): {}", failure.reason, listener.name, listener.address, first_line(failure)));
        lines.extend(advice::for_listener(listener, failure).map(|advice| format!("To do: {advice}")));
    }
    let of_gateway = first_failure(&gateway.status, &[ConditionType::Accepted, ConditionType::Programmed, ConditionType::Ready]);
    // What a listener said is not said again.
    if let Some(failure) = of_gateway.filter(|failure| lines.is_empty() || failure.type_ == ConditionType::Accepted) {
        let manifest = advice::path(&gateway.status.file, manifests);
        let mut first = complaint(failure, &gateway.status.errors);
        first.extend(advice::for_manifest(&manifest, &gateway.status.errors, failure).map(|advice| format!("To do: {advice}")));
        first.append(&mut lines);
        lines = first;
    }
    lines
}

/// What is wrong with a source.
pub(super) fn of_source(source: &SourceResource) -> Vec<String> {
    let Some(failure) = first_failure(&source.status, &[ConditionType::Ready, ConditionType::Watching]) else { return Vec::new() };
    let mut lines = sentences(failure);
    lines.extend(advice::for_source(source, failure).map(|advice| format!("To do: {advice}")));
    lines
}

/// The reason and the message; of several errors that are listed below, the first.
fn complaint(failure: &Condition, errors: &[Diagnostic]) -> Vec<String> {
    match errors.len() {
        0 | 1 => sentences(failure),
        all if failure.type_ == ConditionType::Accepted => {
            vec![format!("{}: {} (and {} more, see Errors)", failure.reason, first_line(failure), all - 1)]
        }
        _ => sentences(failure),
    }
}

/// The reason, and every line of the message.
fn sentences(failure: &Condition) -> Vec<String> {
    let mut lines = failure.message.lines();
    let first = lines.next().unwrap_or_default();
    std::iter::once(format!("{}: {first}", failure.reason)).chain(lines.map(str::to_owned)).collect()
}

/// An App that is ready, but not for all that it asks for.
fn conflict(status: &impl Conditions) -> Vec<String> {
    let conflict = status.condition(ConditionType::Conflicted).filter(|conflict| conflict.status == ConditionStatus::True);
    conflict.map(sentences).unwrap_or_default()
}

/// What it means for requests.
fn effect(app: &AppResource, failure: &Condition) -> String {
    let newest = app.metadata.generation;
    match (app.status.served_generation, failure.type_) {
        (None, _) if failure.reason == Reason::NameConflict => "Nothing of this manifest is served.".to_owned(),
        (None, _) => "Nothing of it is served: no request is routed to it.".to_owned(),
        (Some(served), ConditionType::Accepted) if failure.reason == Reason::NoMatchingParent => {
            format!("Generation {served} is served as before, until a listener leads to the new one.")
        }
        (Some(served), ConditionType::Accepted) => format!("Generation {served} is served as before, until the manifest is valid again."),
        (Some(served), _) if served < newest => format!("Generation {served} is served as before; generation {newest} waits."),
        (Some(_), _) if failure.reason == Reason::RootNotFound => "Requests for its files are answered with 404.".to_owned(),
        (Some(_), ConditionType::ResolvedRefs) => "Requests that need it are answered with 503 until it is there.".to_owned(),
        (Some(served), _) => format!("Generation {served} is served."),
    }
}
