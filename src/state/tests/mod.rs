//! The store against what disks and people do.

mod damaged;
mod killed;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

/// The richest of the three sample applications: each kind of backend address, filters, files, `Unlimited`.
const SEAFILE: &str = r#"
apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: seafile, labels: {tier: web}, annotations: {note: "ä \" \u2028"}}
spec:
  container: seafile
  hostnames: [home.example.org, "*.example.org"]
  backends:
  - name: seahub
    fastcgi: {tcp: "192.168.122.21:8000", params: [{name: PATH_INFO, value: "{path}"}]}
  - name: seafhttp
    http: {tcp: "192.168.122.21:8082"}
  rules:
  - matches: [{path: {value: /seafile}}]
    backendRefs: [{name: seahub}]
  - matches: [{path: {value: /seafhttp}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
    limits: {requestBody: Unlimited}
    backendRefs: [{name: seafhttp}]
    timeouts: {backendConnect: 300s, backendRead: 1m30s}
  - matches: [{path: {value: /seafmedia}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /media}}}]
    files: {root: /home/seafile/base/seafile-server-latest/seahub}
status: {conditions: [ignored]}
"#;

fn app() -> App {
    serde_yaml::from_str(SEAFILE).unwrap()
}

pub(super) fn record(name: &str) -> Record<App> {
    let good = Good { generation: 7, base: "/etc/lxcproxy.d".into(), object: Arc::new(app()) };
    Record {
        name: name.parse().unwrap(),
        uid: new_uid().into(),
        first_seen: u64::MAX - 1,
        file: "sub/seafile.yaml".into(),
        generation: 8,
        newer: Some(app().spec),
        good: Some(good),
        transitions: [(ConditionType::Ready, Transition { status: ConditionStatus::False, time: "2026-01-02T03:04:05Z".into() })].into(),
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn an_app_comes_back_as_it_was_but_for_its_status() {
    let written = app();
    let text = serde_json::to_string(&written).unwrap();
    assert!(SEAFILE.contains("[ignored]") && !text.contains("ignored"), "{text}");
    let read: App = serde_json::from_str(&text).unwrap();
    assert_eq!(read, written);
}

#[test]
fn records_come_back_after_a_restart_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("not/there/yet"));
    assert!(store.load::<App>().0.is_empty());
    let mut expected = Vec::new();
    for name in ["b", "a", "c"] {
        let record = record(name);
        store.save(&record).unwrap();
        expected.push(record);
    }
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    store.remove::<App>(&"c".parse().unwrap()).unwrap();
    store.remove::<App>(&"never-there".parse().unwrap()).unwrap();
    let (records, problems) = Store::open(&dir.path().join("not/there/yet")).load();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(records, expected[..2]);
    let apps = dir.path().join("not/there/yet/apps");
    assert_eq!(fs::metadata(&apps).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(apps.join("a.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_newest_valid_spec_is_the_one_to_compare_with() {
    let mut record = record("a");
    Arc::make_mut(record.newer.as_mut().unwrap()).hostnames.clear();
    assert!(record.spec().unwrap().hostnames.is_empty());
    record.newer = None;
    assert_eq!(record.spec(), Some(&*app().spec));
}

#[test]
fn only_what_changed_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = (Store::open(dir.path()), dir.path().join("apps/a.json"));
    let mut record = record("a");
    store.save(&record).unwrap();
    let first = inode(&path);
    store.save(&record).unwrap();
    assert_eq!(inode(&path), first);
    // Nor after a restart.
    let store = Store::open(dir.path());
    record = store.load::<App>().0.remove(0);
    store.save(&record).unwrap();
    assert_eq!(inode(&path), first);
    record.generation += 1;
    store.save(&record).unwrap();
    assert_eq!(Store::open(dir.path()).load().0, [record.clone()]);
    // What somebody has deleted is written again.
    fs::remove_dir_all(dir.path().join("apps")).unwrap();
    store.save(&record).unwrap();
    assert_eq!(Store::open(dir.path()).load().0, [record]);
}

#[test]
fn what_is_no_record_is_set_aside_and_the_others_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let (store, apps) = (Store::open(dir.path()), dir.path().join("apps"));
    store.save(&record("good")).unwrap();
    store.save(&record("bad")).unwrap();
    let text = fs::read_to_string(apps.join("bad.json")).unwrap();
    let file = |name: &str, text: &[u8]| fs::write(apps.join(name), text).unwrap();
    file("bad.json", text.replace("192.168.122.21:8000", "192.168.122.21:8001").as_bytes());
    file("cut.json", &text.as_bytes()[..text.len() / 2]);
    file("empty.json", b"");
    file("binary.json", &[0, 159, 255]);
    file("newer.json", text.replace("\"version\": 1", "\"version\": 2").as_bytes());
    file("other.json", text.as_bytes());
    file("No Name.json", text.as_bytes());
    file("deep.json", "[".repeat(100_000).as_bytes());
    symlink("good.json", apps.join("link.json")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, apps.join("fifo.json"), rustix::fs::Mode::RUSR).unwrap();
    fs::create_dir(apps.join("dir.json")).unwrap();
    file("README", b"not ours, and left alone");
    let (records, problems) = store.load::<App>();
    assert_eq!(records.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(), ["good"]);
    let expected = [
        ("No Name", "is the record of `bad`"),
        ("bad", "does not fit its checksum"),
        ("binary", "is not JSON"),
        ("cut", "is not JSON"),
        ("deep", "is not JSON"),
        ("dir", "is not a regular file"),
        ("empty", "is not JSON"),
        ("fifo", "is not a regular file"),
        ("link", "is not a regular file"),
        ("newer", "has version 2; expected version 1"),
        ("other", "is the record of `bad`"),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, (name, why)) in problems.iter().zip(expected) {
        let text = problem.to_string();
        assert!(text.contains(&format!("{name}.json {why}")) && text.contains(&format!("set aside as {}", apps.display())), "{text}");
        assert!(apps.join(format!("{name}.json.corrupt")).symlink_metadata().is_ok() && !apps.join(format!("{name}.json")).exists());
    }
    assert!(store.load::<App>().1.is_empty());
    // A second one does not cover the first.
    file("empty.json", b"again");
    assert_eq!(store.load::<App>().1.len(), 1);
    assert_eq!(fs::read(apps.join("empty.json.corrupt.1")).unwrap(), b"again");
    assert_eq!(fs::read(apps.join("empty.json.corrupt")).unwrap(), b"");
    assert!(apps.join("README").exists());
}

#[test]
fn a_directory_that_cannot_be_used_is_an_error_and_works_once_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::write(&state, "in the way").unwrap();
    let store = Store::open(&state);
    let record = record("a");
    assert_eq!(store.load::<App>().1.len(), 1);
    let error = store.save(&record).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot make {}", state.join("apps").display()));
    fs::remove_file(&state).unwrap();
    store.save(&record).unwrap();
    assert_eq!(store.load::<App>().0.len(), 1);
}

#[test]
fn a_save_that_fails_leaves_the_old_record_and_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let old = record("a");
    store.save(&old).unwrap();
    let new = Record { generation: 9, ..old.clone() };
    // A directory in the temporary file's place, as unremovable for us as a full disk is unwritable.
    let block = dir.path().join("apps/.a.json.tmp");
    fs::create_dir(&block).unwrap();
    assert!(store.save(&new).is_err());
    assert_eq!(Store::open(dir.path()).load().0, [old]);
    fs::remove_dir(&block).unwrap();
    store.save(&new).unwrap();
    assert_eq!(Store::open(dir.path()).load().0, [new]);
}
