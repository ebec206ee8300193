//! The connections of one thread to backends that speak HTTP/2: found, shared, closed.
//!
//! In: an address. Out: a place on a connection to it. Never: two connections where one has a place; one to a container that is gone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::link::{Link, STREAMS, Stream};
use crate::backend::http::exchange::Call;
use crate::backend::http::key::{Key, fingerprint};
use crate::backend::http::pool::Pool;
use crate::backend::{Error, Phase};
use crate::dial::{self, Address};

/// Connections by the fingerprint of their address.
#[derive(Debug, Default)]
pub(in crate::backend::http) struct Connections(RefCell<HashMap<u64, Rc<Endpoint>>>);

/// The connections to one address.
#[derive(Debug)]
struct Endpoint {
    key: Key,
    links: RefCell<Vec<Rc<Link>>>,
    /// Requests at once that it allows on a connection, as it said last.
    limit: Rc<Cell<usize>>,
    /// Whose turn it is to connect: the others wait for that connection.
    turn: Mutex<()>,
}

impl Pool {
    /// A place on a connection, which may be a new one. `first`: on a new one, before all others.
    pub(super) async fn stream(&self, call: Call<'_>, first: bool) -> Result<Stream, Error> {
        let endpoint = self.shared().endpoint(call.address);
        let place = || if first { None } else { endpoint.place() };
        if let Some(stream) = place() {
            return Ok(stream);
        }
        let deadline = call.timeouts.connect.map(|limit| Instant::now() + limit);
        let _turn = match deadline {
            None => endpoint.turn.lock().await,
            Some(deadline) => tokio::time::timeout_at(deadline, endpoint.turn.lock()).await.map_err(|_| Error::Timeout(Phase::Connect))?,
        };
        if let Some(stream) = place() {
            return Ok(stream);
        }
        let stream = dial::connect(call.address, deadline).await.map_err(|error| match error {
            dial::Error::TimedOut(_) => Error::Timeout(Phase::Connect),
            error => Error::Connect(error),
        })?;
        let link = Link::open(stream, endpoint.limit.clone(), self.idle()).await?;
        let stream = link.stream();
        if call.keep > 0 {
            endpoint.links.borrow_mut().push(link);
            self.watch();
        }
        Ok(stream)
    }
}

impl Connections {
    fn endpoint(&self, address: &Address) -> Rc<Endpoint> {
        let mut endpoints = self.0.borrow_mut();
        let known = endpoints.entry(fingerprint(address)).or_insert_with(|| Rc::new(Endpoint::new(address)));
        if !known.key.is(address) {
            *known = Rc::new(Endpoint::new(address));
        }
        known.clone()
    }

    /// Closes what is idle for too long, dead, or leads to a container that is gone.
    pub(in crate::backend::http) fn clear(&self, most_idle: Duration) {
        self.0.borrow_mut().retain(|_, endpoint| {
            let is_alive = endpoint.key.is_alive();
            let is_of_use = |link: &Link| link.idle_since().is_none_or(|since| is_alive && since.elapsed() < most_idle);
            endpoint.links.borrow_mut().retain(|link| link.is_open() && is_of_use(link));
            // Who is about to connect holds it.
            !endpoint.links.borrow().is_empty() || Rc::strong_count(endpoint) > 1
        });
    }

    /// Whether there is none.
    pub(in crate::backend::http) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// How many rest.
    pub(in crate::backend::http) fn resting(&self) -> usize {
        let resting = |endpoint: &Rc<Endpoint>| endpoint.links.borrow().iter().filter(|link| link.is_counted()).count();
        self.0.borrow().values().map(resting).sum()
    }
}

impl Endpoint {
    fn new(address: &Address) -> Self {
        Self { key: Key::of(address), links: RefCell::default(), limit: Rc::new(Cell::new(STREAMS)), turn: Mutex::default() }
    }

    /// A place on a connection that is there.
    fn place(&self) -> Option<Stream> {
        let mut links = self.links.borrow_mut();
        links.retain(|link| link.is_open());
        links.iter().find(|link| link.has_place()).map(Link::stream)
    }
}
