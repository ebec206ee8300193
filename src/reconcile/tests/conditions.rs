//! What is said of an App: each condition, each reason, and since when.

use std::os::unix::net::UnixListener;

use super::*;
use crate::state::Transition;

const LONG_AGO: &str = "2001-02-03T04:05:06Z";

/// A backend on a socket of the container, beside the files.
fn with_backend(house: &House, name: &str) -> String {
    let text = house.manifest(name, "", "backends: [{name: web, http: {unix: /run/web.sock}}]");
    text.replace("[{files:", "[{matches: [{path: {value: /app}}], backendRefs: [{name: web}]}, {files:")
}

/// The conditions of an App in short.
fn all(app: &AppResource) -> Vec<(ConditionType, ConditionStatus, Reason)> {
    app.status.conditions.iter().map(|one| (one.type_, one.status, one.reason)).collect()
}

#[tokio::test]
async fn each_kind_of_manifest_has_its_conditions() {
    use ConditionStatus::{False, True, Unknown};
    use ConditionType::{Accepted, Programmed, Ready, ResolvedRefs};
    let mut house = House::new();
    let good = house.manifest("a", "", "");
    let invalid = |reason| {
        vec![(Accepted, False, reason), (ResolvedRefs, Unknown, Reason::Pending), (Programmed, False, reason), (Ready, False, reason)]
    };
    let missing = vec![
        (Accepted, True, Reason::Accepted),
        (ResolvedRefs, False, Reason::RootNotFound),
        (Programmed, True, Reason::Programmed),
        (Ready, False, Reason::RootNotFound),
    ];
    let well = vec![
        (Accepted, True, Reason::Accepted),
        (ResolvedRefs, True, Reason::ResolvedRefs),
        (Programmed, True, Reason::Programmed),
        (Ready, True, Reason::Ready),
    ];
    let cases = [
        ("good", good.clone(), well),
        ("unknown-field", good.replace("hostnames", "hostname"), invalid(Reason::Invalid)),
        (
            "unsupported",
            good.replace("rules:", "backends: [{name: web, http: {port: 80, tls: {serverName: a.org}}}], rules:"),
            invalid(Reason::UnsupportedValue),
        ),
        ("no-root", good.replace("/www", "/nowhere"), missing),
    ];
    for (name, text, _) in &cases {
        // And a host of its own, so that there is no conflict.
        house.write(
            &format!("{name}.yaml"),
            &text.replace("name: a,", &format!("name: {name},")).replace("[a.example]", &format!("[{name}.example]")),
        );
    }
    house.start();
    for (name, _, wanted) in cases {
        let app = house.app(name, |app| app.status.condition(Ready).is_some()).await;
        assert_eq!(all(&app), wanted, "{name}: {app:#?}");
    }
}

#[tokio::test]
async fn each_missing_reference_has_its_reason() {
    let mut house = House::new();
    let text = with_backend(&house, "a");
    let run = house.root().join("run");
    fs::create_dir(&run).unwrap();
    house.write("a.yaml", &text);
    house.start();
    let socket = run.join("web.sock");
    house.app("a", |app| is(app, ConditionType::ResolvedRefs, Reason::SocketNotFound)).await;
    fs::write(&socket, "").unwrap();
    house.app("a", |app| is(app, ConditionType::ResolvedRefs, Reason::NotASocket)).await;
    fs::remove_file(&socket).unwrap();
    // Nobody listens any more, and the socket stays.
    drop(UnixListener::bind(&socket).unwrap());
    house.app("a", |app| is(app, ConditionType::ResolvedRefs, Reason::ConnectionRefused)).await;
    fs::remove_file(&socket).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    house.ready("a", 1).await;
    fs::remove_dir(house.root().join("www")).unwrap();
    house.app("a", |app| is(app, ConditionType::ResolvedRefs, Reason::RootNotFound)).await;
}

