//! When a change of an App was noticed -> how long it took until it was served.
//!
//! In: what happens to Apps, in order. Out: times, in the counts of the control plane. Never: a part in any decision.

use std::collections::HashMap;
use std::time::Instant;

use crate::metrics::Control;
use crate::names::AppName;

/// Room for so many changes stays.
const ROOM: usize = 64;

/// Changes on their way.
#[derive(Debug, Default)]
pub(super) struct Timing {
    counts: Control,
    noticed: HashMap<AppName, Instant>,
    /// Routes that were changed and are not published yet, each by when that was noticed.
    decided: Vec<Instant>,
}

impl Timing {
    pub(super) fn new(counts: Control) -> Self {
        Self { counts, ..Self::default() }
    }

    pub(super) fn counts(&self) -> &Control {
        &self.counts
    }

    /// A listing or an event says that something is different; the first word counts.
    pub(super) fn noticed(&mut self, name: &AppName) {
        if !self.noticed.contains_key(name) {
            self.noticed.insert(name.clone(), Instant::now());
        }
    }

    /// The App was looked at. Unless that changed its routes, there was nothing to be served.
    pub(super) fn decided(&mut self, name: &AppName, changed: bool) {
        let noticed = self.noticed.remove(name);
        if self.noticed.is_empty() {
            // After a start that was the room for all Apps, 65 bytes for each.
            self.noticed.shrink_to(ROOM);
        }
        if changed {
            self.decided.extend(noticed);
        }
    }

    /// All that was decided is served.
    pub(super) fn served(&mut self) {
        self.decided.drain(..).for_each(|noticed| self.counts.served(noticed));
        self.decided.shrink_to(ROOM);
    }
}
