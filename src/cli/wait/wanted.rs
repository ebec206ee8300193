//! `--for` -> what has to hold, and whether it does (pure).
//!
//! In: the words of the command line; objects. Out: whether it holds, or what holds instead. Never: a condition of an older generation.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::v1::{Condition, ConditionStatus, ConditionType, Conditions, Resource};

/// An object of any kind, as far as a wait looks at it.
pub(super) type Seen = Resource<Value, Status>;

/// What every status has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Status {
    /// The file that it comes from; empty if it comes from none.
    #[serde(default)]
    pub(super) file: String,
    #[serde(default)]
    conditions: Vec<Condition>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A condition and the status that it is to have.
    Condition(ConditionType, ConditionStatus),
    /// The object is there.
    Create,
    /// The object is gone.
    Delete,
}

impl Conditions for Status {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Wanted {
    /// Whether it holds. A condition has to have been observed at the object's own generation.
    pub(super) fn met_by(self, object: Option<&Seen>) -> bool {
        match (self, object) {
            (Self::Create, object) => object.is_some(),
            (Self::Delete, object) => object.is_none(),
            (Self::Condition(..), None) => false,
            (Self::Condition(type_, status), Some(object)) => match object.status.condition(type_) {
                Some(found) => found.status == status && found.observed_generation >= object.metadata.generation,
                // These two are there only when they are true.
                None => status == ConditionStatus::False && matches!(type_, ConditionType::Conflicted | ConditionType::PartiallyResolved),
            },
        }
    }

    /// What there is instead.
    pub(super) fn missing_in(self, object: Option<&Seen>) -> String {
        let (Self::Condition(type_, _), Some(object)) = (self, object) else {
            return if object.is_some() { "it is still there" } else { "there is none of that name" }.to_owned();
        };
        match object.status.condition(type_) {
            None => format!("there is no condition {type_}"),
            Some(found) if found.observed_generation < object.metadata.generation => {
                format!("{type_} was observed at generation {}, not {}", found.observed_generation, object.metadata.generation)
            }
            Some(found) => {
                let message = found.message.lines().next().unwrap_or_default();
                // What holds has its own name for a reason.
                let reason = if found.status == ConditionStatus::True { String::new() } else { format!(", {}", found.reason) };
                format!("{type_} is {}{reason}: {message}", found.status)
            }
        }
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected `condition=TYPE`, `condition=TYPE=true|false|unknown`, `create` or `delete`";
        match text {
            "create" => return Ok(Self::Create),
            "delete" => return Ok(Self::Delete),
            _ => {}
        }
        let condition = text.strip_prefix("condition=").ok_or(expected)?;
        let (type_, status) = condition.split_once('=').unwrap_or((condition, "true"));
        // As for kubectl, in any case.
        let known = ConditionType::ALL.into_iter().find(|known| known.to_string().eq_ignore_ascii_case(type_));
        let type_ = known.ok_or_else(|| {
            format!("there is no condition `{type_}`; expected one of {}", ConditionType::ALL.map(|known| known.to_string()).join(", "))
        })?;
        let status = match status.to_ascii_lowercase().as_str() {
            "true" => ConditionStatus::True,
            "false" => ConditionStatus::False,
            "unknown" => ConditionStatus::Unknown,
            _ => return Err(expected.to_owned()),
        };
        Ok(Self::Condition(type_, status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_written_as_for_kubectl() {
        let wanted = |text: &str| text.parse::<Wanted>();
        assert_eq!(wanted("condition=Ready"), Ok(Wanted::Condition(ConditionType::Ready, ConditionStatus::True)));
        assert_eq!(wanted("condition=Accepted=False"), Ok(Wanted::Condition(ConditionType::Accepted, ConditionStatus::False)));
        assert_eq!(wanted("condition=ready=TRUE"), wanted("condition=Ready"));
        assert_eq!((wanted("create"), wanted("delete")), (Ok(Wanted::Create), Ok(Wanted::Delete)));
        for bad in ["Ready", "condition=", "condition=Redy", "condition=Ready=maybe", "deleted", "jsonpath={.a}=b"] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
