//! A resource before and after -> what is said about the change.
//!
//! In: conditions. Out: log lines. Never: a line when nothing has changed.

use crate::api::v1::{AppResource, ConditionStatus, ConditionType, Conditions};

/// A line for each condition whose status, reason or message is new; `Ready` repeats what `Accepted` and `ResolvedRefs` complain of.
pub(super) fn log(before: Option<&AppResource>, after: &AppResource) {
    for condition in &after.status.conditions {
        let old = before.and_then(|before| before.status.condition(condition.type_));
        if old.is_some_and(|old| old.status == condition.status && old.reason == condition.reason && old.message == condition.message) {
            continue;
        }
        let (app, file) = (&after.metadata.name, &after.status.file);
        let (type_, status, reason) = (condition.type_, condition.status, condition.reason);
        let message = one_line(&condition.message);
        let bad = status == ConditionStatus::False || type_ == ConditionType::Conflicted;
        if matches!(type_, ConditionType::Accepted | ConditionType::ResolvedRefs) {
            tracing::debug!(%app, %file, condition = %type_, %status, %reason, "{message}");
        } else if bad {
            tracing::warn!(%app, %file, condition = %type_, %status, %reason, "{message}");
        } else {
            tracing::info!(%app, %file, condition = %type_, %status, %reason, "{message}");
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
