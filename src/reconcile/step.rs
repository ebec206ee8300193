//! What is wanted, what was found, what is served -> what to serve now, and what to say about it (pure).
//!
//! In: one App's three sides. Out: [`Decision`]. Never: a clock, another App, I/O.

use crate::api::v1::{ConditionStatus, ConditionType, Reason};
use crate::resolve::{Missing, Reference};

/// The manifest's side.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// It is valid.
    Valid {
        /// Its generation.
        generation: u64,
        /// What it refers to.
        found: Found<'a>,
    },
    /// It is not.
    Invalid {
        /// `Invalid`, `UnsupportedValue` or `NoMatchingParent`; `InternalError`: nobody knows, for a step has failed.
        reason: Reason,
        /// Every error, one a line.
        message: &'a str,
    },
}

/// The references of one generation, as they were found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// What is not there.
    pub missing: &'a [Missing],
    /// How many there are in all.
    pub references: usize,
}

/// The generation that is served, and its references as they were found.
#[derive(Debug, Clone, Copy)]
pub struct Serving<'a> {
    /// Its number.
    pub generation: u64,
    /// What it refers to.
    pub found: Found<'a>,
}

/// What to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// The generation of the manifest.
    Wanted,
    /// What is served already.
    Kept,
    /// Nothing: there never was a valid generation.
    Nothing,
}

/// A condition without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is stated.
    pub type_: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to serve.
    pub serve: Serve,
    /// The conditions, `Ready` last but for those that are present only when true.
    pub claims: Vec<Claim>,
    /// Something is missing: look again without waiting for an event.
    pub look_again: bool,
}

const NOTHING: Found<'static> = Found { missing: &[], references: 0 };

/// Decides. An update never makes a working application worse: it is served only if everything that it lacks is lacking already.
#[must_use]
pub fn step(wanted: Wanted<'_>, serving: Option<Serving<'_>>) -> Decision {
    match wanted {
        Wanted::Invalid { reason: Reason::InternalError, message } => failed(message, serving),
        Wanted::Invalid { reason, message } => invalid(reason, message, serving),
        Wanted::Valid { generation, found } => match serving {
            Some(serving) if serving.generation != generation => match first_loss(found, serving.found) {
                Some(loss) => held(generation, found, serving, loss),
                None => served(generation, found),
            },
            _ => served(generation, found),
        },
    }
}

/// A reference that the new generation lacks and the served one has.
fn first_loss<'a>(new: Found<'a>, old: Found<'_>) -> Option<&'a Missing> {
    let lacking = |reference: &Reference| old.missing.iter().any(|missing| missing.reference == *reference);
    new.missing.iter().find(|missing| !lacking(&missing.reference))
}

fn served(generation: u64, found: Found<'_>) -> Decision {
    let programmed = claim(ConditionType::Programmed, Reason::Programmed, format!("generation {generation} is served"));
    decide(Serve::Wanted, accepted(), resolved(found), programmed, found)
}

fn held(generation: u64, found: Found<'_>, serving: Serving<'_>, loss: &Missing) -> Decision {
    let kept = serving.generation;
    let message = format!("generation {kept} is served; generation {generation} waits: {}", loss.message);
    decide(Serve::Kept, accepted(), resolved(found), refusal(ConditionType::Programmed, Reason::LastKnownGood, message), found)
}

fn invalid(reason: Reason, message: &str, serving: Option<Serving<'_>>) -> Decision {
    let accepted = refusal(ConditionType::Accepted, reason, message.to_owned());
    let Some(Serving { generation, found }) = serving else {
        let programmed = refusal(ConditionType::Programmed, reason, "nothing is served: there never was a valid generation".to_owned());
        return decide(Serve::Nothing, accepted, nothing_to_resolve(), programmed, NOTHING);
    };
    let message = format!("generation {generation} is served; the manifest as it is now is not valid");
    decide(Serve::Kept, accepted, resolved(found), refusal(ConditionType::Programmed, Reason::LastKnownGood, message), found)
}

/// A fault of ours says nothing about the manifest, and takes nothing away.
fn failed(message: &str, serving: Option<Serving<'_>>) -> Decision {
    let accepted = unknown(ConditionType::Accepted, Reason::InternalError, message.to_owned());
    let programmed = |what: String| refusal(ConditionType::Programmed, Reason::InternalError, what);
    let Some(Serving { generation, found }) = serving else {
        let programmed = programmed(format!("nothing is served: {message}"));
        return decide(Serve::Nothing, accepted, nothing_to_resolve(), programmed, NOTHING);
    };
    let programmed = programmed(format!("generation {generation} is served on: {message}"));
    decide(Serve::Kept, accepted, resolved(found), programmed, found)
}

fn nothing_to_resolve() -> Claim {
    unknown(ConditionType::ResolvedRefs, Reason::Pending, "nothing to resolve: there is no valid generation".to_owned())
}

fn decide(serve: Serve, accepted: Claim, resolved: Claim, programmed: Claim, found: Found<'_>) -> Decision {
    let first = [&accepted, &resolved, &programmed].into_iter().find(|claim| claim.status != ConditionStatus::True);
    let ready = match first {
        None => claim(ConditionType::Ready, Reason::Ready, "everything is in order".to_owned()),
        Some(first) => refusal(ConditionType::Ready, first.reason, format!("{}: {}", first.type_, first.message)),
    };
    let mut claims = vec![accepted, resolved, programmed, ready];
    if !found.missing.is_empty() && found.missing.len() < found.references {
        let message = format!("{} of {} references are missing", found.missing.len(), found.references);
        claims.push(claim(ConditionType::PartiallyResolved, Reason::PartiallyResolved, message));
    }
    Decision { serve, claims, look_again: !found.missing.is_empty() }
}

