//! A source -> its sheet.

use std::time::SystemTime;

use super::super::get::columns::NONE;
use super::super::table::since;
use super::sheet::Sheet;
use super::{begin, conditions, problem};
use crate::api::v1::SourceResource;

/// All that is known of a source but its events.
pub(super) fn sheet(source: &SourceResource, now: SystemTime) -> Sheet {
    let status = &source.status;
    let mut sheet = begin(&source.metadata.name, &problem::of_source(source));
    let path = source.spec.as_ref().map(|spec| spec.path.display().to_string());
    sheet.field("Path", path.as_deref().unwrap_or(NONE));
    sheet.field("Revision", if status.revision.is_empty() { NONE } else { &status.revision });
    if !status.last_change.is_empty() {
        sheet.field("Last Change", format!("{} ({} ago)", status.last_change, since(&status.last_change, now)));
    }
    sheet.field("Files", status.files.to_string());
    if !status.unread.is_empty() {
        sheet.values("Unread", status.unread.iter().map(|(directory, why)| format!("{directory}: {why}")));
    }
    conditions(&mut sheet, &status.conditions, now);
    sheet
}
