//! Snapshots -> what the serving threads listen on, and a line in the log for every address that opens or closes.
//!
//! In: the snapshots, each as it comes. Out: a [`watch`] channel that changes only when an address is bound or let go, or is to be listened on
//! in another way. Never: a socket opened or closed here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::listen::{Open, Sockets};
use crate::snapshot::{Reader, Snapshot};

/// Threads take what is new within this time, unless one is stuck.
const TAKEN: Duration = Duration::from_secs(1);

/// What is listened on, as the newest snapshot says.
#[derive(Debug)]
pub(super) struct Follower {
    reader: Reader,
    seen: u64,
    sockets: watch::Sender<Sockets>,
}

impl Follower {
    /// Nothing is listened on before the first call of [`next`](Self::next).
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, seen: 0, sockets: watch::Sender::default() }
    }

    /// For the serving threads.
    pub(super) fn subscribe(&self) -> watch::Receiver<Sockets> {
        self.sockets.subscribe()
    }

    /// Waits for a newer snapshot, passes on what it listens on, and returns it when every thread has its sockets; `None`: the publisher is
    /// gone. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Arc<Snapshot>> {
        self.reader.newer_than(self.seen).await?;
        // What would go before it was taken would reset who waits there.
        self.taken().await;
        let snapshot = self.reader.load();
        self.pass_on(&snapshot.sockets);
        self.taken().await;
        self.seen = snapshot.revision;
        Some(snapshot)
    }

    fn pass_on(&self, now: &Sockets) {
        self.sockets.send_if_modified(|before| {
            let (opened, closed) = (only_in(now, before), only_in(before, now));
            for address in &closed {
                tracing::info!(%address, "no longer listening");
            }
            for address in &opened {
                tracing::info!(%address, "listening");
            }
            let others = now.iter().any(|(address, open)| before.get(address).is_none_or(|before| !before.is_same(open)));
            let changes = others || !closed.is_empty();
            if changes {
                before.clone_from(now);
            }
            changes
        });
    }

    async fn taken(&self) {
        let sockets = self.sockets.borrow().clone();
        let all = async {
            for open in sockets.values() {
                open.bound.taken().await;
            }
        };
        let _ = timeout(TAKEN, all).await;
    }
}

/// What the other does not have: an address that was bound anew counts as another.
fn only_in(these: &Sockets, others: &Sockets) -> Vec<SocketAddr> {
    let has = |address, open: &Open| others.get(address).is_some_and(|other| Arc::ptr_eq(&other.bound, &open.bound));
    these.iter().filter(|(address, open)| !has(address, open)).map(|(address, _)| *address).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::listen::{self, Bound, Options, Sharing};
    use crate::snapshot::{self, Publisher};

    fn bind(port: u16, sharing: Sharing) -> Arc<Bound> {
        Arc::new(listen::bind(([127, 0, 0, 1], port).into(), 1, sharing).unwrap())
    }

    /// As a thread does that sees it.
    fn take(bound: &[&Arc<Bound>]) {
        for bound in bound {
            drop(bound.take(0));
        }
    }

    fn publish(publisher: &mut Publisher, bound: &[&Arc<Bound>]) {
        publish_with(publisher, bound, &Arc::default());
    }

    fn publish_with(publisher: &mut Publisher, bound: &[&Arc<Bound>], options: &Arc<Options>) {
        let open = |bound: &&Arc<Bound>| Open { bound: Arc::clone(bound), options: options.clone() };
        let sockets: BTreeMap<_, _> = bound.iter().map(|bound| (bound.local_addr(), open(bound))).collect();
        publisher.publish(Snapshot { sockets: Arc::new(sockets), ..Snapshot::default() });
    }

    #[tokio::test]
    async fn the_threads_are_woken_only_when_an_address_is_bound_or_let_go() {
        let (mut publisher, reader) = snapshot::channel();
        let mut follower = Follower::new(reader);
        let mut sockets = follower.subscribe();
        let (one, two) = (bind(0, Sharing::Alone), bind(0, Sharing::Alone));
        let anew = bind(one.local_addr().port(), Sharing::WithOurselves);
        for (bound, wakes) in
            [(&[&one][..], true), (&[&one], false), (&[&one, &two], true), (&[&anew, &two], true), (&[&two], true), (&[&two], false)]
        {
            publish(&mut publisher, bound);
            take(bound);
            assert_eq!(follower.next().await.unwrap().sockets.len(), bound.len());
            assert_eq!(sockets.has_changed().unwrap(), wakes, "{bound:?}");
            let now = sockets.borrow_and_update().clone();
            assert!(bound.iter().all(|bound| Arc::ptr_eq(&now[&bound.local_addr()].bound, bound)) && now.len() == bound.len());
        }
        drop(publisher);
        assert!(follower.next().await.is_none());
    }

    #[tokio::test]
    async fn the_threads_are_woken_when_an_address_is_to_be_listened_on_in_another_way() {
        let (mut publisher, reader) = snapshot::channel();
        let mut follower = Follower::new(reader);
        let mut sockets = follower.subscribe();
        let bound = bind(0, Sharing::Alone);
        take(&[&bound]);
        let with_header = || Arc::new(Options { proxy_protocol: true, ..Options::default() });
        for (options, wakes) in [(Arc::default(), true), (Arc::default(), false), (with_header(), true), (with_header(), false)] {
            publish_with(&mut publisher, &[&bound], &options);
            follower.next().await.unwrap();
            assert_eq!(sockets.has_changed().unwrap(), wakes, "{options:?}");
            assert_eq!(sockets.borrow_and_update()[&bound.local_addr()].options, options);
        }
    }

    #[tokio::test]
    async fn an_address_does_not_go_before_every_thread_has_seen_it_unless_one_is_stuck() {
        let (mut publisher, reader) = snapshot::channel();
        let mut follower = Follower::new(reader);
        let sockets = follower.subscribe();
        let (one, two) = (bind(0, Sharing::Alone), bind(0, Sharing::Alone));
        publish(&mut publisher, &[&one]);
        assert!(timeout(TAKEN / 20, follower.next()).await.is_err(), "not taken");
        publish(&mut publisher, &[&two]);
        assert!(timeout(TAKEN / 20, follower.next()).await.is_err(), "not taken");
        assert!(sockets.borrow().contains_key(&one.local_addr()));
        take(&[&one, &two]);
        assert_eq!(follower.next().await.unwrap().revision, 2, "nothing is missed");
        publish(&mut publisher, &[&bind(0, Sharing::Alone)]);
        assert_eq!(follower.next().await.unwrap().revision, 3, "it is not waited for without end");
    }
}
