//! Which Apps are looked at next, which later, and which are being looked at.
//!
//! In: names, times, jobs. Out: what was seen. Never: two looks at one App at a time; more than a bounded number in all; an App that waits
//! because others never rest.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::entry::{Job, Seen};
use super::fault;
use super::queue::Queue;
use crate::container::Runtimes;
use crate::metrics::Control;
use crate::names::AppName;

/// Looks that run at the same time.
const LOOKS_AT_ONCE: usize = 64;

/// The order of the day.
#[derive(Debug)]
pub(super) struct Agenda {
    runtimes: Arc<Runtimes>,
    now: Queue,
    later: BTreeSet<(Instant, AppName)>,
    when: HashMap<AppName, Instant>,
    looks: JoinSet<Result<Seen, String>>,
    /// Where they run; none: here.
    elsewhere: Option<Handle>,
    looking: HashMap<Id, AppName>,
    /// The same names.
    busy: HashSet<AppName>,
    /// Asked for again while a look was under way.
    again: BTreeSet<AppName>,
}

impl Agenda {
    pub(super) fn new(runtimes: Arc<Runtimes>) -> Self {
        Self {
            runtimes,
            now: Queue::default(),
            later: BTreeSet::new(),
            when: HashMap::new(),
            looks: JoinSet::new(),
            elsewhere: None,
            looking: HashMap::new(),
            busy: HashSet::new(),
            again: BTreeSet::new(),
        }
    }

    /// Looks run on this runtime from now on.
    pub(super) fn looking_on(&mut self, runtime: Handle) {
        self.elsewhere = Some(runtime);
    }

    /// Looks at an App as soon as there is room.
    pub(super) fn soon(&mut self, name: AppName) {
        self.cancel(&name);
        self.now.push(name);
    }

    /// Looks at an App at a time, unless something asks for it earlier.
    pub(super) fn later(&mut self, name: AppName, when: Instant) {
        self.cancel(&name);
        self.later.insert((when, name.clone()));
        self.when.insert(name, when);
    }

    /// Does not look at an App any more.
    pub(super) fn forget(&mut self, name: &AppName) {
        self.cancel(name);
        self.now.remove(name);
        self.again.remove(name);
    }

    fn cancel(&mut self, name: &AppName) {
        if let Some(when) = self.when.remove(name) {
            self.later.remove(&(when, name.clone()));
        }
    }

    /// When the next App is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(when, _)| *when)
    }

    /// Whether nothing is under way or waits for room.
    pub(super) fn is_idle(&self) -> bool {
        self.now.is_empty() && self.looks.is_empty()
    }

    /// Whether some wait for room.
    pub(super) fn is_full(&self) -> bool {
        !self.now.is_empty()
    }

    /// Starts what is due. `job`: what there is to do for an App; `None` if it is gone.
    pub(super) fn start(&mut self, counts: &Control, mut job: impl FnMut(&AppName) -> Option<Job>) {
        while let Some((when, name)) = self.later.first().cloned()
            && when <= Instant::now()
        {
            self.soon(name);
        }
        while self.looks.len() < LOOKS_AT_ONCE
            && let Some(name) = self.now.pop()
        {
            if self.busy.contains(&name) {
                self.again.insert(name);
                continue;
            }
            let Some(job) = job(&name) else { continue };
            let (runtimes, counts) = (self.runtimes.clone(), counts.clone());
            let look = async move { counts.looking(fault::contain_async(job.run(&runtimes))).await };
            let task = match &self.elsewhere {
                Some(runtime) => self.looks.spawn_on(look, runtime),
                None => self.looks.spawn(look),
            };
            self.busy.insert(name.clone());
            self.looking.insert(task.id(), name);
        }
    }

    /// The next look that has ended; never, if none is under way. An error in it: the look has panicked, and this is to be said.
    pub(super) async fn seen(&mut self) -> (AppName, Result<Seen, String>) {
        loop {
            let Some(result) = self.looks.join_next_with_id().await else { std::future::pending().await };
            if let Some(seen) = self.ended(result) {
                return seen;
            }
        }
    }

    /// A look that has ended already.
    pub(super) fn seen_already(&mut self) -> Option<(AppName, Result<Seen, String>)> {
        loop {
            let result = self.looks.try_join_next_with_id()?;
            if let Some(seen) = self.ended(result) {
                return Some(seen);
            }
        }
    }

    fn ended(&mut self, result: Result<(Id, Result<Seen, String>), JoinError>) -> Option<(AppName, Result<Seen, String>)> {
        let (id, seen) = match result {
            Ok((id, seen)) => (id, seen),
            Err(error) => (error.id(), Err(format!("internal error: {error}"))),
        };
        let name = self.looking.remove(&id)?;
        self.busy.remove(&name);
        if self.again.remove(&name) {
            self.now.push(name.clone());
        }
        Some((name, seen))
    }
}
