//! A fault of ours in a step of one App: it is said, the others go on, and it heals.

use super::*;
use crate::reconcile::fault::TRIPWIRE;

/// A manifest whose App panics in this step.
fn faulty(house: &House, step: &str) -> String {
    match step {
        "parse" => format!("{}# panic here\n", house.manifest("a", "", "")),
        step => house.manifest("a", &format!("annotations: {{{TRIPWIRE}: {step}}}"), ""),
    }
}

const STEPS: [&str; 6] = ["parse", "want", "attach", "look", "see", "describe"];

#[tokio::test]
async fn a_panic_in_any_step_of_one_app_is_its_own_matter_and_heals_when_its_manifest_changes() {
    for step in STEPS {
        let mut house = House::new();
        let (good, other) = (house.manifest("a", "", ""), house.manifest("other", "", ""));
        house.write("a.yaml", &good);
        house.write("other.yaml", &other);
        house.start();
        let uid = house.ready("a", 1).await.metadata.uid.clone();
        let text = faulty(&house, step).replace("[a.example]", "[b.example]");
        house.put("a.yaml", &text);
        let app = house.app("a", |app| is(app, ConditionType::Programmed, Reason::InternalError)).await;
        let (status, _, message) = condition(&app, ConditionType::Ready).unwrap();
        assert!(status == ConditionStatus::False && message.contains("internal error: tripped in"), "{step}: {message}");
        assert!(is(&app, ConditionType::Ready, Reason::InternalError), "{step}: {app:#?}");
        assert_eq!(condition(&app, ConditionType::Accepted).unwrap().0, ConditionStatus::Unknown, "{step}: nobody is blamed");
        let now = house.now();
        // Only saying what is served has failed in the last step.
        let expected = if step == "describe" { 2 } else { 1 };
        assert_eq!(now.listeners.app("a").map(|app| app.generation), Some(expected), "{step}: what was served is served on");
        house.put("other.yaml", &other.replace("[other.example]", "[]"));
        house.ready("other", 2).await;
        house.put("a.yaml", &good.replace("[a.example]", "[c.example]"));
        let healed = house.app("a", |app| is(app, ConditionType::Ready, Reason::Ready)).await;
        assert_eq!(healed.metadata.uid, uid, "{step}");
        assert!(healed.spec.as_ref().unwrap().hostnames.iter().any(|host| host.to_string() == "c.example"), "{step}");
        assert!(healed.status.errors.is_empty(), "{step}");
    }
}

#[tokio::test]
async fn a_panic_in_the_first_step_of_an_app_serves_nothing_and_stops_nobody() {
    for step in STEPS {
        let mut house = House::new();
        let other = house.manifest("other", "", "");
        let text = faulty(&house, step);
        house.write("a.yaml", &text);
        house.write("other.yaml", &other);
        house.start();
        house.ready("other", 1).await;
        let faulty = |now: &Snapshot| now.apps.values().find(|app| app.status.file == "a.yaml").cloned();
        house.until(step, |now| faulty(now).filter(|app| is(app, ConditionType::Programmed, Reason::InternalError))).await;
    }
}

#[tokio::test]
async fn what_an_earlier_run_has_served_is_served_whatever_panics_now() {
    for step in STEPS {
        let mut house = House::new();
        let good = house.manifest("a", "", "");
        house.write("a.yaml", &good);
        house.start();
        house.ready("a", 1).await;
        house.stop().await;
        let text = faulty(&house, step).replace("[a.example]", "[b.example]");
        house.write("a.yaml", &text);
        house.start();
        house.app("a", |app| is(app, ConditionType::Programmed, Reason::InternalError)).await;
        assert!(house.now().listeners.app("a").is_some(), "{step}");
    }
}

#[tokio::test]
async fn a_step_that_goes_on_panicking_is_tried_again_with_the_back_off_and_said_once() {
    for step in ["want", "attach", "look", "see"] {
        let mut house = House::new();
        let text = faulty(&house, step);
        house.write("a.yaml", &text);
        let (mut reconciler, reader) = house.reconciler();
        reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
        reconciler.board.open();
        let name: AppName = "a".parse().unwrap();
        let mut tries = 0;
        let began = Instant::now();
        // The sixth pause is of 160 ms: six tries take 155 ms at least.
        while tries < 6 {
            settle(&mut reconciler).await;
            let due = reconciler.agenda.next_due().expect("it is tried again");
            assert!(due > began, "{step}");
            tokio::time::sleep_until(due).await;
            tries += 1;
        }
        assert!(began.elapsed() >= Duration::from_millis(155), "{step}: {:?}", began.elapsed());
        settle(&mut reconciler).await;
        assert!(reconciler.entries.get_mut(&name).unwrap().pause() >= Duration::from_millis(320), "{step}");
        let events = &reader.load().events;
        let of_ready = events.iter().filter(|event| event.message.contains("Accepted: internal error")).map(|event| event.count);
        assert_eq!(of_ready.collect::<Vec<_>>(), [1], "{step}: {events:#?}");
    }
}
