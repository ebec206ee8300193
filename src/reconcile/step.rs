//! What is wanted, what was found, what is served -> what to serve now, and what to say about it (pure).
//!
//! In: the three sides of one App or Gateway. Out: [`Decision`]. Never: a clock, another object, I/O.

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
    /// It is valid, but no listener leads to it.
    Detached {
        /// Its generation.
        generation: u64,
        /// What it refers to.
        found: Found<'a>,
        /// Which of its `parentRefs` or `hostnames` does not fit, and what there is.
        message: &'a str,
    },
    /// It is not valid.
    Invalid {
        /// `Invalid` or `UnsupportedValue`; `InternalError`: nobody knows, for a step has failed.
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
    /// Whether a listener leads to it; always so of a Gateway.
    pub attached: bool,
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
        Wanted::Detached { generation, found, message } => detached(generation, found, message, serving),
        Wanted::Valid { generation, found } => match serving {
            // What no listener leads to works for nobody: nothing can make it worse.
            Some(serving) if serving.generation != generation && serving.attached => match first_loss(found, serving.found) {
                Some(loss) => held(generation, found, serving, loss),
                None => served(generation, found),
            },
            _ => served(generation, found),
        },
    }
}

/// A reference that the new generation lacks and the served one has. A backend is lacking if all of its endpoints are.
fn first_loss<'a>(new: Found<'a>, old: Found<'_>) -> Option<&'a Missing> {
    let lacking = |reference: &Reference| old.missing.iter().any(|missing| missing.reference == *reference && !missing.spared);
    new.missing.iter().find(|missing| !missing.spared && !lacking(&missing.reference))
}

fn served(generation: u64, found: Found<'_>) -> Decision {
    let programmed = claim(ConditionType::Programmed, Reason::Programmed, format!("generation {generation} is served"));
    decide(Serve::Wanted, accepted(), resolved(found), programmed, found)
}

fn held(generation: u64, found: Found<'_>, serving: Serving<'_>, loss: &Missing) -> Decision {
    let message = format!("{}; generation {generation} waits: {}", kept(serving), loss.message);
    decide(Serve::Kept, accepted(), resolved(found), refusal(ConditionType::Programmed, Reason::LastKnownGood, message), found)
}

/// Without a listener nothing is claimed, and an update waits for one. What is served already stays, for the day that one leads to it again.
fn detached(generation: u64, found: Found<'_>, message: &str, serving: Option<Serving<'_>>) -> Decision {
    let reason = Reason::NoMatchingParent;
    let accepted = refusal(ConditionType::Accepted, reason, message.to_owned());
    let (serve, reason, message) = match serving {
        None => (Serve::Nothing, reason, "nothing is served: no listener leads to it".to_owned()),
        Some(serving) if serving.generation == generation => {
            (Serve::Wanted, reason, format!("generation {generation} is kept, but no listener leads to it"))
        }
        Some(serving) => {
            let why = format!("generation {generation} waits: no listener leads to it");
            (Serve::Kept, kept_reason(serving), format!("{}; {why}", kept(serving)))
        }
    };
    decide(serve, accepted, resolved(found), refusal(ConditionType::Programmed, reason, message), found)
}

fn kept_reason(serving: Serving<'_>) -> Reason {
    if serving.attached { Reason::LastKnownGood } else { Reason::NoMatchingParent }
}

fn kept(Serving { generation, attached, .. }: Serving<'_>) -> String {
    if attached {
        format!("generation {generation} is served")
    } else {
        format!("generation {generation} is kept, but no listener leads to it")
    }
}

fn invalid(reason: Reason, message: &str, serving: Option<Serving<'_>>) -> Decision {
    let accepted = refusal(ConditionType::Accepted, reason, message.to_owned());
    let Some(serving) = serving else {
        let programmed = refusal(ConditionType::Programmed, reason, "nothing is served: there never was a valid generation".to_owned());
        return decide(Serve::Nothing, accepted, nothing_to_resolve(), programmed, NOTHING);
    };
    let message = format!("{}; the manifest as it is now is not valid", kept(serving));
    let programmed = refusal(ConditionType::Programmed, kept_reason(serving), message);
    decide(Serve::Kept, accepted, resolved(serving.found), programmed, serving.found)
}

/// A fault of ours says nothing about the manifest, and takes nothing away.
fn failed(message: &str, serving: Option<Serving<'_>>) -> Decision {
    let accepted = unknown(ConditionType::Accepted, Reason::InternalError, message.to_owned());
    let programmed = |what: String| refusal(ConditionType::Programmed, Reason::InternalError, what);
    let Some(serving) = serving else {
        let programmed = programmed(format!("nothing is served: {message}"));
        return decide(Serve::Nothing, accepted, nothing_to_resolve(), programmed, NOTHING);
    };
    let programmed = programmed(format!("{}: {message}", kept(serving)));
    decide(Serve::Kept, accepted, resolved(serving.found), programmed, serving.found)
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
        let verb = if found.missing.len() == 1 { "is" } else { "are" };
        let message = format!("{} of {} references {verb} not there", found.missing.len(), found.references);
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

fn refusal(type_: ConditionType, reason: Reason, message: String) -> Claim {
    Claim { type_, status: ConditionStatus::False, reason, message }
}

fn unknown(type_: ConditionType, reason: Reason, message: String) -> Claim {
    Claim { type_, status: ConditionStatus::Unknown, reason, message }
}

#[cfg(test)]
mod tests;
