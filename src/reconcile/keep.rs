//! Records -> on disk, in the background, one batch at a time.
//!
//! In: records of Apps that have changed. Out: the names of those that are kept. Never: a wait of the loop for the disk; two writers.

use std::collections::BTreeSet;
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
    /// The writer of the records of these Apps.
    keeping: Option<(JoinHandle<()>, BTreeSet<AppName>)>,
}

impl Keeper {
    pub(super) fn new(store: Store) -> Self {
        Self { store: Arc::new(store), keeping: None }
    }

    /// Whether nothing is being kept.
    pub(super) fn is_idle(&self) -> bool {
        self.keeping.is_none()
    }

    /// Begins to keep records; those of Apps that are gone are forgotten. Call it when it [is idle](Self::is_idle).
    pub(super) fn keep(&mut self, records: Vec<(Option<Record<App>>, AppName)>) {
        let names = records.iter().map(|(_, name)| name.clone()).collect();
        let store = self.store.clone();
        self.keeping = Some((tokio::task::spawn_blocking(move || keep_all(&store, records)), names));
    }

    /// Waits until what was begun is kept, and returns its names; never ends if nothing was begun. Cancel-safe.
    pub(super) async fn kept(&mut self) -> BTreeSet<AppName> {
        let Some((keeping, _)) = &mut self.keeping else { return std::future::pending().await };
        if keeping.await.is_err() {
            tracing::error!("state can't be kept: the writer has failed");
        }
        self.keeping.take().map(|(_, names)| names).unwrap_or_default()
    }
}

/// A failing disk costs the memory of a later start, never what is served now.
fn keep_all(store: &Store, records: Vec<(Option<Record<App>>, AppName)>) {
    for (record, name) in records {
        if let Err(error) = keep(store, record, &name) {
            tracing::error!(app = %name, "state can't be kept: {}", with_source(&error));
        }
    }
}

fn keep(store: &Store, record: Option<Record<App>>, name: &AppName) -> Result<(), Error> {
    match record {
        Some(record) if record.good.is_some() => store.save(&record),
        // Nothing that was ever served: there is nothing to remember.
        Some(_) => Ok(()),
        None => store.remove::<App>(name),
    }
}

/// An error and its cause.
pub(super) fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
