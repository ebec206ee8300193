//! What changed about an object -> what is said about it: a log line and an event.
//!
//! In: an object, its conditions before and after, how keeping it on disk went. Out: log lines, [`Events`]. Never: a word when nothing has
//! changed.

use super::events::{Events, Moment};
use crate::api::v1::{Condition, ConditionStatus, ConditionType, EventType, ObjectReference, Reason};

/// How many lines of a message, which are errors of one file, a line of the log holds.
const LINES: usize = 10;

/// Whom something is said of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// `App`, `Gateway` or `Source`.
    pub(super) kind: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// The file that it comes from; of a source: its path.
    pub(super) file: &'a str,
}

impl<'a> Subject<'a> {
    fn reference(self) -> ObjectReference {
        ObjectReference { kind: self.kind.to_owned(), name: self.name.to_owned() }
    }

    fn only(self, kind: &str) -> Option<&'a str> {
        (self.kind == kind).then_some(self.name)
    }
}

/// A line and an event for each condition whose status, reason or message is new, or that is there no more. `Ready` repeats what
/// `Accepted` and `ResolvedRefs` complain of, so that these are for the debug log only.
pub(super) fn tell(events: &mut Events, subject: Subject<'_>, before: &[Condition], after: &[Condition], at: Moment<'_>) {
    for condition in after {
        let old = before.iter().find(|old| old.type_ == condition.type_);
        if old.is_none_or(|old| old.status != condition.status || old.reason != condition.reason || old.message != condition.message) {
            say(events, subject, condition, at);
        }
    }
    for old in before {
        if !after.iter().any(|condition| condition.type_ == old.type_) {
            let message = format!("no longer: {}", old.message);
            say(events, subject, &Condition { status: ConditionStatus::False, message, ..old.clone() }, at);
        }
    }
}

/// The object is gone.
pub(super) fn tell_removed(events: &mut Events, subject: Subject<'_>, at: Moment<'_>) {
    let (app, gateway) = (subject.only("App"), subject.only("Gateway"));
    tracing::info!(app, gateway, file = %subject.file, "removed");
    let message = format!("{} does not hold it any more", subject.file);
    events.say(subject.reference(), EventType::Normal, Reason::Removed, &message, at);
}

/// The object can't be kept on disk, or another cause is why; none: it is kept again. It may be gone itself.
pub(super) fn tell_kept(events: &mut Events, object: ObjectReference, trouble: Option<&str>, at: Moment<'_>) {
    let subject = Subject { kind: &object.kind, name: &object.name, file: "" };
    let (app, gateway) = (subject.only("App"), subject.only("Gateway"));
    if let Some(trouble) = trouble {
        tracing::error!(app, gateway, "state can't be kept: {trouble}");
        let message = format!("its state can't be kept on disk, a restart would not know of the last change: {trouble}");
        events.say(object, EventType::Warning, Reason::StateNotKept, &message, at);
    } else {
        tracing::info!(app, gateway, "state is kept again");
        events.say(object, EventType::Normal, Reason::StateKept, "it is kept on disk again", at);
    }
}

fn say(events: &mut Events, subject: Subject<'_>, condition: &Condition, at: Moment<'_>) {
    let Condition { type_, status, reason, .. } = condition;
    let (app, gateway, source, file) = (subject.only("App"), subject.only("Gateway"), subject.only("Source"), subject.file);
    let line = one_line(&condition.message);
    if matches!(type_, ConditionType::Accepted | ConditionType::ResolvedRefs) {
        tracing::debug!(app, gateway, source, file, condition = %type_, %status, %reason, "{line}");
        return;
    }
    let event = if is_bad(*type_, *status) {
        tracing::warn!(app, gateway, source, file, condition = %type_, %status, %reason, "{line}");
        EventType::Warning
    } else {
        tracing::info!(app, gateway, source, file, condition = %type_, %status, %reason, "{line}");
        EventType::Normal
    };
    events.say(subject.reference(), event, *reason, &condition.message, at);
}

/// Whether somebody should look.
fn is_bad(type_: ConditionType, status: ConditionStatus) -> bool {
    match type_ {
        ConditionType::Conflicted | ConditionType::PartiallyResolved => status == ConditionStatus::True,
        _ => status == ConditionStatus::False,
    }
}

/// Several lines as one. Past [`LINES`] they are counted.
fn one_line(message: &str) -> String {
    let mut lines = message.lines();
    let shown: Vec<_> = lines.by_ref().take(LINES).collect();
    let shown = shown.join(" | ");
    match lines.count() {
        0 => shown,
        more => format!("{shown} (and {more} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(type_: ConditionType, status: ConditionStatus, message: &str) -> Condition {
        let time = String::new();
        Condition { type_, status, reason: Reason::Ready, message: message.to_owned(), observed_generation: 1, last_transition_time: time }
    }

    #[test]
    fn a_log_line_holds_every_line_of_a_message_up_to_ten() {
        assert_eq!(one_line("no socket"), "no socket");
        assert_eq!(
            one_line("a.yaml:1:1: first\na.yaml:2:1: second\na.yaml:3:1: third"),
            "a.yaml:1:1: first | a.yaml:2:1: second | a.yaml:3:1: third"
        );
        assert_eq!(one_line(&"x\n".repeat(10)), ["x"; 10].join(" | "));
        assert_eq!(one_line(&"x\n".repeat(12)), format!("{} (and 2 more)", ["x"; 10].join(" | ")));
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn every_change_is_said_once_and_a_repetition_is_not_a_change() {
        use ConditionStatus::{False, True};
        use ConditionType::{Accepted, Conflicted, Ready};
        let subject = Subject { kind: "App", name: "a", file: "a.yaml" };
        let states = [
            vec![condition(Accepted, True, "valid"), condition(Ready, True, "fine")],
            vec![condition(Accepted, True, "valid"), condition(Ready, True, "fine")],
            vec![condition(Accepted, True, "valid"), condition(Ready, False, "no socket"), condition(Conflicted, True, "rule 1")],
            vec![condition(Accepted, False, "invalid"), condition(Ready, False, "no socket")],
        ];
        let mut events = Events::default();
        let mut before: &[Condition] = &[];
        for state in &states {
            tell(&mut events, subject, before, state, Moment { now: "2026-01-01T00:00:00Z", revision: 1 });
            before = state;
        }
        tell_removed(&mut events, subject, Moment { now: "2026-01-01T00:00:00Z", revision: 1 });
        let told: Vec<_> = events.all().iter().map(|event| (event.type_, event.message.clone())).collect();
        let wanted = [
            (EventType::Normal, "fine"),
            (EventType::Warning, "no socket"),
            (EventType::Warning, "rule 1"),
            (EventType::Normal, "no longer: rule 1"),
            (EventType::Normal, "a.yaml does not hold it any more"),
        ];
        assert_eq!(told, wanted.map(|(type_, message)| (type_, message.to_owned())));
    }
}
