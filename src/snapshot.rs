//! The hatch between the planes: one immutable picture of what is served, swapped whole.
//!
//! In: the control plane publishes. Out: the serving plane and the admin socket read. Never: a second `ArcSwap`, a lock, a partial change.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use imbl::{OrdMap, Vector};
use tokio::sync::watch;

use crate::api::v1::{AppResource, Event, GatewayResource, Resource, SourceResource};
use crate::listen::Sockets;
use crate::route::Listeners;

/// What is served, and what is said about it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Rises with every publication; the publisher counts.
    pub revision: u64,
    /// What is listened on. A serving thread takes its own socket out of what is new, and closes what is gone.
    pub sockets: Sockets,
    /// The routes, by listener.
    pub listeners: Listeners,
    /// Every App with its status, by name. A manifest that belongs to no App has `name file` as its key, so that it comes after the App
    /// whose name it wants.
    pub apps: OrdMap<String, Arc<AppResource>>,
    /// Every Gateway with its status, with keys as those of `apps`.
    pub gateways: OrdMap<String, Arc<GatewayResource>>,
    /// Where manifests come from, by name.
    pub sources: OrdMap<String, Arc<SourceResource>>,
    /// What happened, the oldest first; a bounded number.
    pub events: Vector<Arc<Event>>,
}

/// What is shown under this name: the object that has it, then manifests that want it, or the one whose path it is.
pub fn named<'a, S, T>(
    objects: &'a OrdMap<String, Arc<Resource<S, T>>>,
    name: &'a str,
) -> impl Iterator<Item = &'a Arc<Resource<S, T>>> + use<'a, S, T> {
    // `!` is what follows the space of a key.
    let keys = name.to_owned()..format!("{name}!");
    objects.range(keys).map(|(_, object)| object).filter(move |object| object.metadata.name == name)
}

/// The one writer. Not `Clone`: there is one owner of the decision to swap.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
    revision: watch::Sender<u64>,
    /// Pictures that some thread may still hold. They are freed here, not on a serving thread.
    retired: Vec<Arc<Snapshot>>,
}

/// A reader; clones are cheap.
#[derive(Debug, Clone)]
pub struct Reader {
    current: Arc<ArcSwap<Snapshot>>,
    revision: watch::Receiver<u64>,
}

/// A reader of one thread: a look costs no atomic read-modify-write.
pub type Cached = Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>;

/// The two ends, with an empty picture at revision 0 between them.
#[must_use]
pub fn channel() -> (Publisher, Reader) {
    let current = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
    let (sender, receiver) = watch::channel(0);
    (Publisher { current: current.clone(), revision: sender, retired: Vec::new() }, Reader { current, revision: receiver })
}

impl Publisher {
    /// Swaps a new picture in and wakes the readers. Returns its revision.
    pub fn publish(&mut self, picture: Snapshot) -> u64 {
        let revision = self.next_revision();
        let old = self.current.swap(Arc::new(Snapshot { revision, ..picture }));
        self.retired.push(old);
        self.revision.send_replace(revision);
        self.free_retired();
        revision
    }

    /// The revision that the next publication will have.
    #[must_use]
    pub fn next_revision(&self) -> u64 {
        *self.revision.borrow() + 1
    }

    /// Frees the pictures that nobody holds any more. Returns whether some are still held.
    pub fn free_retired(&mut self) -> bool {
        self.retired.retain(|old| Arc::strong_count(old) > 1);
        !self.retired.is_empty()
    }
}

impl Reader {
    /// The picture of now.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A reader for one thread.
    #[must_use]
    pub fn cached(&self) -> Cached {
        Cache::new(self.current.clone())
    }

    /// Waits until a picture newer than `revision` is served, and returns its revision; `None`: the publisher is gone.
    pub async fn newer_than(&mut self, revision: u64) -> Option<u64> {
        self.revision.wait_for(|now| *now > revision).await.ok().map(|now| *now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_reader_sees_every_publication_and_lets_the_old_one_go() {
        let (mut publisher, reader) = channel();
        let mut cached = reader.cached();
        assert_eq!(cached.load().revision, 0);
        publisher.publish(Snapshot::default());
        assert_eq!(publisher.retired.len(), 1, "the cached reader still holds revision 0");
        assert_eq!(cached.load().revision, 1);
        publisher.free_retired();
        assert!(publisher.retired.is_empty());
    }
}
