//! Requests that wait for a backend that is away: its container restarts, its socket is missing, nobody listens.
//!
//! In: a backend by the names of App and backend. Out: where it is, once it accepts connections; or why nobody waits any longer. Never:
//! more than [`WAITING`] requests for a backend; more than one of them that looks for it; an old snapshot held by a wait.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::pick::Dice;
use super::record::Record;
use super::rescue::Cause;
use crate::backend::Error;
use crate::dial;
use crate::metrics::Gauge;
use crate::names::{AppName, SectionName};
use crate::route::{CompiledApp, Miss};
use crate::snapshot::Reader;

/// Requests that may wait for a backend, per thread.
const WAITING: usize = 1_000;
/// The pause between two looks at a backend that is away; it doubles from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(200);
/// How long one look may take: an address of a network that is gone answers nothing.
const LOOK: Duration = Duration::from_secs(1);

/// Where requests of one thread wait.
#[derive(Debug)]
pub(super) struct Holds {
    rooms: Rc<RefCell<HashMap<Name, Rc<Room>>>>,
    reader: Reader,
    held: Gauge,
}

/// A backend that is there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The App as it is served now.
    pub(super) app: Arc<CompiledApp>,
    /// Index in its backends.
    pub(super) backend: usize,
}

/// Why a request does not wait any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Too many wait.
    Full,
    /// The backend has been away for too long.
    Late,
    /// The App is not served any more.
    App,
    /// The App has no such backend any more.
    Backend,
}

/// App and backend.
type Name = (AppName, SectionName);

/// Those who wait for one backend.
#[derive(Debug, Default)]
struct Room {
    waiting: Cell<usize>,
    search: RefCell<Option<Rc<Search>>>,
}

/// One search for a backend; it ends when the backend is found, or when nobody waits for that.
#[derive(Debug, Default)]
struct Search {
    found: OnceCell<Result<Place, Lost>>,
    over: Notify,
}

/// A place in a room, given back when dropped: the client may leave.
struct Seat {
    name: Name,
    room: Rc<Room>,
    rooms: Rc<RefCell<HashMap<Name, Rc<Room>>>>,
    held: Gauge,
}

impl Holds {
    /// `held`: how many wait.
    pub(super) fn new(reader: Reader, held: Gauge) -> Self {
        Self { rooms: Rc::default(), reader, held }
    }

    /// Waits until a backend is there, looked for after a pause.
    pub(super) async fn wait(
        &self,
        app: &CompiledApp,
        backend: usize,
        pause: Duration,
        deadline: Instant,
        record: &Record,
    ) -> Result<Place, Lost> {
        let seat = self.sit((app.name.clone(), app.backends[backend].name.clone()))?;
        let found = async {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            seat.search(&self.reader).found().await
        };
        record.waits(true);
        let found = timeout_at(deadline, found).await.unwrap_or(Err(Lost::Late));
        record.waits(false);
        found
    }

    fn sit(&self, name: Name) -> Result<Seat, Lost> {
        let room = self.rooms.borrow_mut().entry(name.clone()).or_default().clone();
        if room.waiting.get() >= WAITING {
            return Err(Lost::Full);
        }
        room.waiting.set(room.waiting.get() + 1);
        self.held.rise();
        Ok(Seat { name, room, rooms: self.rooms.clone(), held: self.held.clone() })
    }
}

impl Lost {
    /// What the client is told. `error`: why the request had to wait.
    pub(super) fn cause(self, error: Error) -> Cause {
        match (self, error) {
            (Self::App, _) => Cause::NoRoute(Miss::Rule),
            (Self::Full | Self::Late, error @ Error::Connect(_)) => Cause::Backend(error),
            (Self::Full | Self::Late | Self::Backend, _) => Cause::Backend(Error::Unavailable),
        }
    }
}

impl Seat {
    /// The search that is under way, or a new one.
    fn search(&self, reader: &Reader) -> Rc<Search> {
        let mut search = self.room.search.borrow_mut();
        search.get_or_insert_with(|| {
            let new = Rc::<Search>::default();
            tokio::task::spawn_local(run(new.clone(), self.room.clone(), self.name.clone(), reader.clone()));
            new
        });
        search.clone().unwrap_or_default()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.held.fall();
        self.room.waiting.set(self.room.waiting.get() - 1);
        if self.room.waiting.get() == 0 {
            self.rooms.borrow_mut().remove(&self.name);
        }
    }
}

impl Search {
    async fn found(&self) -> Result<Place, Lost> {
        loop {
            let over = self.over.notified();
            if let Some(found) = self.found.get() {
                return found.clone();
            }
            over.await;
        }
    }
}

/// Looks for a backend, and tells those who wait.
async fn run(search: Rc<Search>, room: Rc<Room>, name: Name, reader: Reader) {
    // Besides those who wait, this task and the room have it.
    let found = look_for(&name, reader, || Rc::strong_count(&search) > 2).await;
    room.search.take();
    if let Some(found) = found {
        // It is empty: nobody else sets it.
        let _ = search.found.set(found);
        search.over.notify_waiters();
    }
}

/// Looks again and again, sooner if a new snapshot is served. `None`: nobody waits.
async fn look_for((app, backend): &Name, mut reader: Reader, waited_for: impl Fn() -> bool) -> Option<Result<Place, Lost>> {
    let (dice, mut pause) = (Dice::new(), FIRST_PAUSE);
    for turn in 0_usize.. {
        let (revision, found) = {
            let snapshot = reader.load();
            (snapshot.revision, snapshot.listeners.app(app.as_str()).cloned())
        };
        let Some(app) = found else { return Some(Err(Lost::App)) };
        let Some(index) = app.backends.iter().position(|known| known.name == *backend) else { return Some(Err(Lost::Backend)) };
        let place = Place { app, backend: index };
        if place.is_there(turn).await {
            return Some(Ok(place));
        }
        drop(place);
        sleep(FIRST_PAUSE).await;
        if !waited_for() {
            return None;
        }
        tokio::select! {
            Some(_) = reader.newer_than(revision) => {}
            () = sleep(dice.longer(pause)) => {}
        }
        if !waited_for() {
            return None;
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
    None
}

impl Place {
    /// Whether one of its endpoints accepts a connection; each look begins with another one. What is about to be killed with its container
    /// does not count.
    async fn is_there(&self, turn: usize) -> bool {
        if self.app.init.as_ref().is_some_and(|init| init.is_ending()) {
            return false;
        }
        let (endpoints, end) = (&self.app.backends[self.backend].endpoints, Instant::now() + LOOK);
        for number in 0..endpoints.len() {
            let endpoint = &endpoints[(turn.wrapping_add(number)) % endpoints.len()];
            if let Some(address) = &endpoint.address
                && dial::connect(address, Some(end)).await.is_ok()
            {
                return true;
            }
        }
        false
    }
}
