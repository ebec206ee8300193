//! Gateways over several listings, with real ports of 127.0.0.0/8.

mod faults;

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::api::v1::{ConditionStatus, ConditionType, Reason};
use crate::reconcile::refusal::Refusal;
use crate::reconcile::step::Claim;
use crate::state::{Good, new_uid};

/// Gateways, and the time as it is told to them.
struct Setup {
    gateways: Gateways,
    now: Instant,
}

fn listening() -> Listening {
    Listening { address: ([127, 0, 0, 1], 0).into(), threads: 1 }
}

fn first(name: &AppName, file: &str) -> Record<Gateway> {
    // The older by name.
    let first_seen = u64::from(name.as_str().as_bytes()[0]);
    Record {
        name: name.clone(),
        uid: new_uid().into(),
        first_seen,
        file: file.to_owned(),
        generation: 0,
        newer: None,
        good: None,
        transitions: BTreeMap::new(),
    }
}

/// `listeners`: name, port, more fields.
fn desired(name: &str, listeners: &[(&str, u16, &str)]) -> Desired<Gateway> {
    let listener = |(name, port, more): &(&str, u16, &str)| {
        let address = if more.contains("address") { "" } else { ", address: 127.0.0.1" };
        format!("{{name: {name}, port: {port}, protocol: HTTP{address}{more}}}")
    };
    let listeners: Vec<_> = listeners.iter().map(listener).collect();
    let text = format!(
        "apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {{name: {name}}}\nspec: {{listeners: [{}]}}\n",
        listeners.join(", ")
    );
    Desired {
        file: format!("{name}.yaml"),
        line: 1,
        named: (1, 1),
        base: PathBuf::from("/"),
        object: Ok(Arc::new(serde_yaml::from_str(&text).unwrap())),
    }
}

