//! What is served: valid or not, new or not, gone or not.

use super::*;
use crate::source::Problem;

/// The generation that requests meet.
fn served(now: &Snapshot, name: &str) -> Option<u64> {
    now.listeners.app(name).map(|app| app.generation)
}

#[tokio::test]
async fn an_invalid_manifest_keeps_the_last_good_generation_until_the_file_changes() {
    let mut house = House::new();
    let good = house.manifest("a", "", "");
    house.write("a.yaml", &good);
    house.start();
    house.ready("a", 1).await;
    for broken in [good.replace("rules", "rulez"), "kind: [".to_owned(), String::new()] {
        house.put("a.yaml", &broken);
        let app = house.app("a", |app| is(app, ConditionType::Programmed, Reason::LastKnownGood)).await;
        assert_eq!((served(&house.now(), "a"), app.status.served_generation), (Some(1), Some(1)), "{broken}");
        assert!(app.spec.is_some() && !app.status.errors.is_empty(), "{app:#?}");
        house.settled().await;
        assert!(is(&house.now().apps["a"], ConditionType::Accepted, Reason::Invalid), "it is terminal");
        house.put("a.yaml", &good);
        house.ready("a", 1).await;
    }
    house.stop().await;
    house.write("a.yaml", "kind: [");
    house.start();
    house.app("a", |app| is(app, ConditionType::Programmed, Reason::LastKnownGood)).await;
    assert_eq!(served(&house.now(), "a"), Some(1), "also over a restart");
}

#[tokio::test]
async fn an_app_that_was_never_valid_claims_nothing() {
    let mut house = House::new();
    let broken = house.manifest("a", "", "").replace("rules", "rulez");
    house.write("a.yaml", &broken);
    house.start();
    let app = house.app("a", |app| is(app, ConditionType::Accepted, Reason::Invalid)).await;
    assert_eq!((served(&house.now(), "a"), app.status.served_generation), (None, None));
    assert!(app.spec.is_none());
}

#[tokio::test]
async fn a_first_generation_is_programmed_at_once_and_heals_by_itself() {
    let mut house = House::new();
    let text = house.manifest("a", "", "").replace("/www", "/later");
    house.write("a.yaml", &text);
    house.start();
    let app = house.app("a", |app| is(app, ConditionType::ResolvedRefs, Reason::RootNotFound)).await;
    assert!(is(&app, ConditionType::Programmed, Reason::Programmed));
    assert_eq!(served(&house.now(), "a"), Some(1));
    fs::create_dir(house.root().join("later")).unwrap();
    house.ready("a", 1).await;
}

#[tokio::test]
async fn an_update_waits_for_what_the_served_generation_has_and_is_swapped_in_when_it_appears() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    house.start();
    house.ready("a", 1).await;
    house.put("a.yaml", &text.replace("/www", "/later"));
    let waits = house.app("a", |app| is(app, ConditionType::Programmed, Reason::LastKnownGood)).await;
    let message = condition(&waits, ConditionType::Programmed).unwrap().2;
    assert!(message.contains("generation 1 is served; generation 2 waits"), "{message}");
    assert_eq!(served(&house.now(), "a"), Some(1));
    fs::create_dir(house.root().join("later")).unwrap();
    house.ready("a", 2).await;
    assert_eq!(served(&house.now(), "a"), Some(2));
}

#[tokio::test]
async fn an_update_that_lacks_only_what_is_lacking_already_is_swapped_in() {
    let mut house = House::new();
    let text = house.manifest("a", "", "").replace("/www", "/later");
    house.write("a.yaml", &text);
    house.start();
    house.app("a", |app| is(app, ConditionType::Ready, Reason::RootNotFound)).await;
    house.put("a.yaml", &text.replace("[a.example]", "[]"));
    house.app("a", |app| app.status.served_generation == Some(2)).await;
    assert_eq!(served(&house.now(), "a"), Some(2));
}

