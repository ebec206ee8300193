//! An App -> its line: whether it is ready, and why it is not.

use super::super::table::{Cell, since};
use super::columns::{Column, Listed, NONE, first_failure, first_line, joined, or_none, reason, status};
use crate::api::v1::{AppResource, ConditionType, Conditions};

impl Listed for AppResource {
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "NAME", wide: false, cell: |app, _| app.metadata.name.clone().into() },
        Column { name: "READY", wide: false, cell: |app, _| status(&app.status, ConditionType::Ready) },
        Column { name: "REASON", wide: false, cell: |app, _| reason(&app.status) },
        Column { name: "GENERATION", wide: false, cell: |app, _| app.metadata.generation.to_string().into() },
        Column { name: "AGE", wide: false, cell: |app, now| since(&app.metadata.creation_timestamp, now).into() },
        Column { name: "SERVED", wide: true, cell: |app, _| served(app.status.served_generation) },
        Column { name: "CONTAINER", wide: true, cell: |app, _| container(app).into() },
        Column { name: "HOSTNAMES", wide: true, cell: |app, _| hostnames(app) },
        Column { name: "FILE", wide: true, cell: |app, _| or_none(&app.status.file) },
        Column { name: "MESSAGE", wide: false, cell: |app, _| message(app).into() },
    ];
}

/// The generation that is served.
pub(super) fn served(generation: Option<u64>) -> Cell {
    generation.map_or_else(|| NONE.into(), |generation| generation.to_string().into())
}

fn container(app: &AppResource) -> String {
    let Some(spec) = &app.spec else { return NONE.to_owned() };
    match &spec.container {
        None => "<host>".to_owned(),
        Some(container) => container.called().to_owned(),
    }
}

fn hostnames(app: &AppResource) -> Cell {
    match &app.spec {
        None => NONE.into(),
        Some(spec) if spec.hostnames.is_empty() => "*".into(),
        Some(spec) => joined(spec.hostnames.iter().map(ToString::to_string)),
    }
}

/// Why it is not ready: the first line of the first of the three conditions that does not hold. Else what an older App answers for it.
fn message(app: &AppResource) -> &str {
    first_failure(&app.status, &[ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Programmed])
        .or_else(|| app.status.condition(ConditionType::Conflicted))
        .map(first_line)
        .unwrap_or_default()
}
