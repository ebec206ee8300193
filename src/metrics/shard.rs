//! What one serving thread counts.
//!
//! In: requests, errors, connections of this thread. Out: cells that a scrape reads. Never: another thread that writes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Served;
use super::cell::{Counter, Gauge, Histogram};
use super::fault::Fault;
use super::held_up::HeldUp;
use super::name_hash::ByName;
use super::turned_away::TurnedAway;

/// Cells beyond twice what was needed last are worth a look at what is needed now.
const SPARE: usize = 64;

/// The counts of one serving thread.
#[derive(Debug)]
pub struct Shard {
    shared: Arc<Shared>,
    apps: RefCell<HashMap<Box<str>, Rc<App>, ByName>>,
    /// Requests that no rule was found for.
    unmatched: Rc<RouteCounts>,
    /// Cells that were left by the last [`Shard::forget`].
    kept: Cell<usize>,
}

/// What a scrape sees of a thread.
#[derive(Debug, Default)]
pub(super) struct Shared {
    cells: Mutex<Cells>,
    pub(super) accepted: Counter,
    /// In the order of [`TurnedAway::ALL`].
    pub(super) turned_away: [Counter; TurnedAway::ALL.len()],
    pub(super) connections: Gauge,
    pub(super) tunnels: Gauge,
    pub(super) idle_http: Gauge,
    pub(super) idle_fastcgi: Gauge,
    pub(super) held: Gauge,
    pub(super) lines_dropped: Counter,
}

/// Every rule and backend that this thread has met. Locked to add or forget one, and by a scrape for as long as it takes to copy this.
#[derive(Debug, Clone, Default)]
pub(super) struct Cells {
    pub(super) routes: Vec<Arc<RouteCells>>,
    pub(super) backends: Vec<Arc<BackendCells>>,
}

/// The counts of one App.
#[derive(Debug)]
pub struct App {
    name: Box<str>,
    shared: Arc<Shared>,
    /// By index, with a name that has to be checked: generations differ.
    routes: RefCell<Vec<Option<Rc<RouteCounts>>>>,
    backends: RefCell<Vec<Option<Rc<BackendCounts>>>>,
}

/// The counts of one rule.
#[derive(Debug)]
pub struct RouteCounts(Arc<RouteCells>);

/// The counts of one backend.
#[derive(Debug)]
pub struct BackendCounts(Arc<BackendCells>);

#[derive(Debug)]
pub(super) struct RouteCells {
    pub(super) app: Box<str>,
    pub(super) rule: Box<str>,
    /// By the first digit of the status, from 1.
    pub(super) classes: [Counter; 5],
    /// In the order of [`HeldUp::ALL`].
    pub(super) held_up: [Counter; HeldUp::ALL.len()],
    pub(super) latency: Histogram,
    pub(super) received: Counter,
    pub(super) sent: Counter,
}

#[derive(Debug)]
pub(super) struct BackendCells {
    pub(super) app: Box<str>,
    pub(super) backend: Box<str>,
    /// In the order of [`Fault::ALL`].
    pub(super) faults: [Counter; Fault::ALL.len()],
    pub(super) retries: Counter,
    /// Bytes of its stderr.
    pub(super) stderr: Counter,
    /// Those of them that are not in the log.
    pub(super) stderr_dropped: Counter,
}

/// A connection, counted until it is dropped.
#[derive(Debug)]
pub struct Connected(Gauge);

/// A tunnel, counted until it is dropped.
#[derive(Debug)]
pub struct Tunnelled(Gauge);

impl Shard {
    pub(super) fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let unmatched = Rc::new(RouteCounts(shared.route("", "")));
        Self { shared, apps: RefCell::default(), unmatched, kept: Cell::new(0) }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// The counts of an App.
    pub fn app(&self, name: &str) -> Rc<App> {
        let mut apps = self.apps.borrow_mut();
        if let Some(app) = apps.get(name) {
            return app.clone();
        }
        let app = Rc::new(App { name: name.into(), shared: self.shared.clone(), routes: RefCell::default(), backends: RefCell::default() });
        apps.insert(name.into(), app.clone());
        app
    }

    /// The counts of requests that no rule was found for.
    pub fn unmatched(&self) -> Rc<RouteCounts> {
        self.unmatched.clone()
    }

    /// A connection was accepted.
    pub fn connected(&self) -> Connected {
        self.shared.accepted.add(1);
        self.shared.connections.rise();
        Connected(self.shared.connections.clone())
    }

    /// A connection was closed before it could ask.
    pub fn turned_away(&self, why: TurnedAway) {
        self.shared.turned_away[why as usize].add(1);
    }

    /// A client and a backend were joined.
    pub fn tunnelled(&self) -> Tunnelled {
        self.shared.tunnels.rise();
        Tunnelled(self.shared.tunnels.clone())
    }

    /// Requests that wait for a backend that is away.
    pub fn held(&self) -> Gauge {
        self.shared.held.clone()
    }

    /// Idle connections to HTTP backends; their pool sets it.
    pub fn idle_http(&self) -> Gauge {
        self.shared.idle_http.clone()
    }

