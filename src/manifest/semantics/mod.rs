//! What fields mean together: references, alternatives, contradictions, and what this version can't do yet.
//!
//! In: a document's tree, however broken. Out: entries of a [`Report`]. Never: a check of form, which is the schema's; a cascade: what is
//! missing or of the wrong type has been reported, and is passed over here.

mod access;
mod answers;
mod app;
mod backends;
mod balance;
mod endpoints;
mod filters;
mod gateway;
mod limits;
mod matches;
mod rules;
mod sessions;

use std::collections::HashMap;

use super::Kind;
use super::node::Cursor;
use super::report::Report;
use crate::api::v1::Duration;
use crate::names::shown;

/// Checks a whole document.
pub(super) fn check(kind: Kind, root: &Cursor<'_>, report: &mut Report<'_>) {
    let Some(spec) = root.get("spec") else { return };
    match kind {
        Kind::App => app::check(&spec, report),
        Kind::Gateway => gateway::check(&spec, report),
    }
}

/// Values that have to differ: reports each that was there before. `what` is, for example, `backend`.
fn unique<'a>(values: impl IntoIterator<Item = (String, Cursor<'a>)>, what: &str, report: &mut Report<'_>) {
    let mut seen: HashMap<String, u64> = HashMap::new();
    for (value, at) in values {
        match seen.get(&value) {
            Some(line) => report.value(&at, format!("duplicate {what} `{}`", shown(&value)), Some(format!("the first is on line {line}"))),
            None => drop(seen.insert(value, at.node.spot.line)),
        }
    }
}

/// The texts of one field of several objects, with their places.
fn texts<'a>(objects: &[Cursor<'a>], field: &str) -> Vec<(String, Cursor<'a>)> {
    objects.iter().filter_map(|object| object.get(field)).filter_map(|at| Some((at.text()?.to_owned(), at))).collect()
}

/// A duration that a client waits for has an end. `most` is one, as it is written.
fn no_longer_than(most: &str, at: &Cursor<'_>, report: &mut Report<'_>) {
    let length = |text: &str| text.parse::<Duration>().ok();
    let Some(text) = at.text().filter(|text| length(text) > length(most)) else { return };
    report.value(at, format!("`{}` is longer than `{most}`", shown(text)), Some("a client waits for it".to_owned()));
}

/// An alternative is chosen by `type`: its own field has to be there, and no other's. `table` pairs each type with its field.
fn chosen_by_type(at: &Cursor<'_>, table: &[(&str, &str)], report: &mut Report<'_>) {
    let Some((chosen, wanted)) = at.text_of("type").and_then(|text| table.iter().find(|(name, _)| *name == text)) else { return };
    if at.get(wanted).is_none() {
        report.lacks(at, format!("missing field `{wanted}`"), Some(format!("type `{chosen}` needs it")));
    }
    for (owner, field) in table.iter().filter(|(name, _)| name != chosen) {
        if let Some(stray) = at.get(field) {
            report.key(&stray, format!("`{field}` belongs to type `{owner}`"), Some(format!("this one has type `{chosen}`")));
        }
    }
}