fn accepted() -> Claim {
    claim(ConditionType::Accepted, Reason::Accepted, "the manifest is valid".to_owned())
}

fn resolved(found: Found<'_>) -> Claim {
    match found.missing.first() {
        None => claim(ConditionType::ResolvedRefs, Reason::ResolvedRefs, "everything that it refers to is there".to_owned()),
        Some(first) => {
            let mut all: Vec<_> = found.missing.iter().map(|missing| missing.message.as_str()).collect();
            // Of a container that is not there, every reference is missing for the same reason.
            all.dedup();
            refusal(ConditionType::ResolvedRefs, first.reason, all.join("\n"))
        }
    }
}

fn claim(type_: ConditionType, reason: Reason, message: String) -> Claim {
    Claim { type_, status: ConditionStatus::True, reason, message }
}

fn unknown(type_: ConditionType, reason: Reason, message: String) -> Claim {
    Claim { type_, status: ConditionStatus::Unknown, reason, message }
}

fn refusal(type_: ConditionType, reason: Reason, message: String) -> Claim {
    Claim { type_, status: ConditionStatus::False, reason, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(names: &[&str]) -> Vec<Missing> {
        let one = |name: &&str| Missing {
            reference: Reference::Backend(name.parse().unwrap()),
            reason: Reason::SocketNotFound,
            message: format!("backend `{name}` is away"),
        };
        names.iter().map(one).collect()
    }

    fn found(missing: &[Missing]) -> Found<'_> {
        Found { missing, references: 2 }
    }

    fn reason(decision: &Decision, type_: ConditionType) -> Option<Reason> {
        decision.claims.iter().find(|claim| claim.type_ == type_).map(|claim| claim.reason)
    }

    #[test]
    fn a_first_generation_is_served_at_once_even_if_its_backends_are_missing() {
        let away = missing(&["php"]);
        let decision = step(Wanted::Valid { generation: 1, found: found(&away) }, None);
        assert_eq!(decision.serve, Serve::Wanted);
        assert!(decision.look_again);
        assert_eq!(reason(&decision, ConditionType::Ready), Some(Reason::SocketNotFound));
        assert_eq!(reason(&decision, ConditionType::PartiallyResolved), Some(Reason::PartiallyResolved));
    }

    #[test]
    fn an_update_that_lacks_what_works_now_waits() {
        let away = missing(&["php"]);
        let serving = Serving { generation: 1, found: found(&[]) };
        let decision = step(Wanted::Valid { generation: 2, found: found(&away) }, Some(serving));
        assert_eq!(decision.serve, Serve::Kept);
        let programmed = decision.claims.iter().find(|claim| claim.type_ == ConditionType::Programmed).unwrap();
        assert_eq!(programmed.reason, Reason::LastKnownGood);
        assert!(programmed.message.contains("generation 1") && programmed.message.contains("generation 2"), "{}", programmed.message);
    }

    #[test]
    fn an_update_that_lacks_only_what_is_lacking_already_is_served() {
        let away = missing(&["php"]);
        let serving = Serving { generation: 1, found: found(&away) };
        assert_eq!(step(Wanted::Valid { generation: 2, found: found(&away) }, Some(serving)).serve, Serve::Wanted);
    }

    #[test]
    fn a_served_generation_stays_when_its_backend_goes_away() {
        let away = missing(&["php"]);
        let serving = Serving { generation: 1, found: found(&away) };
        let decision = step(Wanted::Valid { generation: 1, found: found(&away) }, Some(serving));
        assert_eq!(decision.serve, Serve::Wanted);
        assert_eq!(reason(&decision, ConditionType::Programmed), Some(Reason::Programmed));
    }

    #[test]
    fn an_invalid_manifest_keeps_the_last_good_generation_or_claims_nothing() {
        let wanted = Wanted::Invalid { reason: Reason::Invalid, message: "a.yaml:1:1: no" };
        let kept = step(wanted, Some(Serving { generation: 3, found: found(&[]) }));
        assert_eq!(kept.serve, Serve::Kept);
        assert_eq!(reason(&kept, ConditionType::Ready), Some(Reason::Invalid));
        assert_eq!(step(wanted, None).serve, Serve::Nothing);
    }

    #[test]
    fn a_fault_of_ours_takes_nothing_away_and_does_not_blame_the_manifest() {
        let wanted = Wanted::Invalid { reason: Reason::InternalError, message: "internal error: oh" };
        let status = |decision: &Decision, type_| decision.claims.iter().find(|claim| claim.type_ == type_).unwrap().status;
        for (serving, serve) in [(Some(Serving { generation: 3, found: found(&[]) }), Serve::Kept), (None, Serve::Nothing)] {
            let decision = step(wanted, serving);
            assert_eq!(decision.serve, serve);
            assert_eq!(status(&decision, ConditionType::Accepted), ConditionStatus::Unknown);
            for type_ in [ConditionType::Programmed, ConditionType::Ready] {
                assert_eq!(status(&decision, type_), ConditionStatus::False);
                assert_eq!(reason(&decision, type_), Some(Reason::InternalError));
            }
        }
    }

    #[test]
    fn ready_is_true_when_all_three_are() {
        let decision = step(Wanted::Valid { generation: 1, found: found(&[]) }, None);
        assert!(decision.claims.iter().all(|claim| claim.status == ConditionStatus::True));
        assert_eq!(decision.claims.len(), 4);
    }

    #[test]
    fn what_everything_lacks_is_said_once() {
        let mut away = missing(&["php", "web"]);
        for missing in &mut away {
            missing.message = "the container is away".to_owned();
        }
        assert_eq!(resolved(found(&away)).message, "the container is away");
    }
}
