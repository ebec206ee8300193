//! The loop as a whole, without a daemon: listings go in, snapshots come out.
//!
//! In: manifests as text. Out: a [`House`] that runs the real [`Reconciler`] over real directories. Never: a wait without a deadline.

mod conditions;
mod events;
mod faults;
mod identity;
mod names;
mod rules;
mod scale;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::api::v1::{AppResource, ConditionStatus, ConditionType, Conditions, Event, Reason};
use crate::snapshot::{self, Reader, Snapshot};
use crate::source::{FileContent, Listing, Relist};

/// How long anything may take; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A control plane with a state directory, a container that is a directory, and a manifest directory that exists in listings only.
struct House {
    dir: tempfile::TempDir,
    /// What the next listing says.
    listing: Listing,
    allow_empty: bool,
    running: Option<Running>,
}

struct Running {
    listings: mpsc::UnboundedSender<Arc<Listing>>,
    reader: Reader,
    control: JoinHandle<()>,
}

/// A source that says what it is told.
struct Told {
    listings: mpsc::UnboundedReceiver<Arc<Listing>>,
    path: PathBuf,
}

impl Source for Told {
    async fn next(&mut self) -> Arc<Listing> {
        match self.listings.recv().await {
            Some(listing) => listing,
            None => std::future::pending().await,
        }
    }

    fn relist(&self) -> Relist {
        Relist::default()
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl House {
    /// A house that does not run yet, with `/www` in its container.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/www")).unwrap();
        Self { dir, listing: Listing::default(), allow_empty: false, running: None }
    }

    /// A house that runs, with these files.
    fn with(files: &[(&str, &str)]) -> Self {
        let mut house = Self::new();
        for (file, text) in files {
            house.write(file, text);
        }
        house.start();
        house
    }

    /// A manifest of an App that has one rule, for files. `metadata` and `spec` are more of each, in flow style.
    fn manifest(&self, name: &str, metadata: &str, spec: &str) -> String {
        format!(
            "apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}, {metadata}}}\n\
            spec: {{container: {{runtime: Directory, rootfs: {}}}, hostnames: [{name}.example], rules: [{{files: {{root: /www}}}}], {spec}}}\n",
            self.root().display()
        )
    }

    /// The container's root.
    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn write(&mut self, file: &str, text: &str) {
        let content = FileContent { bytes: Ok(text.as_bytes().into()), path: self.manifests().join(file) };
        self.listing.files.insert(file.into(), Arc::new(content));
    }

    fn erase(&mut self, file: &str) {
        self.listing.files.remove(file).unwrap();
    }

    fn manifests(&self) -> PathBuf {
        self.dir.path().join("manifests")
    }

    fn store(&self) -> Store {
        Store::open(&self.dir.path().join("state"))
    }

    /// A control plane that nobody runs yet.
    fn reconciler(&self) -> (Reconciler, Reader) {
        let (publisher, reader) = snapshot::channel();
        let runtimes = Arc::new(Runtimes::new(Some(self.dir.path().join("lxc"))));
        let listening = Listening { address: ([127, 0, 0, 1], 0).into(), threads: 1 };
        let starts = Starts::new(Some(self.dir.path().join("lxc")));
        (Reconciler::new(runtimes, Watcher::new(), starts, self.store(), publisher, listening, self.allow_empty), reader)
    }

    /// Starts it, and gives it the first listing.
    fn start(&mut self) {
        let (reconciler, reader) = self.reconciler();
        let (sender, listings) = mpsc::unbounded_channel();
        let control = tokio::spawn(reconciler.run(Told { listings, path: self.manifests() }));
        self.running = Some(Running { listings: sender, reader, control });
        self.list();
    }

    /// Ends it where it stands, and starts it again.
    async fn restart(&mut self) {
        self.stop().await;
        self.start();
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.control.abort();
            let _ = running.control.await;
        }
    }

    /// Gives it a listing of what was written.
    fn list(&mut self) {
        self.running.as_ref().unwrap().listings.send(Arc::new(self.listing.clone())).unwrap();
    }

    /// Writes and lists.
    fn put(&mut self, file: &str, text: &str) {
        self.write(file, text);
        self.list();
    }

    /// Waits for a snapshot that shows what is wanted.
    async fn until<T>(&mut self, what: &str, wanted: impl Fn(&Snapshot) -> Option<T>) -> T {
        let reader = &mut self.running.as_mut().unwrap().reader;
        let found = async {
            loop {
                let now = reader.load();
                if let Some(found) = wanted(&now) {
                    return found;
                }
                reader.newer_than(now.revision).await.expect("the control plane has ended");
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await.ok();
        found.unwrap_or_else(|| panic!("{what}: not within {PATIENCE:?}; there is {:#?}", self.now().apps))
    }

    /// The picture of now.
    fn now(&self) -> Arc<Snapshot> {
        self.running.as_ref().unwrap().reader.load()
    }

    /// Waits for an App as wanted.
    async fn app(&mut self, name: &str, wanted: impl Fn(&AppResource) -> bool) -> Arc<AppResource> {
        self.until(name, |now| now.apps.get(name).filter(|app| wanted(app)).cloned()).await
    }

    /// Waits for an App that is ready in this generation.
    async fn ready(&mut self, name: &str, generation: u64) -> Arc<AppResource> {
        self.app(name, |app| is(app, ConditionType::Ready, Reason::Ready) && app.metadata.generation == generation).await
    }

    /// Waits until everything that was listed before is taken.
    async fn settled(&mut self) {
        for round in 0..2 {
            let marker = self.manifest("marker", &format!("labels: {{round: \"{round}\"}}"), "");
            self.put("zz-marker.yaml", &marker);
            self.app("marker", |app| app.metadata.labels.get("round").is_some_and(|label| *label == round.to_string())).await;
        }
        self.erase("zz-marker.yaml");
        self.list();
        self.until("no marker", |now| (!now.apps.contains_key("marker")).then_some(())).await;
    }

    fn events(&self, name: &str) -> Vec<Arc<Event>> {
        self.now().events.iter().filter(|event| event.involved_object.name == name).cloned().collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.control.abort();
        }
    }
}

/// Whether a condition has this reason.
fn is(object: &AppResource, type_: ConditionType, reason: Reason) -> bool {
    object.status.condition(type_).is_some_and(|condition| condition.reason == reason)
}

/// Status, reason and message of a condition.
fn condition(object: &AppResource, type_: ConditionType) -> Option<(ConditionStatus, Reason, &str)> {
    object.status.condition(type_).map(|condition| (condition.status, condition.reason, condition.message.as_str()))
}

/// Runs what there is to run until nothing is under way.
async fn settle(reconciler: &mut Reconciler) {
    settle_within(PATIENCE, reconciler).await;
}

async fn settle_within(patience: Duration, reconciler: &mut Reconciler) {
    let all = async {
        loop {
            reconciler.listen();
            let entries = &mut reconciler.entries;
            reconciler.agenda.start(reconciler.timing.counts(), |name| entries.get_mut(name).map(|entry| entry.job()));
            reconciler.board.publish(&reconciler.entries, &reconciler.gateways);
            if reconciler.agenda.is_idle() && reconciler.board.is_settled() {
                return;
            }
            tokio::select! {
                (name, seen) = reconciler.agenda.seen() => reconciler.saw(&name, seen),
                () = reconciler.board.kept() => {}
            }
        }
    };
    tokio::time::timeout(patience, all).await.expect("it settles");
}