fn refused(name: &str) -> Desired<Gateway> {
    let file = format!("{name}.yaml");
    let refusal = Refusal::one(Reason::Invalid, (&file, 1, 1), "", "no".to_owned());
    Desired { file, line: 1, named: (1, 1), base: PathBuf::from("/"), object: Err(refusal) }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

impl Setup {
    fn new(records: Vec<Record<Gateway>>) -> Self {
        let mut this = Self { gateways: Gateways::new(listening(), records), now: Instant::now() };
        this.gateways.look(this.now);
        this
    }

    fn want(&mut self, name: &str, desired: Desired<Gateway>) -> Option<Change> {
        let name: AppName = name.parse().unwrap();
        self.gateways.list(BTreeMap::from([(name, desired)]), Vec::new(), first);
        self.gateways.look(self.now)
    }

    fn remove(&mut self, name: &str) {
        self.gateways.list(BTreeMap::new(), vec![name.parse().unwrap()], first);
        self.gateways.look(self.now);
    }

    fn fronts(&self) -> Vec<String> {
        self.gateways.parents().fronts.iter().map(Front::to_string).collect()
    }

    fn claim(&self, name: &str, type_: ConditionType) -> Claim {
        let entry = self.gateways.entry(&name.parse().unwrap()).unwrap();
        entry.claims.iter().find(|claim| claim.type_ == type_).unwrap().clone()
    }

    fn reason(&self, name: &str, type_: ConditionType) -> Reason {
        self.claim(name, type_).reason
    }

    fn missing(&self, name: &str) -> Vec<Reason> {
        let entry = self.gateways.entry(&name.parse().unwrap()).unwrap();
        entry.listeners().iter().filter_map(|listener| listener.missing.as_ref()).map(|missing| missing.reason).collect()
    }
}

#[test]
fn without_a_gateway_the_command_line_listens_and_with_the_last_one_gone_again() {
    let mut setup = Setup::new(Vec::new());
    let own = *setup.gateways.sockets().keys().next().unwrap();
    assert_eq!((setup.fronts(), is_open(own.port())), (vec!["--listen".to_owned()], true));
    let port = free_port();
    setup.want("web", desired("web", &[("http", port, "")]));
    assert_eq!((setup.fronts(), is_open(port), is_open(own.port())), (vec!["web/http".to_owned()], true, false));
    assert_eq!(setup.reason("web", ConditionType::Ready), Reason::Ready);
    setup.remove("web");
    assert_eq!(setup.fronts(), ["--listen"]);
    let again = *setup.gateways.sockets().keys().next().unwrap();
    assert_eq!((is_open(port), is_open(again.port())), (false, true));
}

#[test]
fn an_update_leaves_the_sockets_alone_that_stay() {
    let mut setup = Setup::new(Vec::new());
    let (one, two, three) = (free_port(), free_port(), free_port());
    setup.want("web", desired("web", &[("http", one, ""), ("old", two, "")]));
    let before = setup.gateways.sockets().clone();
    setup.want("web", desired("web", &[("http", one, ", hostname: a.test"), ("new", three, "")]));
    let after = setup.gateways.sockets().clone();
    let address = ([127, 0, 0, 1], one).into();
    assert!(before[&address].is_same(&after[&address]));
    drop(before);
    assert_eq!((is_open(two), is_open(three)), (false, true));
    assert_eq!(setup.gateways.entry(&"web".parse().unwrap()).unwrap().record.generation, 2);
}

#[test]
fn a_first_generation_is_served_with_the_listeners_that_can_be_bound_and_the_rest_heals() {
    let mut setup = Setup::new(Vec::new());
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let (free, taken) = (free_port(), busy.local_addr().unwrap().port());
    setup.want("web", desired("web", &[("http", free, ""), ("alt", taken, "")]));
    assert_eq!((is_open(free), setup.missing("web")), (true, vec![Reason::PortUnavailable]));
    assert_eq!(setup.reason("web", ConditionType::Programmed), Reason::Programmed);
    assert_eq!(setup.claim("web", ConditionType::ResolvedRefs).status, ConditionStatus::False);
    let said = setup.claim("web", ConditionType::ResolvedRefs).message;
    assert_eq!(said, format!("port {taken} on 127.0.0.1 can't be listened on: address in use"));
    assert_eq!(setup.reason("web", ConditionType::PartiallyResolved), Reason::PartiallyResolved);
    assert_eq!(setup.fronts(), ["web/http", "web/alt"], "Apps may attach to what opens later");
    drop(busy);
    assert!(setup.gateways.look(setup.now).is_none(), "it is not time yet");
    setup.now = setup.gateways.next_due().unwrap();
    assert!(setup.gateways.look(setup.now).unwrap().listeners);
    assert_eq!((is_open(taken), setup.missing("web"), setup.gateways.next_due()), (true, Vec::new(), None));
    assert_eq!(setup.reason("web", ConditionType::Ready), Reason::Ready);
}

#[test]
fn an_update_to_a_port_that_is_taken_keeps_what_works_until_it_is_free() {
    let mut setup = Setup::new(Vec::new());
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let (old, taken, other) = (free_port(), busy.local_addr().unwrap().port(), free_port());
    setup.want("web", desired("web", &[("http", old, "")]));
    setup.want("web", desired("web", &[("http", taken, ""), ("more", other, "")]));
    assert_eq!((is_open(old), is_open(other)), (true, false), "what waits is not opened");
    let programmed = setup.claim("web", ConditionType::Programmed);
    assert_eq!(programmed.reason, Reason::LastKnownGood);
    let parts = ["generation 1 is served", "generation 2 waits", &format!("port {taken} on 127.0.0.1")];
    assert!(parts.iter().all(|part| programmed.message.contains(part)), "{}", programmed.message);
    drop(busy);
    setup.now = setup.gateways.next_due().unwrap();
    setup.gateways.look(setup.now);
    assert_eq!((is_open(old), is_open(taken), is_open(other)), (false, true, true));
    assert_eq!(setup.reason("web", ConditionType::Ready), Reason::Ready);
}

#[test]
fn the_pause_between_two_attempts_doubles_and_a_new_manifest_ends_it() {
    let mut setup = Setup::new(Vec::new());
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = busy.local_addr().unwrap().port();
    setup.want("web", desired("web", &[("http", taken, "")]));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let due = setup.gateways.next_due().unwrap();
        pauses.push((due - setup.now).as_millis());
        setup.now = due;
        setup.gateways.look(setup.now);
    }
    assert_eq!(pauses, [5, 10, 20, 40]);
    setup.want("web", desired("web", &[("http", taken, ", hostname: a.test")]));
    assert_eq!(setup.gateways.next_due().unwrap() - setup.now, Duration::from_millis(5));
}

#[test]
fn while_no_gateway_has_a_port_the_command_line_keeps_its_own() {
    let mut setup = Setup::new(Vec::new());
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    setup.want("web", desired("web", &[("http", busy.local_addr().unwrap().port(), "")]));
    assert_eq!(setup.fronts(), ["web/http", "--listen"]);
    assert_eq!(setup.gateways.sockets().len(), 1);
}

#[test]
fn a_command_line_that_cannot_be_bound_is_tried_again() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let mut gateways = Gateways::new(Listening { address, threads: 1 }, Vec::new());
    gateways.look(Instant::now());
    assert!(gateways.sockets().is_empty());
    assert_eq!(gateways.parents().fronts.len(), 1, "Apps are served, once somebody can come");
    drop(busy);
    let due = gateways.next_due().unwrap();
    assert!(gateways.look(due).unwrap().listeners);
    assert!(is_open(address.port()));
}

#[test]
fn two_gateways_share_a_port_if_their_hosts_differ() {
    let mut setup = Setup::new(Vec::new());
    let port = free_port();
    setup.want("a", desired("a", &[("http", port, ", hostname: a.test")]));
    setup.want("b", desired("b", &[("http", port, "")]));
    assert_eq!((setup.missing("a"), setup.missing("b")), (Vec::new(), Vec::new()));
    assert_eq!((setup.fronts().len(), setup.gateways.sockets().len()), (2, 1));
}