    /// Idle connections to FastCGI backends; their pool sets it.
    pub fn idle_fastcgi(&self) -> Gauge {
        self.shared.idle_fastcgi.clone()
    }

    /// The access log did not take a line.
    pub fn line_dropped(&self) {
        self.shared.lines_dropped.add(1);
    }

    /// Whether so much has been met since the last [`Shard::forget`] that another one is worth its time.
    pub fn is_crowded(&self) -> bool {
        let cells = self.shared.cells();
        cells.len() > 2 * self.kept.get() + SPARE
    }

    /// Lets go of what is not served any more.
    pub fn forget(&self, served: &dyn Served) {
        let mut cells = self.shared.cells();
        cells.retain(served);
        self.kept.set(cells.len());
        // What is still served is found again in the cells.
        self.apps.borrow_mut().clear();
    }
}

impl App {
    /// The counts of a rule, by index and label.
    pub fn route(&self, index: usize, rule: &str) -> Rc<RouteCounts> {
        find(&mut self.routes.borrow_mut(), index, |counts| *counts.0.rule == *rule, || RouteCounts(self.shared.route(&self.name, rule)))
    }

    /// The counts of a backend, by index and name.
    pub fn backend(&self, index: usize, backend: &str) -> Rc<BackendCounts> {
        let new = || BackendCounts(self.shared.backend(&self.name, backend));
        find(&mut self.backends.borrow_mut(), index, |counts| *counts.0.backend == *backend, new)
    }
}

impl RouteCounts {
    /// The App's name; empty where no rule was found.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.0.app
    }

    /// The rule's label.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.0.rule
    }

    /// A request is over: its status, how long it took, the bytes of its body and of its answer's.
    pub fn count(&self, status: u16, took: Duration, received: u64, sent: u64) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.0.classes[class].add(1);
        self.0.latency.observe(took);
        self.0.received.add(received);
        self.0.sent.add(sent);
    }

    /// A filter did not let a request pass.
    pub fn count_held_up(&self, why: HeldUp) {
        self.0.held_up[why as usize].add(1);
    }
}

impl BackendCounts {
    /// The backend's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.backend
    }

    /// It did something wrong.
    pub fn count(&self, fault: Fault) {
        self.0.faults[fault as usize].add(1);
    }

    /// A request is sent to it again.
    pub fn retried(&self) {
        self.0.retries.add(1);
    }

    /// It wrote so many bytes to its stderr.
    pub fn complained(&self, bytes: usize) {
        self.0.stderr.add(bytes as u64);
    }

    /// Bytes of its stderr so far.
    #[must_use]
    pub fn stderr(&self) -> u64 {
        self.0.stderr.get()
    }

    /// Bytes of its stderr so far that are not in the log.
    #[must_use]
    pub fn stderr_dropped(&self) -> u64 {
        self.0.stderr_dropped.get()
    }

    /// So many bytes of its stderr are not in the log.
    pub fn unheard(&self, bytes: usize) {
        self.0.stderr_dropped.add(bytes as u64);
    }
}

impl Shared {
    pub(super) fn cells(&self) -> MutexGuard<'_, Cells> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cells of a rule, which are made if there are none.
    fn route(&self, app: &str, rule: &str) -> Arc<RouteCells> {
        let mut cells = self.cells();
        if let Some(route) = cells.routes.iter().find(|route| *route.app == *app && *route.rule == *rule) {
            return route.clone();
        }
        let route = Arc::new(RouteCells {
            app: app.into(),
            rule: rule.into(),
            classes: Default::default(),
            held_up: Default::default(),
            latency: Histogram::default(),
            received: Counter::default(),
            sent: Counter::default(),
        });
        cells.routes.push(route.clone());
        route
    }

    fn backend(&self, app: &str, backend: &str) -> Arc<BackendCells> {
        let mut cells = self.cells();
        if let Some(known) = cells.backends.iter().find(|known| *known.app == *app && *known.backend == *backend) {
            return known.clone();
        }
        let new = Arc::new(BackendCells {
            app: app.into(),
            backend: backend.into(),
            faults: Default::default(),
            retries: Counter::default(),
            stderr: Counter::default(),
            stderr_dropped: Counter::default(),
        });
        cells.backends.push(new.clone());
        new
    }
}

impl Cells {
    /// Leaves out what is not served. Requests without a rule always count.
    pub(super) fn retain(&mut self, served: &dyn Served) {
        self.routes.retain(|route| route.app.is_empty() || served.has_rule(&route.app, &route.rule));
        self.backends.retain(|known| served.has_backend(&known.app, &known.backend));
    }

    fn len(&self) -> usize {
        self.routes.len() + self.backends.len()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.fall();
    }
}

impl Drop for Tunnelled {
    fn drop(&mut self) {
        self.0.fall();
    }
}

/// What stands at the index, if it is the one; else it is put there.
fn find<T>(known: &mut Vec<Option<Rc<T>>>, index: usize, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> Rc<T> {
    if let Some(Some(found)) = known.get(index)
        && is(found)
    {
        return found.clone();
    }
    if known.len() <= index {
        known.resize_with(index + 1, || None);
    }
    let found = Rc::new(new());
    known[index] = Some(found.clone());
    found
}
