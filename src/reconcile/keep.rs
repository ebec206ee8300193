//! Records -> on disk, in the background, one batch at a time.
//!
//! In: records of objects that have changed. Out: records on disk, and which can't be, or can again. Never: a wait of the loop for the
//! disk; two writers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::fault;
use crate::api::v1::{App, Gateway, ObjectReference};
use crate::manifest::Kind;
use crate::names::AppName;
use crate::state::{Draft, Kept, Record, Store};

/// Records of a kind that are kept before the next word is said of them. They wait for the disk together.
pub(super) const BATCH: usize = 1024;

/// The one who keeps.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Arc<Store>,
    /// The writer, and how each of its records went.
    keeping: Option<JoinHandle<Vec<Outcome>>>,
    /// Objects whose records can't be kept, and why.
    troubles: BTreeMap<Named, String>,
}

type Named = (Kind, AppName);

/// A failing disk costs the memory of a later start, never what is served now. An error is a sentence.
type Outcome = (Named, Result<(), String>);

/// An object that can't be kept any more, or for another reason than before; without a reason: that is kept again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) object: ObjectReference,
    pub(super) trouble: Option<String>,
}

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
        let keep_all = move || keep_all(Kind::Gateway, &store, gateways).chain(keep_all(Kind::App, &store, apps)).collect();
        self.keeping = Some(tokio::task::spawn_blocking(keep_all));
    }

    /// Objects of a kind whose records can't be kept.
    pub(super) fn troubled(&self, kind: Kind) -> impl Iterator<Item = &AppName> {
        self.troubles.keys().filter(move |(of, _)| *of == kind).map(|(_, name)| name)
    }

    /// Waits until what was begun is kept, and returns what is new about that; never ends if nothing was begun. Cancel-safe.
    pub(super) async fn kept(&mut self) -> Vec<Word> {
        let Some(keeping) = &mut self.keeping else { return std::future::pending().await };
        let kept = keeping.await;
        self.keeping = None;
        match kept {
            Ok(kept) => kept.into_iter().filter_map(|(named, result)| self.note(named, result)).collect(),
            // A panic is contained, so that only the runtime's end comes here.
            Err(error) => {
                tracing::error!("state can't be kept: {error}");
                Vec::new()
            }
        }
    }

    /// What is new about that. A failure that goes on is not.
    fn note(&mut self, named: Named, result: Result<(), String>) -> Option<Word> {
        let object = ObjectReference { kind: named.0.to_string(), name: named.1.to_string() };
        let trouble = result.err();
        let before = match &trouble {
            Some(trouble) => self.troubles.insert(named, trouble.clone()),
            None => self.troubles.remove(&named),
        };
        (before != trouble).then_some(Word { object, trouble })
    }
}

fn keep_all<T: Kept>(kind: Kind, store: &Store, records: Records<T>) -> impl Iterator<Item = Outcome> {
    let (mut outcomes, mut begun, mut drafts) = (Vec::new(), Vec::new(), Vec::new());
    for (record, name) in records {
        let outcome = match begin(store, record, &name) {
            Ok(Some(draft)) => {
                begun.push(outcomes.len());
                drafts.push(draft);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(trouble) => Err(trouble),
        };
        outcomes.push(((kind, name), outcome));
    }
    let all_alike = |fault: String| begun.iter().map(|_| Err(fault.clone())).collect();
    let said = |results: Vec<Result<(), _>>| results.into_iter().map(|result| result.map_err(|error| with_source(&error))).collect();
    let results: Vec<_> = fault::contain(|| store.commit(drafts)).map_or_else(all_alike, said);
    for (index, result) in begun.iter().zip(results) {
        outcomes[*index].1 = result;
    }
    outcomes.into_iter()
}

/// Forgets an object that is gone, or begins to keep a record. A panic of the store is one record's matter.
fn begin<T: Kept>(store: &Store, record: Option<Record<T>>, name: &AppName) -> Result<Option<Draft>, String> {
    let begun = fault::contain(|| match record {
        Some(record) => store.draft(&record).map(Some),
        None => store.remove::<T>(name).map(|()| None),
    })?;
    begun.map_err(|error| with_source(&error))
}

/// An error and its cause.
pub(super) fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::first_record;

    #[tokio::test]
    async fn what_cannot_be_kept_is_told_once_and_once_when_it_is_kept_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        std::fs::write(&state, "in the way").unwrap();
        let mut keeper = Keeper::new(Store::open(&state));
        let names = ["a", "web"].map(|name| name.parse::<AppName>().unwrap());
        let [app, gateway] =
            ["App", "Gateway"].map(|kind| move |name: &AppName| ObjectReference { kind: kind.to_owned(), name: name.to_string() });
        let objects = [gateway(&names[1]), app(&names[0])];
        for (clear, told) in [(false, true), (false, false), (true, true), (true, false)] {
            if clear && state.is_file() {
                std::fs::remove_file(&state).unwrap();
            }
            keeper.keep(
                vec![(Some(first_record(&names[0], "a.yaml")), names[0].clone())],
                vec![(Some(first_record(&names[1], "web.yaml")), names[1].clone())],
            );
            let words = keeper.kept().await;
            assert_eq!(words.iter().map(|word| word.object.clone()).collect::<Vec<_>>(), if told { &objects[..] } else { &[] });
            assert!(words.iter().all(|word| word.trouble.is_none() == clear), "{words:?}");
            assert_eq!(keeper.troubled(Kind::Gateway).collect::<Vec<_>>(), if clear { vec![] } else { vec![&names[1]] });
        }
    }
}
