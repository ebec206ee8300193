//! Records -> on disk, in the background, one batch at a time.
//!
//! In: records of objects that have changed. Out: records on disk, and a word if they can't be. Never: a wait of the loop for the disk; two writers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::api::v1::{App, Gateway};
use crate::names::AppName;
use crate::state::{Error, Kept, Record, Store};

/// Records that are kept before the next word is said of them.
pub(super) const BATCH: usize = 64;

/// The one who keeps.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Arc<Store>,
    /// The writer, and how each of its records went.
    keeping: Option<JoinHandle<Vec<Outcome>>>,
    /// Objects whose records can't be kept, and why.
    troubles: BTreeMap<Named, String>,
}

/// A kind, as the directory of its records, and a name.
type Named = (&'static str, AppName);

/// A failing disk costs the memory of a later start, never what is served now.
type Outcome = (Named, Result<(), Error>);

/// Records to be kept; none: the object is gone.
pub(super) type Records<T> = Vec<(Option<Record<T>>, AppName)>;

impl Keeper {
    pub(super) fn new(store: Store) -> Self {
        Self { store: Arc::new(store), keeping: None, troubles: BTreeMap::new() }
    }

    /// Whether nothing is being kept.
    pub(super) fn is_idle(&self) -> bool {
        self.keeping.is_none()
    }

    /// Begins to keep records; those of objects that are gone are forgotten. Call it when it [is idle](Self::is_idle).
    pub(super) fn keep(&mut self, apps: Records<App>, gateways: Records<Gateway>) {
        let store = self.store.clone();
        let keep_all = move || keep_all(&store, gateways).chain(keep_all(&store, apps)).collect();
        self.keeping = Some(tokio::task::spawn_blocking(keep_all));
    }

    /// Waits until what was begun is kept; never ends if nothing was begun. Cancel-safe.
    pub(super) async fn kept(&mut self) {
        let Some(keeping) = &mut self.keeping else { return std::future::pending().await };
        let kept = keeping.await;
        self.keeping = None;
        match kept {
            Ok(kept) => kept.into_iter().for_each(|(named, result)| self.note(named, result)),
            Err(error) => tracing::error!("state can't be kept: {error}"),
        }
    }

    /// Says that a record can't be kept, once, and that it can again.
    fn note(&mut self, named: Named, result: Result<(), Error>) {
        let of = |kind: &str| (named.0 == kind).then(|| named.1.to_string());
        let (app, gateway) = (of(App::DIRECTORY), of(Gateway::DIRECTORY));
        match result {
            Err(error) => {
                let trouble = with_source(&error);
                if self.troubles.get(&named) != Some(&trouble) {
                    tracing::error!(app, gateway, "state can't be kept: {trouble}");
                    self.troubles.insert(named, trouble);
                }
            }
            Ok(()) if self.troubles.remove(&named).is_some() => tracing::info!(app, gateway, "state is kept again"),
            Ok(()) => {}
        }
    }
}

fn keep_all<T: Kept>(store: &Store, records: Records<T>) -> impl Iterator<Item = Outcome> {
    records.into_iter().map(|(record, name)| {
        let outcome = keep(store, record, &name);
        ((T::DIRECTORY, name), outcome)
    })
}

fn keep<T: Kept>(store: &Store, record: Option<Record<T>>, name: &AppName) -> Result<(), Error> {
    match record {
        Some(record) => store.save(&record),
        None => store.remove::<T>(name),
    }
}

/// An error and its cause.
pub(super) fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
