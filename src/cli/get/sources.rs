//! A source -> its line: whether its directory can be read and is watched, and what was read last.

use super::super::table::{Cell, Tone, since};
use super::columns::{Column, Listed, NONE, first_failure, first_line, or_none, status};
use crate::api::v1::{ConditionStatus, ConditionType, Conditions, SourceResource};

impl Listed for SourceResource {
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "NAME", wide: false, cell: |source, _| source.metadata.name.clone().into() },
        Column { name: "READY", wide: false, cell: |source, _| status(&source.status, ConditionType::Ready) },
        Column { name: "WATCHING", wide: false, cell: |source, _| watching(source) },
        Column { name: "FILES", wide: false, cell: |source, _| source.status.files.to_string().into() },
        Column { name: "REVISION", wide: false, cell: |source, _| or_none(&source.status.revision) },
        Column { name: "LAST CHANGE", wide: false, cell: |source, now| since(&source.status.last_change, now).into() },
        Column { name: "PATH", wide: false, cell: |source, _| path(source).into() },
        Column { name: "MESSAGE", wide: false, cell: |source, _| message(source).into() },
    ];
}

/// A directory that is polled is followed, too, only later.
fn watching(source: &SourceResource) -> Cell {
    match source.status.condition(ConditionType::Watching).map(|watching| watching.status) {
        Some(ConditionStatus::False) => Cell::toned("False", Tone::Unsure),
        _ => status(&source.status, ConditionType::Watching),
    }
}

fn path(source: &SourceResource) -> String {
    source.spec.as_ref().map_or_else(|| NONE.to_owned(), |spec| spec.path.display().to_string())
}

/// Why it is not ready or not watched, else the first subdirectory that can't be read.
fn message(source: &SourceResource) -> String {
    let failure = first_failure(&source.status, &[ConditionType::Ready, ConditionType::Watching]);
    let unread = || source.status.unread.iter().next().map(|(directory, why)| format!("{directory}: {why}"));
    failure.map(|failure| first_line(failure).to_owned()).or_else(unread).unwrap_or_default()
}
