//! Each rule of `step`.

use super::*;

fn missing(names: &[&str]) -> Vec<Missing> {
    let one = |name: &&str| Missing {
        reference: Reference::Backend(name.parse().unwrap()),
        reason: Reason::SocketNotFound,
        message: format!("backend `{name}` is away"),
        spared: false,
    };
    names.iter().map(one).collect()
}

fn found(missing: &[Missing]) -> Found<'_> {
    Found { missing, references: 2 }
}

fn serving(generation: u64, missing: &[Missing]) -> Serving<'_> {
    Serving { generation, found: found(missing), attached: true }
}

fn detached(generation: u64) -> Wanted<'static> {
    Wanted::Detached { generation, found: found(&[]), message: "spec.parentRefs[0]: there is no Gateway `web`" }
}

fn programmed(decision: &Decision) -> &Claim {
    decision.claims.iter().find(|claim| claim.type_ == ConditionType::Programmed).unwrap()
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
    let served = serving(1, &[]);
    let decision = step(Wanted::Valid { generation: 2, found: found(&away) }, Some(served));
    assert_eq!(decision.serve, Serve::Kept);
    let programmed = decision.claims.iter().find(|claim| claim.type_ == ConditionType::Programmed).unwrap();
    assert_eq!(programmed.reason, Reason::LastKnownGood);
    assert!(programmed.message.contains("generation 1") && programmed.message.contains("generation 2"), "{}", programmed.message);
}

#[test]
fn an_update_that_lacks_some_endpoints_of_a_backend_is_served_and_one_that_lacks_the_last_waits() {
    let (mut some, all) = (missing(&["php"]), missing(&["php", "php"]));
    some[0].spared = true;
    let update = |new, old| step(Wanted::Valid { generation: 2, found: found(new) }, Some(serving(1, old)));
    let decision = update(&some, &[]);
    assert_eq!((decision.serve, decision.look_again), (Serve::Wanted, true));
    assert_eq!(reason(&decision, ConditionType::ResolvedRefs), Some(Reason::SocketNotFound));
    assert_eq!(reason(&decision, ConditionType::PartiallyResolved), Some(Reason::PartiallyResolved));
    assert_eq!(update(&all, &some).serve, Serve::Kept);
    assert_eq!(update(&all, &all).serve, Serve::Wanted);
    assert_eq!(update(&some, &all).serve, Serve::Wanted);
}

#[test]
fn an_update_that_lacks_only_what_is_lacking_already_is_served() {
    let away = missing(&["php"]);
    let served = serving(1, &away);
    assert_eq!(step(Wanted::Valid { generation: 2, found: found(&away) }, Some(served)).serve, Serve::Wanted);
}

#[test]
fn a_served_generation_stays_when_its_backend_goes_away() {
    let away = missing(&["php"]);
    let served = serving(1, &away);
    let decision = step(Wanted::Valid { generation: 1, found: found(&away) }, Some(served));
    assert_eq!(decision.serve, Serve::Wanted);
    assert_eq!(reason(&decision, ConditionType::Programmed), Some(Reason::Programmed));
}

#[test]
fn an_invalid_manifest_keeps_the_last_good_generation_or_claims_nothing() {
    let wanted = Wanted::Invalid { reason: Reason::Invalid, message: "a.yaml:1:1: no" };
    let kept = step(wanted, Some(serving(3, &[])));
    assert_eq!(kept.serve, Serve::Kept);
    assert_eq!(reason(&kept, ConditionType::Ready), Some(Reason::Invalid));
    assert_eq!(step(wanted, None).serve, Serve::Nothing);
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

#[test]
fn what_no_listener_leads_to_claims_nothing() {
    let decision = step(detached(1), None);
    assert_eq!(decision.serve, Serve::Nothing);
    for type_ in [ConditionType::Accepted, ConditionType::Programmed, ConditionType::Ready] {
        assert_eq!(reason(&decision, type_), Some(Reason::NoMatchingParent), "{type_}");
    }
    assert_eq!(reason(&decision, ConditionType::ResolvedRefs), Some(Reason::ResolvedRefs), "its backends are judged on their own");
}

#[test]
fn an_update_that_no_listener_leads_to_waits() {
    let decision = step(detached(2), Some(serving(1, &[])));
    assert_eq!((decision.serve, programmed(&decision).reason), (Serve::Kept, Reason::LastKnownGood));
    assert_eq!(programmed(&decision).message, "generation 1 is served; generation 2 waits: no listener leads to it");
    assert_eq!(reason(&decision, ConditionType::Accepted), Some(Reason::NoMatchingParent));
}

#[test]
fn a_served_generation_whose_listener_goes_away_is_kept_for_the_next_one() {
    let decision = step(detached(1), Some(Serving { attached: false, ..serving(1, &[]) }));
    assert_eq!((decision.serve, programmed(&decision).reason), (Serve::Wanted, Reason::NoMatchingParent));
    let update = step(detached(2), Some(Serving { attached: false, ..serving(1, &[]) }));
    assert_eq!((update.serve, programmed(&update).reason), (Serve::Kept, Reason::NoMatchingParent));
}

#[test]
fn an_update_is_served_at_once_if_no_listener_leads_to_what_it_replaces() {
    let away = missing(&["php"]);
    let wanted = Wanted::Valid { generation: 2, found: found(&away) };
    assert_eq!(step(wanted, Some(Serving { attached: false, ..serving(1, &[]) })).serve, Serve::Wanted);
    assert_eq!(step(wanted, Some(serving(1, &[]))).serve, Serve::Kept);
}

#[test]
fn a_fault_of_ours_takes_nothing_away_and_does_not_blame_the_manifest() {
    let wanted = Wanted::Invalid { reason: Reason::InternalError, message: "internal error: oh" };
    let status = |decision: &Decision, type_| decision.claims.iter().find(|claim| claim.type_ == type_).unwrap().status;
    for (serving, serve) in [(Some(serving(3, &[])), Serve::Kept), (None, Serve::Nothing)] {
        let decision = step(wanted, serving);
        assert_eq!(decision.serve, serve);
        assert_eq!(status(&decision, ConditionType::Accepted), ConditionStatus::Unknown);
        for type_ in [ConditionType::Programmed, ConditionType::Ready] {
            assert_eq!(status(&decision, type_), ConditionStatus::False);
            assert_eq!(reason(&decision, type_), Some(Reason::InternalError));
        }
    }
}
