//! One Gateway over time: its identity, the newest valid generation, the served one with its listeners, and what was last said about it.
//!
//! In: what each listing says, ports. Out: listeners that are open, or why they are not; claims. Never: another Gateway, but for what
//! older ones have taken.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::ports::{Ports, problem};
use crate::api::v1::{Diagnostic, Gateway, Reason};
use crate::compile;
use crate::listen::Options;
use crate::names::{AppName, HostPattern};
use crate::reconcile::backoff::Backoff;
use crate::reconcile::desired::Desired;
#[cfg(test)]
use crate::reconcile::fault;
use crate::reconcile::fault::Fault;
use crate::reconcile::refusal::Refusal;
use crate::reconcile::step::{Claim, Decision, Found, Serve, Serving, Wanted, step};
use crate::resolve::{Missing, Reference};
use crate::route::Front;
use crate::state::{Good, Record};

/// Who has an address for a host, and whether connections begin with a header of the PROXY protocol there: they all do, or none does.
pub(super) type Taken = BTreeMap<(SocketAddr, Option<HostPattern>), (Front, bool)>;

/// One Gateway. Clones are cheap: they share its manifests.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Entry {
    /// What is kept on disk.
    pub(in crate::reconcile) record: Record<Gateway>,
    /// The newest valid generation, with its base; its number is `record.generation`.
    newest: Option<(Arc<Gateway>, PathBuf)>,
    /// Set while the manifest is refused.
    refusal: Option<Refusal>,
    /// Set while a step of it fails: only what is served is looked at then.
    fault: Option<Fault<Gateway>>,
    /// What is served.
    pub(in crate::reconcile) served: Option<Served>,
    /// What is said about it, without times.
    pub(in crate::reconcile) claims: Vec<Claim>,
    /// Addresses that can't be listened on, and why, until they are tried again.
    failed: BTreeMap<SocketAddr, String>,
    backoff: Backoff,
    due: Option<Instant>,
}

/// A generation that is served.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::reconcile) struct Served {
    pub(in crate::reconcile) generation: u64,
    pub(in crate::reconcile) listeners: Vec<Listener>,
    gateway: Arc<Gateway>,
}

/// A listener, as it was found.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::reconcile) struct Listener {
    pub(in crate::reconcile) front: Front,
    /// How it is listened on.
    pub(in crate::reconcile) options: Arc<Options>,
    /// Why it does not listen; none: it does.
    pub(in crate::reconcile) missing: Option<Missing>,
}

impl Entry {
    pub(super) fn new(record: Record<Gateway>) -> Self {
        Self {
            record,
            newest: None,
            refusal: None,
            fault: None,
            served: None,
            claims: Vec::new(),
            failed: BTreeMap::new(),
            backoff: Backoff::default(),
            due: None,
        }
    }

    /// A Gateway of an earlier run: its last good generation is what is served until its manifest has been read.
    pub(super) fn restored(record: Record<Gateway>) -> Self {
        let good = record.good.as_ref();
        let served = good.map(|good| Served { generation: good.generation, listeners: Vec::new(), gateway: good.object.clone() });
        Self { served, ..Self::new(record) }
    }

    /// Takes what a listing says. Returns whether that is news.
    pub(super) fn want(&mut self, desired: Desired<Gateway>, ports: &Ports) -> bool {
        let moved = self.record.file != desired.file;
        self.record.file = desired.file;
        #[cfg(test)]
        fault::trip("want", desired.object.as_ref().ok().map(|gateway| &gateway.metadata));
        let gateway = match desired.object.and_then(|gateway| self.acceptable(gateway, desired.line, ports)) {
            Err(refusal) => {
                let news = self.refusal.as_ref() != Some(&refusal) || self.newest.is_some();
                (self.newest, self.refusal) = (None, Some(refusal));
                self.fault.take_if(|_| news);
                return news || moved;
            }
            Ok(gateway) => gateway,
        };
        if self.newest.as_ref().is_some_and(|(newest, base)| Arc::ptr_eq(newest, &gateway) && *base == desired.base) {
            return moved;
        }
        if self.record.spec() != Some(&gateway.spec) {
            self.record.generation += 1;
            self.record.newer = Some(Arc::new(gateway.spec.clone()));
        }
        (self.newest, self.refusal, self.fault) = (Some((gateway, desired.base)), None, None);
        self.hurry();
        true
    }

    /// Valid means: every listener has an address, and it is clear how it is listened on.
    fn acceptable(&self, gateway: Arc<Gateway>, line: u64, ports: &Ports) -> Result<Arc<Gateway>, Refusal> {
        let refused = |field: &str, why| Refusal::one(Reason::Invalid, (&self.record.file, line, 1), field, why);
        for (index, listener) in gateway.spec.listeners.iter().enumerate() {
            if ports.address(listener).is_none() {
                return Err(refused(&format!("spec.listeners[{index}].address"), "is not an address".to_owned()));
            }
            compile::options(&gateway.spec, listener).map_err(|error| refused(&error.field, error.message))?;
        }
        Ok(gateway)
    }

