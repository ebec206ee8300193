//! Gateways, and what there is without one -> listeners that are open.
//!
//! In: what each listing says of Gateways, `--listen`. Out: the listeners that Apps attach to, the sockets behind them, and which Gateways
//! have something new to say. Never: an App; a wait: binding a port is done at once.
//!
//! One look decides on all Gateways, the oldest first: who is older keeps an address and host. `entry` is one Gateway, `ports` holds what
//! is bound, `command_line` is the listener that is there while no Gateway has one. A panic in a step of a Gateway is that Gateway's matter:
//! what it serves stays, and it is tried again.

mod command_line;
mod entry;
mod ports;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::desired::Desired;
use super::fault;
use super::parents::Parents;
use crate::api::v1::Gateway;
use crate::listen::{Options, Sockets};
use crate::names::AppName;
use crate::route::Front;
use crate::state::Record;
use command_line::CommandLine;
use entry::Taken;
pub(super) use entry::{Entry, Listener};
use ports::Ports;

/// Where the daemon listens while no Gateway says so, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// `--listen`.
    pub address: SocketAddr,
    /// Serving threads: each listener has a socket for each of them.
    pub threads: usize,
}

/// Every Gateway.
#[derive(Debug)]
pub(super) struct Gateways {
    entries: BTreeMap<AppName, Entry>,
    ports: Ports,
    command_line: CommandLine,
    parents: Parents,
    sockets: Sockets,
    /// Gateways that have something new to say.
    changed: BTreeSet<AppName>,
    /// A listing has said something new.
    news: bool,
}

/// What a look has changed.
#[derive(Debug)]
pub(super) struct Change {
    /// Gateways that have something new to say.
    pub(super) gateways: BTreeSet<AppName>,
    /// The listeners are others, or open ones are.
    pub(super) listeners: bool,
}

impl Gateways {
    /// Gateways as earlier runs have kept them; nothing is bound yet.
    pub(super) fn new(listen: Listening, records: Vec<Record<Gateway>>) -> Self {
        Self {
            entries: records.into_iter().map(|record| (record.name.clone(), Entry::restored(record))).collect(),
            ports: Ports::new(listen.threads),
            command_line: CommandLine::new(listen.address),
            parents: Parents::default(),
            sockets: Sockets::default(),
            changed: BTreeSet::new(),
            news: true,
        }
    }

    /// One of them.
    pub(super) fn entry(&self, name: &AppName) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All of them.
    pub(super) fn names(&self) -> impl Iterator<Item = AppName> {
        self.entries.keys().cloned()
    }

    /// The file that each came from last.
    pub(super) fn owners(&self) -> BTreeMap<AppName, String> {
        self.entries.iter().map(|(name, entry)| (name.clone(), entry.record.file.clone())).collect()
    }

    /// What Apps may attach to.
    pub(super) fn parents(&self) -> &Parents {
        &self.parents
    }

    /// Everything that clients can connect to.
    pub(super) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Takes what a listing says. `first`: the identity of a Gateway that is new, from its name and file.
    pub(super) fn list(
        &mut self,
        objects: BTreeMap<AppName, Desired<Gateway>>,
        gone: Vec<AppName>,
        first: impl Fn(&AppName, &str) -> Record<Gateway>,
    ) {
        for name in gone {
            if self.entries.remove(&name).is_some() {
                self.changed.insert(name);
                self.news = true;
            }
        }
        for (name, desired) in objects {
            let entry = self.entries.entry(name.clone()).or_insert_with(|| Entry::new(first(&name, &desired.file)));
            if want(entry, desired, &self.ports) {
                self.changed.insert(name);
                self.news = true;
            }
        }
    }

