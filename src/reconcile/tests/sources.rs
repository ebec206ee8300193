//! What is said of the place that manifests come from.

use super::*;
use crate::api::v1::{EventType, SourceResource};
use crate::source::Problem;

async fn source(house: &mut House, wanted: impl Fn(&SourceResource) -> bool) -> Arc<SourceResource> {
    house.until("the source", |now| now.sources.get("manifests").filter(|source| wanted(source)).cloned()).await
}

#[tokio::test]
async fn the_source_says_what_was_read() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.listing.revision = "1111".to_owned();
    house.write("a.yaml", &text);
    house.start();
    let first = source(&mut house, |_| true).await;
    assert_eq!((first.kind.as_str(), first.spec.as_ref().unwrap().path.clone()), ("Source", house.manifests()));
    assert_eq!((first.status.files, first.status.revision.as_str()), (1, "1111"));
    let reasons: Vec<_> = first.status.conditions.iter().map(|one| (one.type_, one.status, one.reason)).collect();
    let (ready, watching) = (ConditionType::Ready, ConditionType::Watching);
    assert_eq!(reasons, [(ready, ConditionStatus::True, Reason::Ready), (watching, ConditionStatus::True, Reason::Watching)]);
    assert!(!first.status.last_change.is_empty() && !first.metadata.creation_timestamp.is_empty());
    house.listing.revision = "2222".to_owned();
    house.put("b.yaml", &text);
    let second = source(&mut house, |source| source.status.revision == "2222").await;
    assert_eq!(second.status.files, 2);
    let version = |source: &SourceResource| source.metadata.resource_version.parse::<u64>().unwrap();
    assert!(version(&second) > version(&first));
    house.settled().await;
    let third = source(&mut house, |_| true).await;
    assert_eq!(third.status.conditions, second.status.conditions);
}

#[tokio::test]
async fn each_trouble_of_the_directory_is_a_condition_and_an_event_once() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    house.start();
    house.ready("a", 1).await;
    let (good, place) = (house.listing.clone(), house.manifests());
    let unread = Listing { unread: [("sub".to_owned(), "permission denied".to_owned())].into(), ..good.clone() };
    let problem = |problem| Listing { problem: Some(problem), ..good.clone() };
    let cases = [
        (problem(Problem::Missing(place.clone())), Reason::DirectoryNotFound, "does not exist; what is served stays"),
        (problem(Problem::Unreadable(place.clone(), "no".into())), Reason::DirectoryUnreadable, "cannot be read: no; what is served stays"),
        (problem(Problem::TooMany(place, 3)), Reason::DirectoryUnreadable, "more than 3 entries"),
        (unread, Reason::DirectoryUnreadable, "sub cannot be read: permission denied; what came from it stays"),
        (Listing::default(), Reason::DirectoryEmpty, "--allow-empty"),
    ];
    for (listing, reason, words) in cases {
        house.listing = listing;
        house.list();
        house.list();
        let bad = |source: &SourceResource| source.status.condition(ConditionType::Ready).is_some_and(|ready| ready.reason == reason);
        let shown = source(&mut house, |source| bad(source) && source.status.conditions[0].message.contains(words)).await;
        assert_eq!(shown.status.conditions[0].status, ConditionStatus::False);
        let told = house.events("manifests");
        let last = told.last().unwrap();
        assert_eq!((last.type_, last.reason, last.count), (EventType::Warning, reason, 1), "{last:?}");
        assert_eq!(last.message, shown.status.conditions[0].message);
        house.listing = good.clone();
        house.list();
        source(&mut house, |source| source.status.conditions[0].status == ConditionStatus::True).await;
    }
    house.listing = Listing { polling: Some("the limit of watches is reached".to_owned()), ..good };
    house.list();
    let polled = source(&mut house, |source| source.status.conditions[1].reason == Reason::Polling).await;
    assert!(polled.status.conditions[1].message.contains("the limit of watches is reached"), "{polled:#?}");
    assert_eq!(house.events("manifests").last().unwrap().type_, EventType::Warning);
}