    /// A step has panicked, and all that it changed is put back: only this is said of it. `untaken`: what could not be taken. Returns
    /// whether that is news.
    pub(in crate::reconcile) fn fail(&mut self, message: String, untaken: Option<Desired<Gateway>>) -> bool {
        let news = self.fault.as_ref().is_none_or(|fault| fault.message != message);
        self.fault = Some(Fault { message, untaken });
        self.claims = self.decide(None, self.served.as_ref().map(|served| &served.listeners[..])).claims;
        // The look that follows says when.
        self.due = None;
        news
    }

    /// What could not be taken, if it is time to try that again.
    pub(super) fn untaken(&self, now: Instant) -> Option<Desired<Gateway>> {
        self.fault.as_ref().filter(|_| self.is_due(now))?.untaken.clone()
    }

    /// What a listing says could be taken. Returns whether it could not before.
    pub(super) fn taken(&mut self) -> bool {
        self.fault.take_if(|fault| fault.untaken.is_some()).is_some()
    }

    /// When something is tried again: a step that has failed, or a port that could not be listened on.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Binds what is wanted, decides, opens what is served, and takes it. Returns whether something about it has changed.
    pub(super) fn look(&mut self, now: Instant, ports: &mut Ports, taken: &mut Taken) -> bool {
        if self.is_due(now) {
            self.failed.clear();
            self.due = None;
            self.fault.take_if(|fault| fault.untaken.is_none());
        }
        let before = (self.served.clone(), std::mem::take(&mut self.claims));
        // Ends: each turn but the last adds an address that is not tried again here.
        while let Err((address, why)) = self.decide_and_open(ports, taken) {
            self.failed.insert(address, why);
        }
        self.take(taken);
        if self.failed.is_empty() && self.fault.is_none() {
            self.hurry();
        } else if self.due.is_none() {
            self.due = Some(now + self.backoff.wait());
        }
        before.0 != self.served || before.1 != self.claims
    }

    /// What is served stays as it is, without a look, as far as nobody older has it now.
    pub(super) fn stay(&mut self, now: Instant, taken: &mut Taken) {
        if let Some(served) = &mut self.served {
            served.listeners.retain(|listener| !taken.contains_key(&claim(&listener.front)));
        }
        self.take(taken);
        self.due = Some(now + self.backoff.wait());
    }

