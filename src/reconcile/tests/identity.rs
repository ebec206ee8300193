//! What an App is, over time: generation, uid, age, and the revision that showed it last.

use super::*;

#[tokio::test]
async fn the_generation_rises_when_the_defaulted_spec_changes_and_only_then() {
    let mut house = House::new();
    let plain = house.manifest("a", "annotations: {step: \"0\"}", "");
    house.write("a.yaml", &plain);
    house.start();
    house.ready("a", 1).await;
    let host = "hostnames: [a.example]";
    let steps: [(&str, String, u64); 8] = [
        ("a comment", format!("# a comment\n{plain}# and another"), 1),
        ("a label", plain.replace("metadata: {", "metadata: {labels: {tier: web}, "), 1),
        ("another order", plain.replace(&format!(" {host},"), "").replace("rules:", &format!("{host}, rules:")), 1),
        ("a default written out", plain.replace("/www}}", "/www}, limits: {requestBody: 1Mi}}"), 1),
        ("another host", plain.replace(host, "hostnames: [b.example]"), 2),
        ("and back", plain.clone(), 3),
        ("one more host", plain.replace(host, "hostnames: [a.example, b.example]"), 4),
        ("in another order", plain.replace(host, "hostnames: [b.example, a.example]"), 5),
    ];
    for (number, (what, text, generation)) in (1..).zip(steps) {
        let step = number.to_string();
        house.put("a.yaml", &text.replace("step: \"0\"", &format!("step: \"{step}\"")));
        let app = house.app("a", |app| app.metadata.annotations["step"] == step && is(app, ConditionType::Ready, Reason::Ready)).await;
        assert_eq!((app.metadata.generation, app.status.served_generation), (generation, Some(generation)), "{what}");
    }
}

#[tokio::test]
async fn uid_and_creation_timestamp_stay_over_a_change_a_rename_of_the_file_and_a_restart() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    house.start();
    let first = house.ready("a", 1).await;
    assert!(!first.metadata.uid.is_empty() && !first.metadata.creation_timestamp.is_empty());
    let same = |app: &AppResource, generation: u64| {
        assert_eq!(app.metadata.uid, first.metadata.uid);
        assert_eq!(app.metadata.creation_timestamp, first.metadata.creation_timestamp);
        assert_eq!(app.metadata.generation, generation);
    };
    let changed = text.replace("hostnames: [a.example]", "hostnames: []");
    house.put("a.yaml", &changed);
    same(&*house.ready("a", 2).await, 2);
    house.erase("a.yaml");
    house.put("renamed.yaml", &changed);
    same(&*house.app("a", |app| app.status.file == "renamed.yaml").await, 2);
    house.restart().await;
    same(&*house.ready("a", 2).await, 2);
}

#[tokio::test]
async fn an_app_that_was_never_valid_keeps_its_identity_over_a_restart_as_well() {
    let mut house = House::new();
    let broken = house.manifest("a", "", "").replace("rules", "rulez");
    house.write("a.yaml", &broken);
    house.start();
    let first = house.app("a", |app| is(app, ConditionType::Accepted, Reason::Invalid)).await;
    house.restart().await;
    let again = house.app("a", |app| is(app, ConditionType::Accepted, Reason::Invalid)).await;
    assert_eq!((&again.metadata.uid, again.metadata.generation), (&first.metadata.uid, 0));
}

#[tokio::test]
async fn an_app_that_is_deleted_and_made_again_is_another_one() {
    let mut house = House::new();
    let (text, other) = (house.manifest("a", "", ""), house.manifest("other", "", ""));
    house.write("a.yaml", &text);
    house.write("other.yaml", &other);
    house.start();
    house.put("a.yaml", &text.replace("[a.example]", "[]"));
    let first = house.ready("a", 2).await;
    house.erase("a.yaml");
    house.list();
    // At once: nobody may have seen that it was gone.
    house.put("a.yaml", &text);
    let second = house.ready("a", 1).await;
    assert_ne!(second.metadata.uid, first.metadata.uid);
    house.restart().await;
    assert_eq!(house.ready("a", 1).await.metadata.uid, second.metadata.uid, "and that is what was kept");
}

#[tokio::test]
async fn every_condition_tells_the_generation_that_was_looked_at() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    house.start();
    house.ready("a", 1).await;
    let observed = |app: &AppResource, generation| app.status.conditions.iter().all(|one| one.observed_generation == generation);
    house.put("a.yaml", &text.replace("/www", "/later"));
    let waits = house.app("a", |app| is(app, ConditionType::Programmed, Reason::LastKnownGood)).await;
    assert_eq!((waits.metadata.generation, waits.status.served_generation), (2, Some(1)));
    assert!(observed(&waits, 2), "{waits:#?}");
    house.put("a.yaml", &text.replace("rules", "rulez"));
    let invalid = house.app("a", |app| is(app, ConditionType::Accepted, Reason::Invalid)).await;
    assert!(observed(&invalid, 2), "a manifest without a generation does not look like a new one: {invalid:#?}");
}

#[tokio::test]
async fn the_resource_version_is_the_revision_that_showed_the_change() {
    let mut house = House::new();
    let (a, b) = (house.manifest("a", "", ""), house.manifest("b", "", ""));
    house.write("a.yaml", &a);
    house.write("b.yaml", &b);
    house.start();
    let version = |app: &AppResource| app.metadata.resource_version.parse::<u64>().unwrap();
    let before = version(&*house.ready("a", 1).await);
    let still = version(&*house.ready("b", 1).await);
    house.put("a.yaml", &a.replace("[a.example]", "[]"));
    let after = house.ready("a", 2).await;
    let revision = house.now().revision;
    assert!(before < version(&after) && version(&after) <= revision, "{before} {} {revision}", version(&after));
    assert_eq!(version(&*house.ready("b", 1).await), still, "it has not changed");
}
