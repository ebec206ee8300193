//! What is wrong with a manifest -> why it is refused: a reason, and every error with its place (pure).
//!
//! In: errors of the parser, of the compiler, of the place. Out: [`Refusal`]. Never: an error without a file.

use crate::api::v1::{Diagnostic, Reason};

/// Why a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In one word.
    pub reason: Reason,
    /// Everything that is wrong, in the order of the text.
    pub errors: Vec<Diagnostic>,
}

impl Refusal {
    /// What the manifest's own checks found.
    pub(super) fn of<'a>(errors: impl IntoIterator<Item = &'a Diagnostic>) -> Self {
        let errors: Vec<_> = errors.into_iter().cloned().collect();
        let unsupported = errors.iter().all(|error| error.unsupported);
        Self { reason: if unsupported { Reason::UnsupportedValue } else { Reason::Invalid }, errors }
    }

    /// One error. `line`, `column`: where it is, 0 if there is no text; `field`: empty for the document or file as a whole.
    pub(super) fn one(reason: Reason, (file, line, column): (&str, u64, u64), field: &str, message: String) -> Self {
        let error = Diagnostic {
            file: file.to_owned(),
            line,
            column,
            field: field.to_owned(),
            message,
            hint: None,
            unsupported: false,
            excerpt: None,
        };
        Self { reason, errors: vec![error] }
    }

    /// Both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let reason = if self.reason == other.reason { self.reason } else { Reason::Invalid };
        Self { reason, errors: self.errors.iter().chain(&other.errors).cloned().collect() }
    }

    /// The same, with what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(error) = self.errors.last_mut() {
            error.hint = Some(hint.into());
        }
        self
    }

    /// Every error, one a line.
    #[must_use]
    pub fn message(&self) -> String {
        let lines: Vec<_> = self.errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_every_error_on_a_line_of_its_own() {
        let one = |line, message: &str| Refusal::one(Reason::Invalid, ("a.yaml", line, 1), "spec", message.to_owned());
        let [first, second] = [one(3, "no"), one(9, "neither").hint("try another")].map(|mut refusal| refusal.errors.remove(0));
        let refusal = Refusal::of([&first, &second]);
        assert_eq!(refusal.reason, Reason::Invalid);
        assert_eq!(refusal.message(), "a.yaml:3:1: spec: no\na.yaml:9:1: spec: neither; try another");
    }

    #[test]
    fn what_is_only_not_supported_yet_has_a_reason_of_its_own() {
        let mut error = Refusal::one(Reason::Invalid, ("a.yaml", 1, 1), "spec.x", "not yet".to_owned()).errors.remove(0);
        error.unsupported = true;
        assert_eq!(Refusal::of([&error]).reason, Reason::UnsupportedValue);
        let wrong = Diagnostic { unsupported: false, ..error.clone() };
        assert_eq!(Refusal::of([&error, &wrong]).reason, Reason::Invalid);
    }
}
