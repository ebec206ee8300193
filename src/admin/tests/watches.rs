//! Watches: every change in its order, no more than is needed, no more than is held.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::API;
use super::super::objects::Kind;
use super::super::query::Selection;
use super::super::watch::Watcher;
use super::{House, Lines, SOON, pictures};
use crate::api::v1::{AppResource, GatewayResource};
use crate::snapshot::{Snapshot, channel};

#[tokio::test]
async fn what_is_there_comes_first_then_a_bookmark_then_what_happens() {
    let mut house = House::open().await;
    house.publish(&["blog", "wiki"]);
    let mut lines = house.watch("apps?watch=true").await;
    assert_eq!(lines.take().await, ["ADDED blog", "ADDED wiki", "BOOKMARK 1"]);
    house.publish(&["blog", "shop", "wiki"]);
    assert_eq!(lines.take().await, ["ADDED shop"]);
    house.show(pictures::of_apps([pictures::app("blog"), pictures::labelled("shop", &[("a", "b")]), pictures::app("wiki")]));
    let changed = lines.line().await.unwrap();
    assert_eq!((&changed["type"], &changed["object"]["metadata"]["labels"]["a"]), (&"MODIFIED".into(), &"b".into()));
    house.publish(&["wiki"]);
    assert_eq!(lines.take().await, ["DELETED blog", "DELETED shop"]);
}

#[tokio::test]
async fn a_bookmark_is_nothing_but_a_revision() {
    let mut house = House::open().await;
    house.publish(&[]);
    for (plural, kind) in [("apps", "App"), ("gateways", "Gateway"), ("sources", "Source"), ("events", "Event")] {
        let line = house.watch(&format!("{plural}?watch=1")).await.line().await.unwrap();
        let bookmark = serde_json::json!({"apiVersion": "lxcproxy.dev/v1", "kind": kind, "metadata": {"resourceVersion": "1"}});
        assert_eq!(line, serde_json::json!({"type": "BOOKMARK", "object": bookmark}));
    }
}

#[tokio::test]
async fn from_the_revision_of_a_list_only_what_comes_after_it_is_told() {
    let mut house = House::open().await;
    house.publish(&["blog"]);
    let (_, list) = house.get(&format!("{API}/apps")).await;
    let mut lines =
        house.watch(&format!("apps?watch=true&resourceVersion={}", list["metadata"]["resourceVersion"].as_str().unwrap())).await;
    house.publish(&["blog", "wiki"]);
    assert_eq!(lines.take().await, ["ADDED wiki"]);
}

#[tokio::test]
async fn what_begins_to_fit_is_added_and_what_stops_is_deleted() {
    let mut house = House::open().await;
    let mut show = |tier: &str, name: &str| house.publisher.publish(pictures::of_apps([pictures::labelled(name, &[("tier", tier)])]));
    show("db", "blog");
    let mut lines = house.watch("apps?watch=true&labelSelector=tier%3Dweb").await;
    assert_eq!(lines.take().await, ["BOOKMARK 1"]);
    let mut show = |tier: &str, name: &str| house.publisher.publish(pictures::of_apps([pictures::labelled(name, &[("tier", tier)])]));
    show("web", "blog");
    let line = lines.line().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["metadata"]["labels"]["tier"]), (&"ADDED".into(), &"web".into()));
    show("db", "blog");
    let line = lines.line().await.unwrap();
    assert_eq!(
        (&line["type"], &line["object"]["metadata"]["labels"]["tier"]),
        (&"DELETED".into(), &"web".into()),
        "as it was when it fitted"
    );
    show("db", "wiki");
    show("web", "wiki");
    assert_eq!(lines.take().await, ["ADDED wiki"], "what never fitted is not told of");
}

#[tokio::test]
async fn one_name_is_watched_by_its_field() {
    let mut house = House::open().await;
    house.publish(&["blog", "wiki"]);
    let mut lines = house.watch("apps?watch=true&fieldSelector=metadata.name%3Dwiki").await;
    assert_eq!(lines.take().await, ["ADDED wiki", "BOOKMARK 1"]);
    house.publish(&["shop"]);
    assert_eq!(lines.take().await, ["DELETED wiki"]);
}

#[tokio::test]
async fn an_object_that_was_made_anew_is_deleted_first() {
    let mut house = House::open().await;
    let mut show = |uid: &str| {
        let mut app = pictures::app("blog");
        app.metadata.uid = uid.into();
        house.publisher.publish(pictures::of_apps([app]))
    };
    show("1");
    let mut lines = house.watch("apps?watch=true").await;
    assert_eq!(lines.take().await, ["ADDED blog", "BOOKMARK 1"]);
    let mut app = pictures::app("blog");
    app.metadata.uid = "2".into();
    house.show(pictures::of_apps([app]));
    assert_eq!(lines.take().await, ["DELETED blog", "ADDED blog"]);
}

