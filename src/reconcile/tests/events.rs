//! What is told: an event and a log line for each change, and none without one.

use std::io;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::api::v1::EventType;

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

/// What a thread logs comes to its [`Log`] while this lives.
struct Logging {
    _here: tracing::subscriber::DefaultGuard,
    /// While there is one dispatcher only, tracing asks the current thread's whether a line is of interest, and remembers the answer
    /// for all: a thread without one would switch it off.
    _beside: tracing::Dispatch,
}

impl Log {
    /// The log of this thread, from now on.
    fn start() -> (Self, Logging) {
        let log = Self::default();
        let subscriber = || tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        let logging = Logging { _beside: tracing::Dispatch::new(subscriber()), _here: tracing::subscriber::set_default(subscriber()) };
        (log, logging)
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).lines().map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Type, reason and message of each event of an object.
fn told(events: &[Arc<Event>]) -> Vec<(EventType, Reason, &str)> {
    events.iter().map(|event| (event.type_, event.reason, event.message.as_str())).collect()
}

#[tokio::test]
async fn an_app_tells_of_its_life_from_the_first_sight_to_the_removal() {
    let mut house = House::new();
    let (text, other) = (house.manifest("a", "", ""), house.manifest("other", "", ""));
    house.write("a.yaml", &text);
    house.write("other.yaml", &other);
    house.start();
    house.ready("a", 1).await;
    house.put("a.yaml", &text.replace("/www", "/later"));
    house.app("a", |app| is(app, ConditionType::Programmed, Reason::LastKnownGood)).await;
    fs::create_dir(house.root().join("later")).unwrap();
    house.ready("a", 2).await;
    house.erase("a.yaml");
    house.list();
    house.until("gone", |now| (!now.apps.contains_key("a")).then_some(())).await;
    let events = house.events("a");
    let short: Vec<_> = told(&events).into_iter().map(|(type_, reason, _)| (type_, reason)).collect();
    let wanted = [
        (EventType::Normal, Reason::Programmed),
        (EventType::Warning, Reason::LastKnownGood),
        (EventType::Warning, Reason::RootNotFound),
        (EventType::Normal, Reason::Programmed),
        // `everything is in order` came before: it is the same event again.
        (EventType::Normal, Reason::Ready),
        (EventType::Normal, Reason::Removed),
    ];
    assert_eq!(short, wanted, "{events:#?}");
    assert_eq!(events[4].count, 2);
    for event in &events {
        assert_eq!((event.involved_object.kind.as_str(), event.kind.as_str()), ("App", "Event"));
        assert!(event.metadata.name.starts_with("a.") && event.last_timestamp >= event.first_timestamp, "{event:?}");
        assert!(event.metadata.resource_version.parse::<u64>().unwrap() <= house.now().revision, "{event:?}");
    }
}

#[tokio::test]
async fn a_change_is_one_line_and_one_event_and_a_resync_is_neither() {
    let (log, _logging) = Log::start();
    let mut house = House::new();
    let (a, b) = (house.manifest("a", "", ""), house.manifest("b", "", "").replace("rules", "rulez"));
    house.write("a.yaml", &a);
    house.write("b.yaml", &b);
    house.write("c.yaml", "kind: [");
    let (mut reconciler, reader) = house.reconciler();
    reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
    reconciler.board.open();
    settle(&mut reconciler).await;
    let lines = log.lines();
    // Programmed and Ready of each of the three; Ready and Watching of the source.
    assert_eq!((lines.len(), reader.load().events.len()), (8, 8), "{lines:#?}");
    for _ in 0..5 {
        // As SIGHUP and the clock do; and a look at each App, as an event in its container does.
        reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
        reconciler.look_at_all();
        settle(&mut reconciler).await;
    }
    assert_eq!(log.lines()[lines.len()..], [""; 0]);
    assert_eq!(reader.load().events.len(), 8);
    let file = house.dir.path().join("state/apps/a.json");
    assert!(fs::metadata(file).is_ok());
    house.write("a.yaml", &a.replace("/www", "/later"));
    reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
    settle(&mut reconciler).await;
    let new = log.lines().split_off(lines.len());
    assert_eq!(new.len(), 2, "{new:#?}");
    assert!(new.iter().all(|line| line.contains("WARN") && line.contains("app=\"a\"") && line.contains("file=\"a.yaml\"")), "{new:#?}");
    assert!(new[0].contains("condition=Programmed status=False reason=LastKnownGood"), "{new:#?}");
}

#[tokio::test]
async fn what_cannot_be_kept_on_disk_is_said_and_kept_when_that_can_be_done() {
    let mut house = House::new();
    let text = house.manifest("a", "", "");
    house.write("a.yaml", &text);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let spec = format!("{{listeners: [{{name: http, address: 127.0.0.1, port: {port}, protocol: HTTP}}]}}");
    house.write("web.yaml", &format!("apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {{name: web}}\nspec: {spec}\n"));
    let state = house.dir.path().join("state");
    fs::write(&state, "in the way").unwrap();
    let (mut reconciler, reader) = house.reconciler();
    reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
    reconciler.board.open();
    let of = |name: &str| {
        let events: Vec<_> = reader.load().events.iter().filter(|event| event.involved_object.name == name).cloned().collect();
        let of_disk = |event: &&Arc<Event>| matches!(event.reason, Reason::StateNotKept | Reason::StateKept);
        events.iter().filter(of_disk).map(|event| (event.type_, event.reason, event.count)).collect::<Vec<_>>()
    };
    let not_kept = (EventType::Warning, Reason::StateNotKept, 1);
    for _ in 0..3 {
        settle(&mut reconciler).await;
        assert_eq!((of("a"), of("web")), (vec![not_kept], vec![not_kept]));
        reconciler.look_at_all();
    }
    assert!(is(&reader.load().apps["a"], ConditionType::Ready, Reason::Ready), "it is served all the same");
    fs::remove_file(&state).unwrap();
    settle(&mut reconciler).await;
    let kept = (EventType::Normal, Reason::StateKept, 1);
    assert_eq!((of("a"), of("web")), (vec![not_kept, kept], vec![not_kept, kept]));
    assert!(state.join("apps/a.json").exists() && state.join("gateways/web.json").exists());
}

#[tokio::test]
async fn an_app_that_is_gone_and_could_not_be_forgotten_is_forgotten_later() {
    let mut house = House::new();
    let (a, b) = (house.manifest("a", "", ""), house.manifest("b", "", ""));
    house.write("a.yaml", &a);
    house.write("b.yaml", &b);
    let (mut reconciler, reader) = house.reconciler();
    reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
    reconciler.board.open();
    settle(&mut reconciler).await;
    // A directory can't be removed as a file is.
    let file = house.dir.path().join("state/apps/a.json");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    house.erase("a.yaml");
    reconciler.list(&house.manifests(), &Arc::new(house.listing.clone()));
    settle(&mut reconciler).await;
    assert!(reader.load().events.iter().any(|event| event.reason == Reason::StateNotKept && event.involved_object.name == "a"));
    fs::remove_dir(&file).unwrap();
    fs::write(&file, "").unwrap();
    reconciler.look_at_all();
    settle(&mut reconciler).await;
    assert!(!file.exists());
    assert!(reader.load().events.iter().any(|event| event.reason == Reason::StateKept && event.involved_object.name == "a"));
    assert!(!reader.load().apps.contains_key("a"));
}

#[tokio::test]
async fn a_manifest_that_belongs_to_no_app_tells_of_itself() {
    let mut house = House::with(&[("x.yaml", "kind: [")]);
    house.until("a stray", |now| now.apps.values().next().map(|_| ())).await;
    let events = house.events("x.yaml");
    assert_eq!(told(&events)[1].1, Reason::Invalid, "{events:#?}");
    assert!(events[1].message.starts_with("Accepted: x.yaml:1:"), "{events:#?}");
}