#[tokio::test]
async fn partially_resolved_is_there_only_while_it_is_true() {
    let mut house = House::new();
    let text = with_backend(&house, "a");
    let run = house.root().join("run");
    fs::create_dir(&run).unwrap();
    house.write("a.yaml", &text);
    house.start();
    let partly = house.app("a", |app| app.status.condition(ConditionType::PartiallyResolved).is_some()).await;
    let (status, _, message) = condition(&partly, ConditionType::PartiallyResolved).unwrap();
    assert_eq!((status, message), (ConditionStatus::True, "1 of 2 references is not there"));
    let _listener = UnixListener::bind(run.join("web.sock")).unwrap();
    let ready = house.ready("a", 1).await;
    assert!(ready.status.condition(ConditionType::PartiallyResolved).is_none());
    fs::remove_file(run.join("web.sock")).unwrap();
    fs::remove_dir(house.root().join("www")).unwrap();
    house.app("a", |app| condition(app, ConditionType::ResolvedRefs).is_some_and(|(.., message)| message.lines().count() == 2)).await;
    let none = house.now().apps["a"].clone();
    assert!(none.status.condition(ConditionType::PartiallyResolved).is_none(), "nothing is resolved: {none:#?}");
}

#[tokio::test]
async fn each_endpoint_of_a_backend_is_a_reference_of_its_own_and_watched() {
    let mut house = House::new();
    let endpoints = |names: &str| format!("http: {{endpoints: [{names}]}}");
    let [three, two] = ["{unix: /run/a}, {unix: /run/b}, {unix: /run/c}", "{unix: /run/d}, {unix: /run/e}"].map(endpoints);
    let text = with_backend(&house, "a").replace("http: {unix: /run/web.sock}", &three);
    let run = house.root().join("run");
    fs::create_dir(&run).unwrap();
    let _b = UnixListener::bind(run.join("b")).unwrap();
    house.write("a.yaml", &text);
    house.start();
    let partly = house.app("a", |app| app.status.condition(ConditionType::PartiallyResolved).is_some()).await;
    assert_eq!(condition(&partly, ConditionType::PartiallyResolved).unwrap().2, "2 of 4 references are not there");
    let missing = ["a", "c"].map(|name| format!("endpoint `/run/{name}` of backend `web`: there is no socket at /run/{name}"));
    assert_eq!(condition(&partly, ConditionType::ResolvedRefs).unwrap().2, missing.join("\n"));
    let _a = UnixListener::bind(run.join("a")).unwrap();
    house.app("a", |app| condition(app, ConditionType::ResolvedRefs).is_some_and(|(.., message)| message == missing[1])).await;
    let _c = UnixListener::bind(run.join("c")).unwrap();
    house.ready("a", 1).await;
    // Of the new backend no endpoint is there: what is served stays until one is.
    house.put("a.yaml", &text.replace(&three, &two));
    house.app("a", |app| is(app, ConditionType::Programmed, Reason::LastKnownGood)).await;
    let _e = UnixListener::bind(run.join("e")).unwrap();
    let served = house.app("a", |app| app.status.served_generation == Some(2)).await;
    assert_eq!(condition(&served, ConditionType::PartiallyResolved).unwrap().2, "1 of 3 references is not there");
}

#[tokio::test]
async fn all_errors_of_a_manifest_are_in_its_status_with_their_places() {
    let mut house = House::new();
    let text = house.manifest("a", "", "").replace("hostnames: [a.example]", "hostname: x,\n  rulez: 5");
    house.write("a.yaml", &format!("# first line\n{text}"));
    house.write("b.yaml", "kind: [");
    let unreadable = FileContent { bytes: Err("cannot be read: permission denied".to_owned()), path: house.manifests().join("c.yaml") };
    house.listing.files.insert("c.yaml".into(), Arc::new(unreadable));
    house.start();
    let app = house.app("a", |app| is(app, ConditionType::Accepted, Reason::Invalid)).await;
    let errors = &app.status.errors;
    assert!(errors.iter().any(|error| (error.line, error.field.as_str()) == (5, "spec.hostname")), "{errors:#?}");
    assert!(errors.iter().any(|error| (error.line, error.field.as_str()) == (6, "spec.rulez")), "{errors:#?}");
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(condition(&app, ConditionType::Accepted).unwrap().2, lines.join("\n"), "the condition says the same");
    let stray = |now: &Snapshot, file: &str| now.apps.values().find(|app| app.status.file == file).map(|app| app.status.errors.clone());
    let broken = house.until("b.yaml", |now| stray(now, "b.yaml")).await;
    assert!(broken[0].file == "b.yaml" && broken[0].line >= 1, "{broken:#?}");
    let unread = house.until("c.yaml", |now| stray(now, "c.yaml")).await;
    assert_eq!(unread.iter().map(ToString::to_string).collect::<Vec<_>>(), ["c.yaml: cannot be read: permission denied"]);
    let good = house.manifest("a", "", "");
    house.put("a.yaml", &good);
    assert!(house.ready("a", 1).await.status.errors.is_empty());
}

