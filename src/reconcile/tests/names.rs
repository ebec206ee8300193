//! Two Apps that want the same: a name, or a match.

use super::*;

/// An App for the host that all of these share.
fn rival(house: &House, name: &str) -> String {
    house.manifest(name, "", "").replace(&format!("[{name}.example]"), "[shared.example]")
}

#[tokio::test]
async fn the_older_keeps_a_name_and_the_younger_takes_it_over_when_the_older_is_gone() {
    let mut house = House::new();
    let (old, young) = (house.manifest("same", "labels: {from: old}", ""), house.manifest("same", "labels: {from: young}", ""));
    house.write("m.yaml", &old);
    house.start();
    house.ready("same", 1).await;
    // Its path comes first, and it is the younger all the same.
    house.put("a.yaml", &young);
    let stray = |now: &Snapshot| now.apps.values().find(|app| app.status.file == "a.yaml").cloned();
    let refused = house.until("a stray", |now| stray(now).filter(|app| app.metadata.name == "same")).await;
    assert!(is(&refused, ConditionType::Accepted, Reason::NameConflict), "{refused:#?}");
    assert!(is(&refused, ConditionType::Programmed, Reason::NameConflict), "{refused:#?}");
    let error = &refused.status.errors[0];
    assert_eq!((error.file.as_str(), error.line, error.field.as_str()), ("a.yaml", 3, "metadata.name"));
    assert!(error.message.contains("the App in m.yaml"), "{error}");
    assert_eq!(house.ready("same", 1).await.metadata.labels["from"], "old");
    house.erase("m.yaml");
    house.list();
    let taken = house.app("same", |app| app.metadata.labels["from"] == "young" && is(app, ConditionType::Ready, Reason::Ready)).await;
    assert_eq!(taken.status.file, "a.yaml");
    assert_eq!(house.now().apps.len(), 1, "and is no stray any more");
}

#[tokio::test]
async fn the_older_keeps_a_name_over_a_restart() {
    let mut house = House::new();
    let text = house.manifest("same", "", "");
    house.write("m.yaml", &text);
    house.start();
    house.ready("same", 1).await;
    house.stop().await;
    house.write("a.yaml", &text);
    house.start();
    assert_eq!(house.ready("same", 1).await.status.file, "m.yaml");
}

#[tokio::test]
async fn the_older_wins_a_match_and_the_other_names_the_rule_and_the_winner_until_it_is_gone() {
    let mut house = House::new();
    let (old, young) = (rival(&house, "old"), rival(&house, "a-young"));
    house.write("old.yaml", &old);
    house.start();
    house.ready("old", 1).await;
    house.put("a-young.yaml", &young);
    let conflicted = house.app("a-young", |app| app.status.condition(ConditionType::Conflicted).is_some()).await;
    let (status, reason, message) = condition(&conflicted, ConditionType::Conflicted).unwrap();
    assert_eq!((status, reason), (ConditionStatus::True, Reason::Conflicted));
    assert!(message.contains("spec.rules[0]") && message.contains("`old`"), "{message}");
    assert!(is(&conflicted, ConditionType::Ready, Reason::Ready), "a conflict is no lack: {conflicted:#?}");
    assert!(house.ready("old", 1).await.status.condition(ConditionType::Conflicted).is_none());
    // Not by name, and not by who was started first.
    house.restart().await;
    house.app("a-young", |app| app.status.condition(ConditionType::Conflicted).is_some()).await;
    assert!(house.ready("old", 1).await.status.condition(ConditionType::Conflicted).is_none());
    house.erase("old.yaml");
    house.list();
    house.app("a-young", |app| app.status.condition(ConditionType::Conflicted).is_none()).await;
    assert_eq!(house.events("a-young").last().unwrap().message, format!("no longer: {message}"));
}

#[tokio::test]
async fn of_two_of_the_same_age_the_first_by_name_wins() {
    let mut house = House::new();
    for name in ["b", "a"] {
        let text = rival(&house, name);
        house.write(&format!("{name}.yaml"), &text);
        let name = name.parse().unwrap();
        house.store().save(&Record { first_seen: 1, ..first_record::<App>(&name, &format!("{name}.yaml")) }).unwrap();
    }
    house.start();
    house.app("b", |app| app.status.condition(ConditionType::Conflicted).is_some()).await;
    assert!(house.ready("a", 1).await.status.condition(ConditionType::Conflicted).is_none());
}

#[tokio::test]
async fn of_two_refused_names_in_one_file_the_one_that_stays_is_not_said_again() {
    let mut house = House::new();
    let (x, y, other) = (house.manifest("x", "", ""), house.manifest("y", "", ""), house.manifest("other", "", ""));
    house.write("x.yaml", &x);
    house.write("y.yaml", &y);
    house.start();
    house.ready("x", 1).await;
    house.ready("y", 1).await;
    house.put("z.yaml", &format!("{x}---\n{y}"));
    let stray = |now: &Snapshot| now.apps.values().find(|app| app.metadata.name == "y" && app.status.file == "z.yaml").cloned();
    let before = house.until("a stray", stray).await;
    house.put("z.yaml", &format!("{other}---\n{y}"));
    house.ready("other", 1).await;
    assert_eq!(stray(&house.now()).unwrap(), before);
    let told = house.events("y").iter().filter(|event| event.reason == Reason::NameConflict).map(|event| event.count).collect::<Vec<_>>();
    assert_eq!(told, [1, 1], "of Programmed and Ready");
}
