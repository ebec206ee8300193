//! What an App costs in the table, and what a change and a look-up cost beside many others: counted in allocations and bytes, so that a slow
//! machine changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use http::{HeaderMap, Method};
use lxcproxy::api::v1::App;
use lxcproxy::compile::{Identity, compile};
use lxcproxy::manifest::{self, Object};
use lxcproxy::resolve::ResolvedApp;
use lxcproxy::route::{CompiledApp, Front, Listeners, MediaTypes, Request};
use lxcproxy::snapshot::{self, Publisher, Snapshot};

/// Few Apps, and many.
const FEW: usize = 10;
const MANY: usize = 10_000;

/// Bytes of the heap that a small App may take, its part of the table included.
const MOST_BYTES: i64 = 1_460;

/// Bytes of the heap that its manifest may take, as it was read.
const MOST_BYTES_WRITTEN: i64 = 1_420;

/// Allocations that a change among many may have beyond those among few: a persistent map is a few nodes deeper.
const MOST_MORE: u64 = 16;

const TEMPLATE: &str = "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: app}
spec:
  container: {name: blog}
  backends: [{name: web, http: {unix: /run/app.sock}}]
  rules:
  - matches: [{path: {value: /}}]
    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Revision, value: one}]}}]
    backendRefs: [{name: web}]
";

/// Apps that are served, each with a host of its own or all with one.
struct House {
    template: Arc<App>,
    media: Arc<MediaTypes>,
    shared: bool,
    listeners: Listeners,
    publisher: Publisher,
}

impl House {
    fn new(shared: bool, apps: usize) -> Self {
        let mut listeners = Listeners::default();
        listeners.set([Front { name: None, socket: socket(), hostname: None }]);
        let document = manifest::parse("a.yaml", TEMPLATE.as_bytes()).documents.into_iter().next().unwrap();
        let Ok(Object::App(template)) = document.result else { panic!("no App") };
        let mut house = Self { template, media: Arc::default(), shared, listeners, publisher: snapshot::channel().0 };
        for number in 0..apps {
            let app = house.build(&house.resolved(number));
            house.listeners.insert(&app);
        }
        house.publish();
        house
    }

    fn resolved(&self, number: usize) -> ResolvedApp {
        let host = if self.shared { "all".to_owned() } else { format!("app-{number}") };
        let mut app = App::clone(&self.template);
        app.metadata.name = format!("app-{number}").parse().unwrap();
        Arc::make_mut(&mut app.spec).hostnames = vec![format!("{host}.example.org").parse().unwrap()];
        Arc::make_mut(&mut app.spec).rules[0].matches[0].path.value = format!("/{number}");
        ResolvedApp::unseen(Arc::new(app), "/".into())
    }

    fn build(&self, resolved: &ResolvedApp) -> Arc<CompiledApp> {
        let name = &resolved.app.metadata.name;
        let before = self.listeners.app(name.as_str()).map(|app| &**app);
        Arc::new(compile(resolved, Identity { name, uid: "uid", generation: 1, first_seen: 1 }, &self.media, before).unwrap())
    }

    fn publish(&mut self) {
        self.publisher.publish(Snapshot { listeners: self.listeners.clone(), ..Snapshot::default() });
    }

    /// A change, from what was resolved to what is published.
    fn change(&mut self, resolved: &ResolvedApp) {
        let app = self.build(resolved);
        let mut listeners = self.listeners.clone();
        listeners.insert(&app);
        let told = (self.listeners.losers(&app.name), listeners.losers(&app.name), listeners.conflicts(&app.name));
        assert!(told.0.is_empty() && told.1.is_empty() && told.2.is_empty());
        self.listeners = listeners;
        self.publish();
    }

    fn look_up(&self, host: &str, path: &str) -> bool {
        let request = Request { host, path, query: None, method: &Method::GET, headers: &HeaderMap::new() };
        self.listeners.find(socket(), &request).is_ok()
    }
}

fn socket() -> SocketAddr {
    ([127, 0, 0, 1], 80).into()
}

fn cost_of_a_change(shared: bool, apps: usize) -> AllocationInfo {
    let mut house = House::new(shared, apps);
    let resolved = house.resolved(7);
    measure(|| house.change(&resolved))
}

#[test]
fn a_change_among_ten_thousand_apps_allocates_what_it_does_among_ten() {
    for shared in [false, true] {
        let (few, many) = (cost_of_a_change(shared, FEW), cost_of_a_change(shared, MANY));
        assert!(many.count_total <= few.count_total + MOST_MORE, "on one host: {shared}; {few:?}, {many:?}");
    }
}

#[test]
fn a_look_up_allocates_nothing_however_many_hosts_and_paths_there_are() {
    for (shared, host) in [(false, "app-7.example.org"), (true, "all.example.org")] {
        let house = House::new(shared, MANY);
        let mut answers = (false, true);
        let cost = measure(|| answers = (house.look_up(host, "/7/x"), house.look_up(host, "/none")));
        assert_eq!((answers, cost.count_total), ((true, false), 0), "{host}");
    }
}

#[test]
fn a_small_app_takes_little_of_the_heap() {
    let mut house = House::new(false, 0);
    let resolved: Vec<_> = (0..MANY).map(|number| house.resolved(number)).collect();
    let cost = measure(|| {
        for resolved in &resolved {
            let app = house.build(resolved);
            house.listeners.insert(&app);
        }
    });
    let each = cost.bytes_current / i64::try_from(MANY).unwrap();
    assert!(each <= MOST_BYTES, "{each} bytes per App");
}

#[test]
fn a_small_manifest_takes_little_of_the_heap_once_it_is_read() {
    let read = || manifest::parse("a.yaml", TEMPLATE.as_bytes());
    // What the first one makes stays for all: the schema.
    let mut kept = vec![read()];
    kept.reserve(1);
    let cost = measure(|| kept.push(read()));
    assert!(cost.bytes_current <= MOST_BYTES_WRITTEN, "{} bytes", cost.bytes_current);
}
