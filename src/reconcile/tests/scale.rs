//! What a change costs among many Apps: what it concerns, and no more.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc;

use tokio::runtime::Builder;

use super::*;
use crate::reconcile::keep::BATCH;
use crate::route::CompiledApp;

const APPS: usize = 2000;

/// What there is of each App, such that it differs if it was made again.
struct Made {
    /// Resource versions.
    said: BTreeMap<String, String>,
    /// Files of records.
    kept: BTreeMap<String, u64>,
    routes: BTreeMap<String, *const CompiledApp>,
}

impl Made {
    fn of(house: &House, snapshot: &Snapshot) -> Self {
        let inode = |name: &String| fs::metadata(records(house).join(format!("{name}.json"))).unwrap().ino();
        Self {
            said: snapshot.apps.iter().map(|(name, app)| (name.clone(), app.metadata.resource_version.clone())).collect(),
            kept: snapshot.apps.keys().map(|name| (name.clone(), inode(name))).collect(),
            routes: snapshot.listeners.apps().map(|app| (app.name.to_string(), Arc::as_ptr(app))).collect(),
        }
    }

    /// How much of this was made anew: resources, records, routes.
    fn since(&self, before: &Self) -> (usize, usize, usize) {
        (differing(&before.said, &self.said), differing(&before.kept, &self.kept), differing(&before.routes, &self.routes))
    }
}

fn differing<T: PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> usize {
    assert_eq!((before.len(), after.len()), (APPS, APPS));
    after.iter().filter(|(name, value)| before.get(*name) != Some(*value)).count()
}

fn gateway(listeners: &[(&str, u16)]) -> String {
    let listener = |(fields, port): &(&str, u16)| format!("{{{fields}, address: 127.0.0.1, port: {port}, protocol: HTTP}}");
    let listeners: Vec<_> = listeners.iter().map(listener).collect();
    format!("apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {{name: web}}\nspec: {{listeners: [{}]}}\n", listeners.join(", "))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_change_costs_what_it_concerns_however_many_apps_there_are() {
    let mut house = house_of(APPS);
    let (mut reconciler, reader) = house.reconciler();
    list(&mut reconciler, &house).await;
    let mut before = Made::of(&house, &reader.load());
    assert!(reader.load().apps.values().all(|app| is(app, ConditionType::Ready, Reason::Ready)));
    let mut cost = async |house: &House| {
        list(&mut reconciler, house).await;
        let after = Made::of(house, &reader.load());
        let cost = after.since(&before);
        before = after;
        cost
    };

    let text = house.manifest("app-7", "", "").replace("[app-7.example]", "[seven.example]");
    house.write("app-7.yaml", &text);
    assert_eq!(cost(&house).await, (1, 1, 1), "a manifest");
    assert_eq!(cost(&house).await, (0, 0, 0), "nothing");
    let (http, own, alt) = (free_port(), free_port(), free_port());
    house.write("web.yaml", &gateway(&[("name: http", http)]));
    // Where it can be reached is part of what is said of each.
    assert_eq!(cost(&house).await, (APPS, 0, 0), "the first Gateway");
    house.write("web.yaml", &gateway(&[("name: http", http), ("name: own, hostname: seven.example", own)]));
    assert_eq!(cost(&house).await, (1, 0, 0), "a listener for one App");
    house.write("web.yaml", &gateway(&[("name: http", http), ("name: own, hostname: seven.example", own), ("name: alt", alt)]));
    assert_eq!(cost(&house).await, (APPS, 0, 0), "a listener for all");
}

/// More than are kept together, though the last looks are under way.
const VERY_MANY: usize = 2 * BATCH + 50;

#[test]
fn a_few_apps_are_served_when_they_are_kept_and_very_many_before() {
    for (apps, waits) in [(10, true), (VERY_MANY, false)] {
        while_nothing_is_kept(async |let_go| {
            let house = house_of(apps);
            let (mut reconciler, _reader) = house.reconciler();
            reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
            look(&mut reconciler).await;
            assert_eq!(reconciler.is_servable(), !waits, "{apps}");
            reconciler.board.publish(&reconciler.entries, &reconciler.gateways);
            assert_eq!(reconciler.is_servable(), !waits, "{apps}");
            drop(let_go);
            reconciler.board.kept().await;
            assert!(reconciler.is_servable(), "{apps}");
        });
    }
}

#[test]
fn each_of_very_many_apps_is_said_to_be_programmed_when_it_is_kept_and_served_by_then() {
    while_nothing_is_kept(async |let_go| {
        let mut house = house_of(VERY_MANY);
        house.start();
        house.until("all are served", |now| (now.listeners.apps().count() == VERY_MANY).then_some(())).await;
        assert_eq!(programmed(&house.now()), [""; 0]);
        drop(let_go);
        let records = records(&house);
        let are_kept = |names: &[String]| names.iter().all(|name| records.join(format!("{name}.json")).exists());
        let kept = |now: &Snapshot| {
            let said = programmed(now);
            assert!(are_kept(&said), "{said:?}");
            (said.len() == VERY_MANY).then_some(())
        };
        house.until("all are kept", kept).await;
    });
}

fn house_of(apps: usize) -> House {
    let mut house = House::new();
    for number in 0..apps {
        let text = house.manifest(&format!("app-{number}"), "", "");
        house.write(&format!("app-{number}.yaml"), &text);
    }
    house
}

/// On a runtime whose one thread that may write is busy until the test lets go of what it is given.
fn while_nothing_is_kept(test: impl AsyncFnOnce(mpsc::Sender<()>)) {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (let_go, busy) = mpsc::channel();
        drop(tokio::task::spawn_blocking(move || busy.recv()));
        test(let_go).await;
    });
}

/// Looks at all that is to be looked at. Nothing is said.
async fn look(reconciler: &mut Reconciler) {
    let all = async {
        loop {
            reconciler.listen();
            let entries = &mut reconciler.entries;
            reconciler.agenda.start(reconciler.timing.counts(), |name| entries.get_mut(name).map(|entry| entry.job()));
            if reconciler.agenda.is_idle() {
                return;
            }
            let (name, seen) = reconciler.agenda.seen().await;
            reconciler.saw(&name, seen);
        }
    };
    tokio::time::timeout(PATIENCE * 10, all).await.expect("it settles");
}

/// Who is said to be programmed.
fn programmed(snapshot: &Snapshot) -> Vec<String> {
    let is_said = |app: &AppResource| is(app, ConditionType::Programmed, Reason::Programmed);
    snapshot.apps.iter().filter(|(_, app)| is_said(app)).map(|(name, _)| name.clone()).collect()
}

/// Where records are kept.
fn records(house: &House) -> PathBuf {
    house.dir.path().join("state/apps")
}

/// Gives it a listing, and waits until all is taken.
async fn list(reconciler: &mut Reconciler, house: &House) {
    reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
    reconciler.board.open();
    // Each record waits for the disk.
    settle_within(PATIENCE * 10, reconciler).await;
}
