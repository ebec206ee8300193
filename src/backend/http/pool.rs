//! Kept connections of one thread: taken, used, given back.
//!
//! In: connections whose exchange has ended. Out: one that is still open. Never: more idle connections than allowed, one to a container
//! that is gone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::h2::Connections;
use super::key::ByFingerprint;
use super::link::Link;
use crate::dial::Address;
use crate::metrics::Gauge;

/// How long a connection is kept without use.
const IDLE: Duration = Duration::from_secs(60);
/// The same of those beyond the number that a backend may keep: a peak that is over does not pin it (HAProxy `pool-purge-delay`).
const SURPLUS: Duration = Duration::from_secs(5);
/// How often the kept ones are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// Idle connections of a thread, over all backends.
const KEPT: usize = 1024;

/// The connections of one thread. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pool(Rc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By fingerprint; the last given back is the first taken, so those at the front rest the longest.
    #[expect(clippy::vec_box, reason = "a link wanders between here and the bodies: as a pointer")]
    idle: RefCell<HashMap<u64, Vec<Box<Link>>, ByFingerprint>>,
    /// Those that speak HTTP/2.
    shared: Connections,
    total: Gauge,
    sweeping: Cell<bool>,
}

impl Pool {
    /// A pool that keeps the number of its idle connections in a gauge.
    #[must_use]
    pub fn counted(idle: Gauge) -> Self {
        Self(Rc::new(Kept { total: idle, ..Kept::default() }))
    }

    /// A connection to this address that is still open.
    pub(super) fn take(&self, fingerprint: u64, address: &Address, now: Instant) -> Option<Box<Link>> {
        let mut idle = self.0.idle.borrow_mut();
        let links = idle.get_mut(&fingerprint)?;
        while let Some(link) = links.pop() {
            self.0.total.fall();
            // One of an address with the same fingerprint is dropped: it costs a connect, once in 2^64.
            if link.key.is(address) && now.duration_since(link.idle_since) < IDLE && link.is_ready() {
                return Some(link);
            }
        }
        None
    }

    /// Takes a connection back, or closes it.
    pub(super) fn keep(&self, mut link: Box<Link>) {
        let kept = &self.0;
        if !link.is_done() || link.keep == 0 || kept.total.get() >= KEPT || !link.key.is_alive() {
            return;
        }
        link.rest();
        link.idle_since = Instant::now();
        kept.idle.borrow_mut().entry(link.fingerprint).or_default().push(link);
        kept.total.rise();
        self.watch();
    }

    /// The connections that speak HTTP/2.
    pub(super) fn shared(&self) -> &Connections {
        &self.0.shared
    }

    /// Where idle connections are counted.
    pub(super) fn idle(&self) -> Gauge {
        self.0.total.clone()
    }

    /// Sees to it that connections are looked through now and then.
    pub(super) fn watch(&self) {
        if !self.0.sweeping.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(&self.0)));
        }
    }
}

impl Kept {
    /// Closes what is too old, more than is kept, dead, or leads to a container that is gone.
    fn clear(&self, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, links| {
            let mut left = links.len();
            links.retain(|link| {
                let longest = if left > link.keep { SURPLUS } else { IDLE };
                let stays = link.key.is_alive() && now.duration_since(link.idle_since) < longest && link.is_ready();
                left -= usize::from(!stays);
                stays
            });
            !links.is_empty()
        });
        self.shared.clear(IDLE);
        self.total.set(idle.values().map(Vec::len).sum::<usize>() + self.shared.resting());
    }
}

/// Looks through the kept connections as long as there are any.
async fn sweep(kept: Weak<Kept>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(kept) = kept.upgrade() else { return };
        kept.clear(Instant::now());
        if kept.idle.borrow().is_empty() && kept.shared.is_empty() {
            kept.sweeping.set(false);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use tokio::task::LocalSet;

    use http::Request;

    use super::super::{Call, Head};
    use super::*;
    use crate::api::v1::HttpProtocol;
    use crate::backend::RequestBody;
    use crate::container::rootfs::Rootfs;
    use crate::route::Timeouts;

    /// Answers one request per connection, and counts connections that were opened and closed.
    fn backend(listener: UnixListener) -> Rc<(Cell<usize>, Cell<usize>)> {
        let counts = Rc::new((Cell::new(0), Cell::new(0)));
        let counted = counts.clone();
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.0.set(counted.0.get() + 1);
                let counted = counted.clone();
                tokio::task::spawn_local(async move {
                    while stream.read(&mut [0; 4096]).await.unwrap() > 0 {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
                    }
                    counted.1.set(counted.1.get() + 1);
                });
            }
        });
        counts
    }

    async fn ask(pool: &Pool, address: &Address, keep: usize) {
        let call = Call { address, timeouts: Timeouts { request: None, connect: None, idle: None }, keep, protocol: HttpProtocol::Http1 };
        let request = Request::get("/").header("host", "a").body(()).unwrap();
        assert_eq!(
            pool.send(call, &Head::of(&request), RequestBody::empty()).await.unwrap().into_body().collect().await.unwrap().to_bytes(),
            "hi"
        );
    }

    #[tokio::test]
    async fn connections_to_a_container_that_is_gone_are_closed_and_never_used_for_its_successor() {
        let test = async {
            let dir = tempfile::tempdir().unwrap();
            let counts = backend(UnixListener::bind(dir.path().join("app.sock")).unwrap());
            let root = || Address::Unix { root: Arc::new(Rootfs::open(dir.path()).unwrap()), path: "/app.sock".parse().unwrap() };
            let (pool, before, after) = (Pool::default(), root(), root());
            ask(&pool, &before, 8).await;
            ask(&pool, &before.clone(), 8).await;
            assert_eq!(counts.0.get(), 1);
            ask(&pool, &after, 8).await;
            assert_eq!(counts.0.get(), 2);
            drop(before);
            pool.0.clear(Instant::now());
            assert_eq!(pool.0.total.get(), 1);
            while counts.1.get() < 1 {
                tokio::task::yield_now().await;
            }
            ask(&pool, &after, 8).await;
            assert_eq!(counts.0.get(), 2);
        };
        LocalSet::new().run_until(tokio::time::timeout(IDLE, test)).await.unwrap();
    }

    #[tokio::test]
    async fn more_idle_connections_than_the_call_allows_are_kept_for_some_seconds_only() {
        let test = async {
            let dir = tempfile::tempdir().unwrap();
            let counts = backend(UnixListener::bind(dir.path().join("app.sock")).unwrap());
            let root = Arc::new(Rootfs::open(dir.path()).unwrap());
            let address = Address::Unix { root, path: "/app.sock".parse().unwrap() };
            let pool = Pool::default();
            tokio::join!(ask(&pool, &address, 2), ask(&pool, &address, 2), ask(&pool, &address, 2), ask(&pool, &address, 2));
            assert_eq!((counts.0.get(), pool.0.total.get()), (4, 4));
            pool.0.clear(Instant::now());
            assert_eq!(pool.0.total.get(), 4, "the peak may not be over");
            pool.0.clear(Instant::now() + SURPLUS);
            assert_eq!(pool.0.total.get(), 2);
            while counts.1.get() < 2 {
                tokio::task::yield_now().await;
            }
        };
        LocalSet::new().run_until(tokio::time::timeout(IDLE, Box::pin(test))).await.unwrap();
    }
}
