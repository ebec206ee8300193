//! What a change costs among many Apps: what it concerns, and no more.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;

use super::*;
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
        let inode = |name: &String| fs::metadata(house.dir.path().join(format!("state/apps/{name}.json"))).unwrap().ino();
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
    let mut house = House::new();
    for number in 0..APPS {
        let text = house.manifest(&format!("app-{number}"), "", "");
        house.write(&format!("app-{number}.yaml"), &text);
    }
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

/// Gives it a listing, and waits until all is taken.
async fn list(reconciler: &mut Reconciler, house: &House) {
    reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
    reconciler.board.open();
    // Each record waits for the disk.
    settle_within(PATIENCE * 10, reconciler).await;
}
