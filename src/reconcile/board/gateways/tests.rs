//! What a snapshot shows of Gateways.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::*;
use crate::api::v1::{ConditionType, Conditions, GatewayResource, ListenerStatus, Reason};
use crate::compile::{self, Identity};
use crate::reconcile::desired::Desired;
use crate::reconcile::fault::TRIPWIRE;
use crate::reconcile::gateways::{Gateways, Listening};
use crate::resolve::ResolvedApp;
use crate::route::CompiledApp;
use crate::snapshot::{self, Reader};
use crate::state::{Record, Store};

/// A board and Gateways, without a loop around them.
struct Setup {
    board: Board,
    gateways: Gateways,
    reader: Reader,
    _state: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let (publisher, reader) = snapshot::channel();
        let (board, ..) = Board::new(publisher, Store::open(state.path()));
        let listening = Listening { address: ([127, 0, 0, 1], 0).into(), threads: 1 };
        let mut this = Self { board, gateways: Gateways::new(listening, Vec::new()), reader, _state: state };
        this.board.open();
        this.look();
        this
    }

    fn look(&mut self) {
        if let Some(change) = self.gateways.look(Instant::now()) {
            self.board.note_gateways(change.gateways);
            self.board.listen(self.gateways.parents().fronts.clone(), self.gateways.sockets().clone());
        }
    }

    fn want(&mut self, listeners: &str) {
        self.want_with("", listeners);
    }

    /// `metadata` is more of it, in flow style.
    fn want_with(&mut self, metadata: &str, listeners: &str) {
        let text = format!(
            "apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {{name: web, {metadata}}}\nspec: {{listeners: [{listeners}]}}\n"
        );
        let object = Ok(Arc::new(serde_yaml::from_str(&text).unwrap()));
        let desired = Desired { file: "web.yaml".to_owned(), base: PathBuf::from("/"), line: 1, named: (1, 1), object };
        let first = |name: &AppName, file: &str| Record {
            name: name.clone(),
            uid: "uid".into(),
            first_seen: 1,
            file: file.to_owned(),
            generation: 0,
            newer: None,
            good: None,
            transitions: BTreeMap::new(),
        };
        self.gateways.list(BTreeMap::from([("web".parse().unwrap(), desired)]), Vec::new(), first);
        self.look();
    }

    async fn shown(&mut self) -> Arc<GatewayResource> {
        let entries = BTreeMap::new();
        while !self.board.is_settled() {
            self.board.publish(&entries, &self.gateways);
            self.board.kept().await;
        }
        self.reader.load().gateways["web"].clone()
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn listener(name: &str, address: SocketAddr) -> String {
    format!("{{name: {name}, address: {}, port: {}, protocol: HTTP}}", address.ip(), address.port())
}

fn app(name: &str, section: &str) -> CompiledApp {
    let spec = format!("{{parentRefs: [{{name: web, sectionName: {section}}}], rules: [{{}}]}}");
    let text = format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec: {spec}\n");
    let resolved = ResolvedApp::unseen(Arc::new(serde_yaml::from_str(&text).unwrap()), PathBuf::from("/"));
    compile::compile(&resolved, Identity { name: &name.parse().unwrap(), uid: "", generation: 1, first_seen: 1 }, &Arc::default(), None)
        .unwrap()
}

fn of(listener: &ListenerStatus, type_: ConditionType) -> &Reason {
    &listener.condition(type_).unwrap().reason
}

#[tokio::test]
async fn every_listener_says_where_it_listens_and_how_many_apps_it_leads_to() {
    let mut setup = Setup::new();
    let (one, two) = (free(), free());
    setup.want(&[listener("one", one), listener("two", two)].join(", "));
    for (name, section) in [("a", "one"), ("b", "one"), ("c", "two")] {
        setup.board.route(app(name, section));
    }
    let shown = setup.shown().await;
    assert_eq!((shown.kind.as_str(), &*shown.metadata.uid, shown.status.served_generation), ("Gateway", "uid", Some(1)));
    let listeners: Vec<_> =
        shown.status.listeners.iter().map(|found| (found.name.as_str(), &*found.address, found.attached_apps)).collect();
    assert_eq!(listeners, [("one", &*one.to_string(), 2), ("two", &*two.to_string(), 1)]);
    setup.board.remove("b".parse().unwrap());
    assert_eq!(setup.shown().await.status.listeners[0].attached_apps, 1);
}

#[tokio::test]
async fn a_listener_says_on_its_own_why_it_does_not_listen() {
    let mut setup = Setup::new();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    setup.want(&[listener("free", free()), listener("busy", busy.local_addr().unwrap())].join(", "));
    let shown = setup.shown().await;
    let [free, busy] = &shown.status.listeners[..] else { panic!("{shown:?}") };
    assert_eq!((of(free, ConditionType::Accepted), of(free, ConditionType::Programmed)), (&Reason::Accepted, &Reason::Programmed));
    assert_eq!((of(busy, ConditionType::Accepted), of(busy, ConditionType::Programmed)), (&Reason::Accepted, &Reason::PortUnavailable));
    assert_eq!(shown.status.condition(ConditionType::Ready).unwrap().reason, Reason::PortUnavailable);
}

#[tokio::test]
async fn a_gateway_that_cannot_be_described_says_so_and_goes_on() {
    let mut setup = Setup::new();
    let address = free();
    setup.want(&listener("http", address));
    assert_eq!(setup.shown().await.status.condition(ConditionType::Ready).unwrap().reason, Reason::Ready);
    setup.want_with(&format!("annotations: {{{TRIPWIRE}: describe}}"), &listener("http", address));
    let shown = setup.shown().await;
    let programmed = shown.status.condition(ConditionType::Programmed).unwrap();
    assert!(programmed.reason == Reason::InternalError && programmed.message.contains("tripped in describe"), "{shown:#?}");
    assert!(shown.spec.is_some() && setup.reader.load().sockets.contains_key(&address), "{shown:#?}");
    setup.want(&listener("http", address));
    assert_eq!(setup.shown().await.status.condition(ConditionType::Ready).unwrap().reason, Reason::Ready);
}

#[tokio::test]
async fn listeners_and_their_sockets_are_published_together() {
    let mut setup = Setup::new();
    let address = free();
    setup.want(&listener("http", address));
    setup.shown().await;
    let snapshot = setup.reader.load();
    assert_eq!(snapshot.sockets.keys().collect::<Vec<_>>(), [&address]);
    assert_eq!(snapshot.listeners.fronts().map(|front| front.socket).collect::<Vec<_>>(), [address]);
}
