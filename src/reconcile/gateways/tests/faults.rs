//! A fault of ours in a step of one Gateway: it is said, what it serves stays, the others go on, and it heals.

use super::*;
use crate::reconcile::fault::TRIPWIRE;

/// A Gateway that panics in this step.
fn faulty(step: &str, name: &str, listeners: &[(&str, u16, &str)]) -> Desired<Gateway> {
    let mut desired = desired(name, listeners);
    let gateway = Arc::get_mut(desired.object.as_mut().unwrap()).unwrap();
    gateway.metadata.annotations.insert(TRIPWIRE.to_owned(), step.to_owned());
    desired
}

#[test]
fn a_panic_in_a_step_of_one_gateway_is_its_own_matter_and_heals_when_its_manifest_changes() {
    for step in ["want", "look"] {
        let mut setup = Setup::new(Vec::new());
        let (old, new, other, more) = (free_port(), free_port(), free_port(), free_port());
        setup.want("other", desired("other", &[("http", other, "")]));
        setup.want("web", desired("web", &[("http", old, "")]));
        setup.want("web", faulty(step, "web", &[("http", new, "")]));
        assert_eq!((is_open(old), is_open(new), is_open(other)), (true, false, true), "{step}: what is served stays");
        let [accepted, programmed] = [ConditionType::Accepted, ConditionType::Programmed].map(|type_| setup.claim("web", type_));
        assert_eq!((accepted.status, accepted.reason), (ConditionStatus::Unknown, Reason::InternalError), "{step}: nobody is blamed");
        assert_eq!((programmed.status, programmed.reason), (ConditionStatus::False, Reason::InternalError), "{step}");
        assert!(programmed.message.contains("internal error: tripped in"), "{step}: {}", programmed.message);
        setup.want("other", desired("other", &[("http", more, "")]));
        assert_eq!((is_open(other), is_open(more), setup.reason("other", ConditionType::Ready)), (false, true, Reason::Ready), "{step}");
        setup.want("web", desired("web", &[("http", new, "")]));
        assert_eq!((is_open(old), is_open(new), setup.reason("web", ConditionType::Ready)), (false, true, Reason::Ready), "{step}");
        assert_eq!(setup.gateways.next_due(), None, "{step}");
    }
}

#[test]
fn a_step_that_goes_on_panicking_is_tried_again_with_the_back_off() {
    for step in ["want", "look"] {
        let mut setup = Setup::new(Vec::new());
        setup.want("web", faulty(step, "web", &[("http", free_port(), "")]));
        assert_eq!((setup.fronts(), setup.reason("web", ConditionType::Ready)), (vec!["--listen".to_owned()], Reason::InternalError));
        let mut pauses = Vec::new();
        for _ in 0..4 {
            let due = setup.gateways.next_due().unwrap();
            pauses.push((due - setup.now).as_millis());
            assert!(setup.gateways.look(setup.now).is_none(), "{step}: it is not time yet");
            setup.now = due;
            setup.gateways.look(setup.now);
        }
        assert_eq!(pauses, [5, 10, 20, 40], "{step}");
        assert_eq!(setup.reason("web", ConditionType::Ready), Reason::InternalError, "{step}");
    }
}

#[test]
fn a_step_that_panics_no_more_heals_without_another_manifest() {
    let mut setup = Setup::new(Vec::new());
    let port = free_port();
    setup.want("web", desired("web", &[("http", port, "")]));
    // As after a panic that does not come again.
    setup.gateways.entries.values_mut().for_each(|entry| assert!(entry.fail("internal error: once".to_owned(), None)));
    setup.gateways.news = true;
    setup.gateways.look(setup.now);
    assert_eq!((is_open(port), setup.reason("web", ConditionType::Programmed)), (true, Reason::InternalError));
    setup.now = setup.gateways.next_due().unwrap();
    setup.gateways.look(setup.now);
    assert_eq!((is_open(port), setup.reason("web", ConditionType::Ready)), (true, Reason::Ready));
}

#[test]
fn while_a_gateway_fails_an_older_one_still_takes_its_address() {
    let mut setup = Setup::new(Vec::new());
    let port = free_port();
    setup.want("b", desired("b", &[("http", port, "")]));
    setup.want("b", faulty("look", "b", &[("http", port, ""), ("more", free_port(), "")]));
    setup.want("a", desired("a", &[("http", port, "")]));
    assert_eq!((setup.fronts(), setup.missing("b")), (vec!["a/http".to_owned()], vec![Reason::ListenerConflict]));
    assert_eq!(setup.reason("b", ConditionType::Programmed), Reason::InternalError);
}

#[test]
fn a_gateway_of_an_earlier_run_that_panics_stops_nobody_and_heals() {
    let port = free_port();
    let good = Good { generation: 1, base: PathBuf::from("/"), object: faulty("look", "web", &[("http", port, "")]).object.unwrap() };
    let record = Record { generation: 1, good: Some(good), ..first(&"web".parse().unwrap(), "web.yaml") };
    let mut setup = Setup::new(vec![record]);
    assert_eq!((setup.fronts(), setup.reason("web", ConditionType::Programmed)), (vec!["--listen".to_owned()], Reason::InternalError));
    setup.want("web", desired("web", &[("http", port, "")]));
    assert_eq!((is_open(port), setup.reason("web", ConditionType::Ready)), (true, Reason::Ready));
}