#[tokio::test]
async fn a_file_that_is_gone_takes_its_routes_with_it() {
    let mut house = House::new();
    let (a, b) = (house.manifest("a", "", ""), house.manifest("b", "", ""));
    house.write("a.yaml", &a);
    house.write("b.yaml", &b);
    house.start();
    house.ready("b", 1).await;
    house.erase("a.yaml");
    house.list();
    house.until("no routes", |now| served(now, "a").is_none().then_some(())).await;
    house.until("no App", |now| (!now.apps.contains_key("a")).then_some(())).await;
    assert_eq!(served(&house.now(), "b"), Some(1));
    house.restart().await;
    house.ready("b", 1).await;
    assert!(!house.now().apps.contains_key("a"), "and it does not come back");
}

#[tokio::test]
async fn a_directory_that_is_missing_unreadable_or_empty_is_no_deletion() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    house.start();
    house.ready("a", 1).await;
    let full = house.listing.clone();
    let problem = |problem| Listing { problem: Some(problem), ..Listing::default() };
    let unread = Listing { unread: [("sub".to_owned(), "permission denied".to_owned())].into(), ..full.clone() };
    let place = house.manifests();
    let listings = [problem(Problem::Missing(place.clone())), problem(Problem::Unreadable(place, "no".into())), Listing::default(), unread];
    for (number, listing) in (1..).zip(listings) {
        house.listing = listing;
        house.list();
        let ready = |now: &Snapshot| now.sources.get("manifests")?.status.condition(ConditionType::Ready).map(|one| one.status);
        house.until("a source that is not ready", |now| (ready(now)? == ConditionStatus::False).then_some(())).await;
        assert_eq!(served(&house.now(), "a"), Some(1), "{number}");
        house.restart().await;
        house.until("a start", |now| (served(now, "a")? == 1).then_some(())).await;
    }
    house.listing = full;
    house.list();
    house.ready("a", 1).await;
}

#[tokio::test]
async fn an_empty_directory_is_a_deletion_if_it_is_meant() {
    let mut house = House::new();
    house.allow_empty = true;
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    house.start();
    house.ready("a", 1).await;
    house.erase("a.yaml");
    house.list();
    house.until("nothing", |now| now.apps.is_empty().then_some(())).await;
}

#[tokio::test]
async fn with_the_state_lost_it_starts_from_the_directory_alone() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    house.start();
    let uid = house.ready("a", 1).await.metadata.uid.clone();
    house.stop().await;
    fs::remove_dir_all(house.dir.path().join("state")).unwrap();
    house.start();
    assert_ne!(house.ready("a", 1).await.metadata.uid, uid);
}

#[test]
fn the_wait_for_what_is_missing_doubles_from_5_ms_to_30_s_and_an_event_resets_it() {
    let mut entry = Entry::new(0, first_record(&"a".parse().unwrap(), "a.yaml"));
    let pauses: Vec<_> = (0..15).map(|_| entry.pause()).collect();
    assert_eq!(pauses[0], Duration::from_millis(5));
    assert!(pauses.windows(2).all(|pair| pair[1] == (pair[0] * 2).min(Duration::from_secs(30))), "{pauses:?}");
    assert_eq!(pauses[14], Duration::from_secs(30));
    entry.hurry();
    assert_eq!(entry.pause(), Duration::from_millis(5));
}

#[tokio::test]
async fn a_container_that_nobody_knows_is_not_asked_for_many_times_a_second() {
    let house = House::new();
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: a}}\n\
        spec: {{container: {{name: none, runtime: Nspawn, path: {}}}, rules: [{{files: {{root: /www}}}}]}}\n",
        house.root().display()
    );
    let parsed = crate::manifest::parse("a.yaml", manifest.as_bytes());
    let Some(crate::manifest::Object::App(app)) = parsed.documents.into_iter().find_map(|document| document.result.ok()) else {
        panic!("{manifest}")
    };
    let mut entry = Entry::new(0, first_record(&"a".parse().unwrap(), "a.yaml"));
    entry.want(Desired { file: "a.yaml".to_owned(), base: house.root(), line: 1, named: (1, 1), object: Ok(app) });
    let seen = entry.job().run(&Runtimes::new(None)).await;
    entry.see(seen).unwrap();
    let pauses: Vec<_> = (0..7).map(|_| entry.pause().as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30], "each look asks every runtime");
    entry.hurry();
    assert_eq!(entry.pause(), Duration::from_secs(1), "whatever happens elsewhere");
}