    fn take(&self, taken: &mut Taken) {
        for listener in self.listeners().iter().filter(|listener| listener.is_accepted()) {
            taken.insert(claim(&listener.front), (listener.front.clone(), listener.options.proxy_protocol));
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Serves what the step says.
    ///
    /// # Errors
    /// The address that could be bound but not opened, and why.
    fn decide_and_open(&mut self, ports: &mut Ports, taken: &Taken) -> Result<(), (SocketAddr, String)> {
        let mut look = |gateway: &Gateway| look(&self.record.name, gateway, ports, taken, &mut self.failed);
        let newest = self.newest.as_ref().filter(|_| self.fault.is_none()).map(|(gateway, _)| look(gateway));
        let older = self.served.as_ref().filter(|served| newest.is_none() || served.generation != self.record.generation);
        let older = older.map(|served| look(&served.gateway));
        let decision = self.decide(newest.as_deref(), older.as_deref());
        let listeners = if decision.serve == Serve::Wanted { newest } else { older }.unwrap_or_default();
        for Listener { front, .. } in listeners.iter().filter(|listener| listener.missing.is_none()) {
            ports.open(front.socket).map_err(|error| (front.socket, problem(front.socket, &error)))?;
        }
        if decision.serve == Serve::Wanted {
            self.promote();
        }
        if let Some(served) = &mut self.served {
            served.listeners = listeners;
        }
        self.claims = decision.claims;
        Ok(())
    }

    fn decide(&self, newest: Option<&[Listener]>, older: Option<&[Listener]>) -> Decision {
        let [newest_missing, older_missing] = [newest, older].map(|listeners| missing(listeners.unwrap_or_default()));
        let [newest_found, older_found] = [(newest, &newest_missing), (older, &older_missing)]
            .map(|(listeners, missing)| Found { missing, references: listeners.map_or(0, <[_]>::len) });
        let serving = self.served.as_ref().map(|served| Serving { generation: served.generation, found: older_found, attached: true });
        let fault = self.fault.as_ref().map(|fault| (Reason::InternalError, fault.message.clone()));
        let refused = fault.or_else(|| self.refusal.as_ref().map(|refusal| (refusal.reason, refusal.message())));
        let wanted = match (newest, &refused) {
            (Some(_), _) => Wanted::Valid { generation: self.record.generation, found: newest_found },
            (None, Some((reason, message))) => Wanted::Invalid { reason: *reason, message },
            (None, None) => Wanted::Invalid { reason: Reason::Pending, message: "its manifest has not been read yet" },
        };
        step(wanted, serving)
    }

    /// Serves the newest generation from now on.
    fn promote(&mut self) {
        let Some((gateway, base)) = &self.newest else { return };
        let generation = self.record.generation;
        let same = self.served.as_ref().is_some_and(|served| served.generation == generation && Arc::ptr_eq(&served.gateway, gateway));
        if !same {
            self.served = Some(Served { generation, listeners: Vec::new(), gateway: gateway.clone() });
            self.record.good = Some(Good { generation, base: base.clone(), object: gateway.clone() });
            self.record.newer = None;
        }
    }

    /// The listeners of what is served.
    pub(in crate::reconcile) fn listeners(&self) -> &[Listener] {
        self.served.as_ref().map_or(&[], |served| &served.listeners)
    }

    /// The newest valid Gateway, for showing it.
    pub(in crate::reconcile) fn shown(&self) -> Option<&Gateway> {
        let served = self.served.as_ref().map(|served| &*served.gateway);
        self.newest.as_ref().map(|(newest, _)| &**newest).or(served)
    }

    /// Everything that is wrong with the manifest as it is now.
    pub(in crate::reconcile) fn errors(&self) -> &[Diagnostic] {
        self.refusal.as_ref().map_or(&[], |refusal| &refusal.errors)
    }

    fn hurry(&mut self) {
        self.failed.clear();
        self.backoff.reset();
        self.due = None;
    }
}

impl Listener {
    /// Whether no other listener has its address for its host.
    pub(in crate::reconcile) fn is_accepted(&self) -> bool {
        self.missing.as_ref().is_none_or(|missing| missing.reason != Reason::ListenerConflict)
    }
}

/// Binds the listeners of a generation.
fn look(name: &AppName, gateway: &Gateway, ports: &mut Ports, taken: &Taken, failed: &mut BTreeMap<SocketAddr, String>) -> Vec<Listener> {
    #[cfg(test)]
    fault::trip("look", Some(&gateway.metadata));
    let mut own = Taken::new();
    let mut found = Vec::new();
    for listener in &gateway.spec.listeners {
        let Some(socket) = ports.address(listener) else { continue };
        // What can't be made of it was refused before.
        let Ok(options) = compile::options(&gateway.spec, listener).map(Arc::new) else { continue };
        let front = Front { name: Some((name.clone(), listener.name.clone())), socket, hostname: listener.hostname.clone() };
        let missing = |reason, message| Missing { reference: Reference::Listener(listener.name.clone()), reason, message, spared: false };
        let missing = match conflict(&front, options.proxy_protocol, taken).or_else(|| conflict(&front, options.proxy_protocol, &own)) {
            Some(message) => Some(missing(Reason::ListenerConflict, message)),
            None => unavailable(socket, ports, failed).map(|why| missing(Reason::PortUnavailable, why)),
        };
        own.entry(claim(&front)).or_insert_with(|| (front.clone(), options.proxy_protocol));
        found.push(Listener { front, options, missing });
    }
    found
}

/// Why an address can't be bound; one that could not be is not tried again before its time.
fn unavailable(address: SocketAddr, ports: &mut Ports, failed: &mut BTreeMap<SocketAddr, String>) -> Option<String> {
    if let Some(why) = failed.get(&address) {
        return Some(why.clone());
    }
    let why = problem(address, &ports.bind(address).err()?);
    failed.insert(address, why.clone());
    Some(why)
}

fn claim(front: &Front) -> (SocketAddr, Option<HostPattern>) {
    (front.socket, front.hostname.clone())
}

/// Why a listener can't be beside those that are there; none: it can.
fn conflict(front: &Front, proxy_protocol: bool, taken: &Taken) -> Option<String> {
    if let Some((other, _)) = taken.get(&claim(front)) {
        let host = front.hostname.as_ref().map_or_else(|| "any host".to_owned(), |host| format!("`{host}`"));
        return Some(format!("listener `{front}`: the older `{other}` is for {host} on {} already", front.socket));
    }
    let (other, _) = taken.values().find(|(other, with_header)| other.socket == front.socket && *with_header != proxy_protocol)?;
    let [own, theirs] = if proxy_protocol { ["has", "has not"] } else { ["has not", "has"] };
    Some(format!("listener `{front}` {own} `proxyProtocol`, the older `{other}` on {} {theirs}", front.socket))
}

fn missing(listeners: &[Listener]) -> Vec<Missing> {
    listeners.iter().filter_map(|listener| listener.missing.clone()).collect()
}
