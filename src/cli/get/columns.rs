//! An object -> the cells of its line.
//!
//! In: objects as the daemon sends them. Out: headers and rows, short or wide. Never: a layout; that is the table's.

use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::kind::Kind;
use super::super::table::{Cell, Tone};
use super::backends;
use crate::api::v1::{
    AppResource, BackendResource, Condition, ConditionStatus, ConditionType, Conditions, Event, GatewayResource, SourceResource,
};

/// What kubectl prints for nothing.
pub(in super::super) const NONE: &str = "<none>";

/// One column of a kind's table.
pub(in super::super) struct Column<T> {
    /// Its header.
    pub(in super::super) name: &'static str,
    /// Only the wide table has it.
    pub(in super::super) wide: bool,
    /// What is in it; the time is that of the look.
    pub(in super::super) cell: fn(&T, SystemTime) -> Cell,
}

/// Objects that have a table, of one line each.
pub(in super::super) trait Listed: DeserializeOwned + 'static {
    /// The columns, from left to right.
    const COLUMNS: &'static [Column<Self>];
}

/// The first line of a kind's table.
pub(in super::super) fn header(kind: Kind, wide: bool) -> Vec<Cell> {
    match kind {
        Kind::App => names::<AppResource>(wide),
        Kind::Gateway => names::<GatewayResource>(wide),
        Kind::Source => names::<SourceResource>(wide),
        Kind::Event => names::<Event>(wide),
        Kind::Backend => shown(backends::COLUMNS, wide).map(|column| column.name.into()).collect(),
    }
}

/// The lines of an object: one, but for a backend.
///
/// # Errors
/// It is not an object of this kind.
pub(in super::super) fn rows(kind: Kind, object: &Value, wide: bool, now: SystemTime) -> Result<Vec<Vec<Cell>>, serde_json::Error> {
    match kind {
        Kind::App => row::<AppResource>(object, wide, now),
        Kind::Gateway => row::<GatewayResource>(object, wide, now),
        Kind::Source => row::<SourceResource>(object, wide, now),
        Kind::Event => row::<Event>(object, wide, now),
        Kind::Backend => {
            let backend = BackendResource::deserialize(object)?;
            Ok(backends::lines(backend).map(|line| cells(backends::COLUMNS, &line, wide, now)).collect())
        }
    }
}

fn shown<T>(columns: &[Column<T>], wide: bool) -> impl Iterator<Item = &Column<T>> {
    columns.iter().filter(move |column| wide || !column.wide)
}

fn names<T: Listed>(wide: bool) -> Vec<Cell> {
    shown(T::COLUMNS, wide).map(|column| column.name.into()).collect()
}

fn row<T: Listed>(object: &Value, wide: bool, now: SystemTime) -> Result<Vec<Vec<Cell>>, serde_json::Error> {
    Ok(vec![cells(T::COLUMNS, &T::deserialize(object)?, wide, now)])
}

fn cells<T>(columns: &[Column<T>], of: &T, wide: bool, now: SystemTime) -> Vec<Cell> {
    shown(columns, wide).map(|column| (column.cell)(of, now)).collect()
}

/// The status of a condition: good if it holds.
pub(in super::super) fn status(conditions: &impl Conditions, type_: ConditionType) -> Cell {
    let status = conditions.condition(type_).map_or(ConditionStatus::Unknown, |condition| condition.status);
    Cell::toned(status.to_string(), tone(status))
}

/// The tone of a status.
pub(in super::super) fn tone(status: ConditionStatus) -> Tone {
    match status {
        ConditionStatus::True => Tone::Good,
        ConditionStatus::False => Tone::Bad,
        ConditionStatus::Unknown => Tone::Unsure,
    }
}

/// The reason of `Ready`.
pub(in super::super) fn reason(conditions: &impl Conditions) -> Cell {
    conditions.condition(ConditionType::Ready).map_or_else(|| "Unknown".into(), |ready| ready.reason.to_string().into())
}

/// The first of these conditions that does not hold.
pub(in super::super) fn first_failure<'a>(conditions: &'a impl Conditions, types: &[ConditionType]) -> Option<&'a Condition> {
    types.iter().filter_map(|type_| conditions.condition(*type_)).find(|condition| condition.status != ConditionStatus::True)
}

/// The first line of a condition's message.
pub(in super::super) fn first_line(condition: &Condition) -> &str {
    condition.message.lines().next().unwrap_or_default()
}

/// Several values in one cell.
pub(in super::super) fn joined(values: impl Iterator<Item = String>) -> Cell {
    let joined = values.collect::<Vec<_>>().join(",");
    if joined.is_empty() { NONE.into() } else { joined.into() }
}

/// A text, or what kubectl prints for none.
pub(in super::super) fn or_none(text: &str) -> Cell {
    if text.is_empty() { NONE.into() } else { text.into() }
}