#[test]
fn of_two_listeners_with_one_address_and_host_the_older_gateways_is_kept() {
    let mut setup = Setup::new(Vec::new());
    let port = free_port();
    setup.want("b", desired("b", &[("http", port, "")]));
    setup.want("a", desired("a", &[("web", port, "")]));
    assert_eq!((setup.missing("a"), setup.missing("b")), (Vec::new(), vec![Reason::ListenerConflict]));
    let said = setup.claim("b", ConditionType::Ready).message;
    assert!(said.contains("listener `b/http`: the older `a/web` is for any host on 127.0.0.1:"), "{said}");
    assert_eq!(setup.fronts(), ["a/web"]);
    setup.remove("a");
    assert_eq!((setup.missing("b"), setup.fronts()), (Vec::new(), vec!["b/http".to_owned()]));
}

#[test]
fn an_address_within_another_is_bound_beside_it() {
    let mut setup = Setup::new(Vec::new());
    let port = free_port();
    setup.want("a", desired("a", &[("all", port, ", address: 0.0.0.0")]));
    setup.want("b", desired("b", &[("one", port, "")]));
    assert_eq!((setup.missing("b"), setup.gateways.sockets().len()), (Vec::new(), 2));
}

#[test]
fn the_last_good_generation_of_an_earlier_run_listens_whatever_its_file_has_become() {
    let mut setup = Setup::new(Vec::new());
    let port = free_port();
    setup.want("web", desired("web", &[("http", port, "")]));
    let record = setup.gateways.entry(&"web".parse().unwrap()).unwrap().record.clone();
    drop(setup);
    let mut setup = Setup::new(vec![record.clone()]);
    assert!(is_open(port), "before its file was read");
    assert_eq!(setup.reason("web", ConditionType::Accepted), Reason::Pending);
    setup.want("web", refused("web"));
    assert!(is_open(port));
    assert_eq!(setup.reason("web", ConditionType::Programmed), Reason::LastKnownGood);
    assert_eq!(setup.gateways.entry(&"web".parse().unwrap()).unwrap().record, record);
}

#[test]
fn a_refused_gateway_that_never_was_good_opens_nothing() {
    let mut setup = Setup::new(Vec::new());
    let change = setup.want("web", refused("web")).unwrap();
    assert_eq!(change.gateways.len(), 1);
    assert_eq!((setup.fronts(), setup.reason("web", ConditionType::Ready)), (vec!["--listen".to_owned()], Reason::Invalid));
}

#[test]
fn nothing_new_is_nothing_done() {
    let mut setup = Setup::new(Vec::new());
    let gateway = desired("web", &[("http", free_port(), "")]);
    assert!(setup.want("web", gateway.clone()).is_some());
    assert!(setup.want("web", gateway.clone()).is_none());
    let moved = setup.want("web", Desired { file: "moved.yaml".to_owned(), ..gateway }).unwrap();
    assert!(!moved.listeners && moved.gateways.len() == 1);
}

#[test]
fn an_address_is_listened_on_as_its_gateways_say_and_as_the_stricter_if_there_are_two() {
    let mut setup = Setup::new(Vec::new());
    let port = free_port();
    let with = |name: &str, more: &str, spec: &str| {
        let mut desired = desired(name, &[("web", port, more)]);
        let said: serde_json::Value = serde_yaml::from_str(&format!("{{{spec}}}")).unwrap();
        let gateway = Arc::get_mut(desired.object.as_mut().unwrap()).unwrap();
        let mut value = serde_json::to_value(&gateway.spec).unwrap();
        value.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        gateway.spec = serde_json::from_value(value).unwrap();
        desired
    };
    let options = |setup: &Setup| setup.gateways.sockets().values().map(|open| open.options.clone()).collect::<Vec<_>>();
    assert_eq!(*options(&setup)[0], Options::default(), "the command line's");
    setup.want("a", with("a", "", "trustedProxies: [10.0.0.0/8], limits: {connections: 9}"));
    assert_eq!(options(&setup)[0].limits.connections, Some(9));
    let change = setup.want("a", with("a", "", "trustedProxies: [10.0.0.0/8], limits: {connections: 8}")).unwrap();
    assert!(change.listeners, "new limits are news to the threads");
    assert_eq!(options(&setup)[0].limits.connections, Some(8));
    setup.want("b", with("b", ", hostname: b.test", "trustedProxies: [10.1.0.0/16, 192.0.2.0/24], limits: {connectionsPerClient: 3}"));
    let both = &options(&setup)[0];
    assert_eq!((both.limits.connections, both.limits.connections_per_client), (Some(8), Some(3)));
    assert!(both.trusted.contains([10, 1, 0, 1].into()) && !both.trusted.contains([192, 0, 2, 1].into()));
    setup.want("b", with("b", ", hostname: b.test, proxyProtocol: true", ""));
    assert_eq!(setup.reason("b", ConditionType::Programmed), Reason::LastKnownGood);
    assert!(!options(&setup)[0].proxy_protocol);
}