    /// When something that failed is tried again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(Entry::due).chain(self.command_line.due()).min()
    }

    /// Opens and closes listeners, if there is reason to look. `None`: nothing has changed.
    pub(super) fn look(&mut self, now: Instant) -> Option<Change> {
        if !std::mem::take(&mut self.news) && self.next_due().is_none_or(|due| due > now) {
            return None;
        }
        let (fronts, options) = self.look_at_each(now);
        let gateways = self.entries.keys().cloned().collect();
        let parents = Parents { fronts, gateways };
        let sockets = self.ports.sockets(&options);
        let listeners = parents != self.parents || !same(&sockets, &self.sockets);
        (self.parents, self.sockets) = (parents, sockets);
        let gateways = std::mem::take(&mut self.changed);
        (listeners || !gateways.is_empty()).then_some(Change { gateways, listeners })
    }

    /// The listeners, and how their addresses are listened on.
    fn look_at_each(&mut self, now: Instant) -> (Vec<Front>, BTreeMap<SocketAddr, Arc<Options>>) {
        let mut by_age: Vec<_> = self.entries.iter_mut().collect();
        by_age.sort_by_key(|(name, entry)| (entry.record.first_seen, *name));
        let mut taken = Taken::new();
        let (mut fronts, mut wanted, mut options) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        for (name, entry) in by_age {
            if look(entry, now, &mut self.ports, &mut taken) {
                self.changed.insert(name.clone());
            }
            let accepted = entry.listeners().iter().filter(|listener| listener.is_accepted());
            fronts.extend(accepted.clone().map(|listener| listener.front.clone()));
            for listener in accepted.filter(|listener| listener.missing.is_none()) {
                wanted.insert(listener.front.socket);
                join(&mut options, listener);
            }
        }
        if wanted.is_empty() {
            let front = self.command_line.open(now, &mut self.ports);
            wanted.insert(front.socket);
            fronts.push(front);
        } else {
            self.command_line.rest();
        }
        self.ports.keep(&wanted);
        (fronts, options)
    }
}

/// Adds what a listener says of its address to what others say of it: the strictest holds.
fn join(options: &mut BTreeMap<SocketAddr, Arc<Options>>, listener: &Listener) {
    let both = options.get(&listener.front.socket).filter(|others| **others != listener.options);
    let both = both.map_or_else(|| listener.options.clone(), |others| Arc::new(others.strictest(&listener.options)));
    options.insert(listener.front.socket, both);
}

/// Takes what a listing says of a Gateway. Returns whether that is news.
fn want(entry: &mut Entry, desired: Desired<Gateway>, ports: &Ports) -> bool {
    let before = entry.clone();
    match fault::contain(|| entry.want(desired.clone(), ports)) {
        Ok(news) => news | entry.taken(),
        Err(fault) => {
            // Whatever was half-changed.
            *entry = before;
            entry.record.file.clone_from(&desired.file);
            failed(entry, fault, Some(desired));
            true
        }
    }
}

/// Looks at a Gateway. Returns whether something about it has changed.
fn look(entry: &mut Entry, now: Instant, ports: &mut Ports, taken: &mut Taken) -> bool {
    let retaken = entry.untaken(now).is_some_and(|desired| want(entry, desired, ports));
    let before = entry.clone();
    let fault = match fault::contain(|| entry.look(now, ports, taken)) {
        Ok(changed) => return changed || retaken,
        Err(fault) => fault,
    };
    // Whatever was half-changed; an address that was bound and is not wanted is let go of when all were looked at.
    *entry = before;
    failed(entry, fault, None);
    // Without its manifest: at the start of a run nothing of what is served is bound yet.
    let before = entry.clone();
    if fault::contain(|| entry.look(now, ports, taken)).is_err() {
        *entry = before;
        entry.stay(now, taken);
    }
    true
}

fn failed(entry: &mut Entry, fault: String, untaken: Option<Desired<Gateway>>) {
    let line = fault.clone();
    if entry.fail(fault, untaken) {
        tracing::error!(gateway = %entry.record.name, file = %entry.record.file, "{line}");
    }
}

fn same(one: &Sockets, other: &Sockets) -> bool {
    one.len() == other.len() && one.iter().zip(&**other).all(|(one, other)| one.0 == other.0 && one.1.is_same(other.1))
}