#[tokio::test]
async fn events_are_added_counted_up_and_dropped() {
    let mut house = House::open().await;
    let [first, second] = [1, 2].map(|number| pictures::event("App", "blog", number, 1));
    house.show(pictures::of_events([first.clone()]));
    let mut lines = house.watch("events?watch=true&fieldSelector=involvedObject.name%3Dblog").await;
    assert_eq!(lines.take().await, ["ADDED blog.1", "BOOKMARK 1"]);
    house.show(pictures::of_events([first.clone(), second.clone()]));
    assert_eq!(lines.take().await, ["ADDED blog.2"]);
    house.show(pictures::of_events([first, pictures::event("App", "blog", 2, 2)]));
    let line = lines.line().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["count"]), (&"MODIFIED".into(), &2.into()));
    house.show(pictures::of_events([
        pictures::event("App", "blog", 2, 2),
        pictures::event("App", "wiki", 3, 1),
        pictures::event("App", "blog", 4, 1),
    ]));
    assert_eq!(lines.take().await, ["DELETED blog.1", "ADDED blog.4"]);
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over() {
    let mut house = House::open().await;
    house.publish(&["blog"]);
    let mut lines = house.watch("apps?watch=true&timeoutSeconds=1").await;
    assert_eq!(lines.take().await, ["ADDED blog", "BOOKMARK 1"]);
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn ten_thousand_objects_come_in_pieces() {
    let mut house = House::open().await;
    house.show(pictures::of_apps((0..10_000).map(|number| pictures::app(&format!("app-{number:05}")))));
    let mut lines = house.watch("apps?watch=true").await;
    for number in 0..10_000 {
        assert_eq!(lines.next().await, Some(format!("ADDED app-{number:05}")));
    }
    assert_eq!(lines.take().await, ["BOOKMARK 1"]);
}

#[tokio::test]
async fn a_slow_reader_holds_little_and_is_told_of_the_newest() {
    let mut house = House::open().await;
    let big = |number: u64| {
        let mut app = pictures::app("blog");
        app.metadata.generation = number;
        app.metadata.annotations.insert("big".to_owned(), "x".repeat(1 << 20));
        app
    };
    house.show(pictures::of_apps([big(0)]));
    let mut lines = house.watch("apps?watch=true").await;
    let mut shown: Vec<Weak<AppResource>> = Vec::new();
    for number in 1..=100 {
        let snapshot = pictures::of_apps([big(number)]);
        shown.push(Arc::downgrade(&snapshot.apps["blog"]));
        house.show(snapshot);
        // Time enough to tell of it, for one who reads.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    house.publisher.free_retired();
    let held = shown.iter().filter(|app| app.strong_count() > 0).count();
    assert!(held <= 3, "{held} are held");
    let generations = all_until(&mut lines, 100).await;
    assert!(generations.len() <= 8, "{generations:?}");
}

/// The generations that are told of, up to this one.
async fn all_until(lines: &mut Lines, last: u64) -> Vec<u64> {
    let mut told = Vec::new();
    while told.last() != Some(&last) {
        told.extend(lines.line().await.unwrap()["object"]["metadata"]["generation"].as_u64());
    }
    told
}

#[tokio::test]
async fn silence_is_broken_by_bookmarks_also_while_other_things_happen() {
    let (mut publisher, reader) = channel();
    let revision = publisher.publish(Snapshot::default());
    let selection = Selection::default();
    let of: fn(&Snapshot) -> &imbl::OrdMap<_, Arc<GatewayResource>> = |snapshot| &snapshot.gateways;
    let watcher = Watcher {
        reader,
        kind: Kind::Gateway,
        of,
        selection,
        told: Some(imbl::OrdMap::default()),
        revision,
        keep_alive: Duration::from_millis(20),
    };
    let (sender, mut lines) = mpsc::channel(1);
    let watching = tokio::spawn(watcher.run(sender));
    for revision in 1..=3 {
        let line = tokio::time::timeout(SOON, lines.recv()).await.unwrap().unwrap();
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&line["type"], &line["object"]["metadata"]["resourceVersion"]), (&"BOOKMARK".into(), &revision.to_string().into()));
        publisher.publish(pictures::of_apps([pictures::app("blog")]));
    }
    drop(lines);
    tokio::time::timeout(SOON, watching).await.expect("nobody listens any more").unwrap();
}
