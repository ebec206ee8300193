//! Records -> on disk, in the background, one batch at a time.
//!
//! In: records of Apps that have changed. Out: records on disk, and a word if they can't be. Never: a wait of the loop for the disk; two writers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::api::v1::App;
use crate::names::AppName;
use crate::state::{Error, Record, Store};

/// Records that are kept before the next word is said of them.
pub(super) const BATCH: usize = 64;

/// The one who keeps.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Arc<Store>,
    /// The writer, and how each of its records went.
    keeping: Option<JoinHandle<Vec<Outcome>>>,
    /// Apps whose records can't be kept, and why.
    troubles: BTreeMap<AppName, String>,
}

/// How a record went. A failing disk costs the memory of a later start, never what is served now.
type Outcome = (AppName, Result<(), Error>);

impl Keeper {
    pub(super) fn new(store: Store) -> Self {
        Self { store: Arc::new(store), keeping: None, troubles: BTreeMap::new() }
    }

    /// Whether nothing is being kept.
    pub(super) fn is_idle(&self) -> bool {
        self.keeping.is_none()
    }

    /// Begins to keep records; those of Apps that are gone are forgotten. Call it when it [is idle](Self::is_idle).
    pub(super) fn keep(&mut self, records: Vec<(Option<Record<App>>, AppName)>) {
        let store = self.store.clone();
        let keep_all = move || records.into_iter().map(|(record, name)| (name.clone(), keep(&store, record, &name))).collect();
        self.keeping = Some(tokio::task::spawn_blocking(keep_all));
    }

    /// Waits until what was begun is kept; never ends if nothing was begun. Cancel-safe.
    pub(super) async fn kept(&mut self) {
        let Some(keeping) = &mut self.keeping else { return std::future::pending().await };
        let kept = keeping.await;
        self.keeping = None;
        match kept {
            Ok(kept) => kept.into_iter().for_each(|(name, result)| self.note(name, result)),
            Err(error) => tracing::error!("state can't be kept: {error}"),
        }
    }

    /// Says that a record can't be kept, once, and that it can again.
    fn note(&mut self, name: AppName, result: Result<(), Error>) {
        match result {
            Err(error) => {
                let trouble = with_source(&error);
                if self.troubles.get(&name) != Some(&trouble) {
                    tracing::error!(app = %name, "state can't be kept: {trouble}");
                    self.troubles.insert(name, trouble);
                }
            }
            Ok(()) if self.troubles.remove(&name).is_some() => tracing::info!(app = %name, "state is kept again"),
            Ok(()) => {}
        }
    }
}

fn keep(store: &Store, record: Option<Record<App>>, name: &AppName) -> Result<(), Error> {
    match record {
        Some(record) => store.save(&record),
        None => store.remove::<App>(name),
    }
}

/// An error and its cause.
pub(super) fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