/// Makes every condition that is on disk an old one.
fn age(house: &House) {
    let (records, problems) = house.store().load::<App>();
    assert!(problems.is_empty(), "{problems:?}");
    for mut record in records {
        assert!(!record.transitions.is_empty(), "{record:?}");
        for Transition { time, .. } in record.transitions.values_mut() {
            LONG_AGO.clone_into(time);
        }
        house.store().save(&record).unwrap();
    }
}

#[tokio::test]
async fn the_time_of_a_condition_moves_only_when_its_status_does_also_over_a_restart() {
    let mut house = House::new();
    let text = with_backend(&house, "a");
    house.write("a.yaml", &text);
    house.start();
    house.app("a", |app| is(app, ConditionType::Ready, Reason::SocketNotFound)).await;
    house.stop().await;
    age(&house);
    house.start();
    let time = |app: &AppResource, type_| app.status.condition(type_).unwrap().last_transition_time.clone();
    let again = house.app("a", |app| is(app, ConditionType::Ready, Reason::SocketNotFound)).await;
    for condition in again.status.conditions.iter() {
        assert_eq!(condition.last_transition_time, LONG_AGO, "{condition:?}");
    }
    // Another reason, another message, another generation: still not ready.
    fs::create_dir(house.root().join("run")).unwrap();
    fs::write(house.root().join("run/web.sock"), "").unwrap();
    house.put("a.yaml", &text.replace("[a.example]", "[]"));
    let other = house.app("a", |app| is(app, ConditionType::Ready, Reason::NotASocket) && app.metadata.generation == 2).await;
    for type_ in [ConditionType::Ready, ConditionType::ResolvedRefs, ConditionType::Programmed] {
        assert_eq!(time(&other, type_), LONG_AGO, "{type_}");
    }
    // Ready at last: what was true before has been so since then.
    fs::remove_file(house.root().join("run/web.sock")).unwrap();
    let _listener = UnixListener::bind(house.root().join("run/web.sock")).unwrap();
    let ready = house.ready("a", 2).await;
    assert!(time(&ready, ConditionType::Ready).as_str() > LONG_AGO && time(&ready, ConditionType::ResolvedRefs).as_str() > LONG_AGO);
    assert_eq!(time(&ready, ConditionType::Programmed), LONG_AGO);
}

#[tokio::test]
async fn a_resync_writes_nothing_to_disk() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    let (mut reconciler, reader) = house.reconciler();
    let listing = Arc::new(house.listing.clone());
    reconciler.list(&house.manifests(), &listing);
    reconciler.board.open();
    settle(&mut reconciler).await;
    assert!(is(&reader.load().apps["a"], ConditionType::Ready, Reason::Ready));
    let file = house.dir.path().join("state/apps/a.json");
    let inode = |file: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(file).unwrap());
    let (before, revision) = (inode(&file), reader.load().revision);
    for _ in 0..3 {
        reconciler.list(&house.manifests(), &listing);
        reconciler.look_at_all();
        settle(&mut reconciler).await;
    }
    assert_eq!((inode(&file), reader.load().revision), (before, revision), "nothing is written, nothing is published");
}
