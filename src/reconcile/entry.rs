//! One App over time: its identity, the newest valid generation, the served one, and what was last said about it.
//!
//! In: what each listing says, what each look finds. Out: jobs, routes, claims. Never: another App.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::desired::Desired;
#[cfg(test)]
use super::fault;
use super::fault::Fault;
use super::parents::Parents;
use super::refusal::Refusal;
use super::step::{Claim, Decision, Found, Serving, Wanted, step};
use crate::api::v1::{App, ContainerRef, Diagnostic, Runtime};
use crate::compile::{self, Identity};
use crate::container::Container;
use crate::names::{AppName, ContainerPath};
use crate::resolve::ResolvedApp;
use crate::route::{CompiledApp, MediaTypes};
use crate::state::{Good, Record};

/// The shortest wait for a container that nobody knows: for each look `lxc-info` runs, and daemons are asked.
const STRANGER: Duration = Duration::from_secs(1);

/// Every App, by name. Boxed: a tree keeps room for as many again.
pub(super) type Entries = BTreeMap<AppName, Box<Entry>>;

/// One App. Clones are cheap: they share its manifests and what was found.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Identifies it to the watcher.
    pub(super) key: u64,
    /// What is kept on disk.
    pub(super) record: Record<App>,
    /// The newest valid generation; its number is `record.generation`.
    newest: Option<Newest>,
    /// Set while the manifest is refused.
    refusal: Option<Box<Refusal>>,
    /// Set while a step of it fails.
    fault: Option<Box<Fault<App>>>,
    /// What is served.
    pub(super) served: Option<Served>,
    /// What is said about it, without times.
    pub(super) claims: Arc<[Claim]>,
    /// What the watcher was told of last: what is served, and what waits.
    watching: [Option<Arc<ResolvedApp>>; 2],
    /// The wait before a missing reference is looked at again.
    pause: Backoff,
}

#[derive(Debug, Clone)]
struct Newest {
    app: Arc<App>,
    base: PathBuf,
    resolved: Option<Arc<ResolvedApp>>,
    /// Why no listener leads to it.
    attached: Result<(), String>,
}

/// A generation that is served.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) generation: u64,
    pub(super) resolved: Arc<ResolvedApp>,
    /// Whether a listener leads to it.
    attached: bool,
    /// The routes of the table are those of `resolved`.
    compiled: bool,
}

/// What is to be watched under a key from now on.
#[derive(Debug)]
pub(super) struct Rewatch {
    pub(super) key: u64,
    /// The container whose start matters.
    pub(super) reference: Option<ContainerRef>,
    /// The container as it is, and the paths in it.
    pub(super) watch: Option<(Container, Vec<ContainerPath>)>,
}

/// What a look has to look at.
#[derive(Debug)]
pub(super) struct Job {
    newest: Option<(Arc<App>, PathBuf, Option<Arc<ResolvedApp>>)>,
    served: Option<Arc<ResolvedApp>>,
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Seen {
    newest: Option<Arc<ResolvedApp>>,
    served: Option<Arc<ResolvedApp>>,
}

impl Job {
    /// Looks.
    pub(super) async fn run(self, runtimes: &crate::container::Runtimes) -> Seen {
        #[cfg(test)]
        fault::trip("look", self.newest.as_ref().map(|(app, ..)| &app.metadata));
        let newest = match self.newest {
            Some((app, base, before)) => Some(Arc::new(ResolvedApp::look(app, base, runtimes, before.as_deref()).await)),
            None => None,
        };
        let served = match self.served {
            Some(before) => Some(Arc::new(ResolvedApp::look(before.app.clone(), before.base.clone(), runtimes, Some(&before)).await)),
            None => None,
        };
        Seen { newest, served }
    }
}

impl Entry {
    pub(super) fn new(key: u64, record: Record<App>) -> Self {
        Self {
            key,
            record,
            newest: None,
            refusal: None,
            fault: None,
            served: None,
            claims: Arc::default(),
            watching: [None, None],
            pause: Backoff::default(),
        }
    }

    /// An App of an earlier run: its last good generation is what is served until its manifest has been read.
    pub(super) fn restored(key: u64, record: Record<App>) -> Self {
        let served = record.good.as_ref().map(|good| Served {
            generation: good.generation,
            resolved: Arc::new(ResolvedApp::unseen(good.object.clone(), good.base.clone())),
            attached: true,
            compiled: false,
        });
        Self { served, ..Self::new(key, record) }
    }

    /// Whether a listing says what it said before.
    pub(super) fn has(&self, desired: &Desired<App>) -> bool {
        let taken = match (&desired.object, &self.newest, &self.refusal) {
            (Ok(app), Some(newest), _) => newest.is(app, &desired.base),
            (Err(refusal), None, Some(before)) => *refusal == **before,
            _ => false,
        };
        taken && self.untaken().is_none() && self.record.file == desired.file
    }

    /// Takes what a listing says. Returns whether that is news.
    pub(super) fn want(&mut self, desired: Desired<App>) -> bool {
        self.record.file = desired.file;
        #[cfg(test)]
        fault::trip("want", desired.object.as_ref().ok().map(|app| &app.metadata));
        let app = match desired.object {
            Err(refusal) => {
                let news = self.refusal.as_deref() != Some(&refusal) || self.newest.is_some();
                (self.newest, self.refusal) = (None, Some(Box::new(refusal)));
                return news;
            }
            Ok(app) => app,
        };
        if self.newest.as_ref().is_some_and(|newest| newest.is(&app, &desired.base)) {
            return false;
        }
        if let Err(refusal) = self.acceptable(&app, &desired.base, desired.line) {
            return self.want(Desired { file: self.record.file.clone(), object: Err(refusal), ..desired });
        }
        if self.record.spec() != Some(&app.spec) {
            self.record.generation += 1;
            self.record.newer = Some(app.spec.clone());
        }
        // The served generation again, perhaps with other labels: its handles are good for it.
        let same =
            self.served.as_mut().filter(|served| served.generation == self.record.generation && served.resolved.base == desired.base);
        let resolved = same.map(|served| {
            Arc::make_mut(&mut served.resolved).app = app.clone();
            served.resolved.clone()
        });
        (self.newest, self.refusal) = (Some(Newest { app, base: desired.base, resolved, attached: Ok(()) }), None);
        true
    }

    /// Valid means: the exact object that is served can be built.
    fn acceptable(&self, app: &Arc<App>, base: &Path, line: u64) -> Result<(), Refusal> {
        use crate::api::v1::Reason;
        let place = (self.record.file.as_str(), line, 1);
        let unseen = ResolvedApp::unseen(app.clone(), base.to_path_buf());
        match compile::compile(&unseen, self.identity(0), &Arc::default(), None) {
            Ok(_) => Ok(()),
            Err(error) => Err(Refusal::one(Reason::Invalid, place, &error.field, error.message)),
        }
    }

    /// Takes what it may attach to. Returns whether that changes anything for it.
    pub(super) fn attach(&mut self, parents: &Parents) -> bool {
        let mut changed = false;
        #[cfg(test)]
        fault::trip("attach", self.newest.as_ref().map(|newest| &newest.app.metadata));
        if let Some(newest) = &mut self.newest {
            let attached = parents.lead_to(&newest.app.spec);
            changed |= std::mem::replace(&mut newest.attached, attached.clone()) != attached;
        }
        if let Some(served) = &mut self.served {
            let attached = parents.lead_to(&served.resolved.app.spec).is_ok();
            changed |= std::mem::replace(&mut served.attached, attached) != attached;
        }
        changed
    }

    /// What to look at; the served generation on its own only if it is not the newest.
    pub(super) fn job(&mut self) -> Job {
        let newest_is_served =
            self.newest.is_some() && self.served.as_ref().is_some_and(|served| served.generation == self.record.generation);
        Job {
            newest: self.newest.as_ref().map(|newest| (newest.app.clone(), newest.base.clone(), newest.resolved.clone())),
            served: self.served.as_ref().filter(|_| !newest_is_served).map(|served| served.resolved.clone()),
        }
    }

    /// Takes what was found. `None`: the manifest has changed since, and what was found is of no use.
    pub(super) fn see(&mut self, seen: Seen) -> Option<Decision> {
        let still_newest = match (&self.newest, &seen.newest) {
            (Some(newest), Some(found)) => newest.is(&found.app, &found.base),
            (None, None) => true,
            _ => false,
        };
        if !still_newest {
            return None;
        }
        if let (Some(served), Some(found)) = (&mut self.served, seen.served) {
            served.see(found);
        }
        if let (Some(newest), Some(found)) = (&mut self.newest, seen.newest) {
            newest.resolved = Some(found);
        }
        self.fault = None;
        let decision = self.decide();
        self.claims = decision.claims.as_slice().into();
        #[cfg(test)]
        fault::trip("see", self.newest.as_ref().map(|newest| &newest.app.metadata));
        Some(decision)
    }

    /// A step has panicked, and all that it changed is put back: only this is said of it. `untaken`: what could not be taken. Returns
    /// whether that is news.
    pub(super) fn fail(&mut self, message: String, untaken: Option<Desired<App>>) -> bool {
        let news = self.fault.as_ref().is_none_or(|fault| fault.message != message);
        self.fault = Some(Box::new(Fault { message, untaken }));
        self.claims = self.decide().claims.into();
        news
    }

    /// What could not be taken, to be tried again; the fault stays until that has worked.
    pub(super) fn untaken(&self) -> Option<Desired<App>> {
        self.fault.as_ref()?.untaken.clone()
    }

    /// What a listing says could be taken. Returns whether it could not before.
    pub(super) fn taken(&mut self) -> bool {
        self.fault.take_if(|fault| fault.untaken.is_some()).is_some()
    }

    fn decide(&self) -> Decision {
        let newest = self.newest.as_ref().and_then(|newest| Some((newest.resolved.as_ref()?, &newest.attached)));
        let serving = self.served.as_ref().map(|served| Serving {
            generation: served.generation,
            found: found(&served.resolved),
            attached: served.attached,
        });
        let generation = self.record.generation;
        if let Some(fault) = &self.fault {
            return step(Wanted::Invalid { reason: crate::api::v1::Reason::InternalError, message: &fault.message }, serving);
        }
        match (newest, &self.refusal) {
            (Some((resolved, Ok(()))), _) => step(Wanted::Valid { generation, found: found(resolved) }, serving),
            (Some((resolved, Err(message))), _) => step(Wanted::Detached { generation, found: found(resolved), message }, serving),
            (None, Some(refusal)) => step(Wanted::Invalid { reason: refusal.reason, message: &refusal.message() }, serving),
            (None, None) => {
                step(Wanted::Invalid { reason: crate::api::v1::Reason::Pending, message: "its manifest has not been read yet" }, serving)
            }
        }
    }

    /// Serves the newest generation from now on.
    pub(super) fn promote(&mut self) {
        let newest = self.newest.as_ref().and_then(|newest| Some((newest.resolved.clone()?, newest.attached.is_ok())));
        let Some((resolved, attached)) = newest else { return };
        let generation = self.record.generation;
        match &mut self.served {
            Some(served) if served.generation == generation => served.see(resolved),
            served => *served = Some(Served { generation, resolved, attached, compiled: false }),
        }
        if let Some(newest) = &self.newest {
            self.record.good = Some(Good { generation, base: newest.base.clone(), object: newest.app.clone() });
            self.record.newer = None;
        }
    }

    /// The routes of what is served, if they are not in the table yet. `media`: see [`compile::compile`]. `before`: what is there.
    pub(super) fn routes(&mut self, media: &Arc<MediaTypes>, before: Option<&CompiledApp>) -> Option<Result<CompiledApp, compile::Error>> {
        let served = self.served.as_ref().filter(|served| !served.compiled)?;
        let compiled = compile::compile(&served.resolved, self.identity(served.generation), media, before);
        if let Some(served) = &mut self.served {
            served.compiled = true;
        }
        Some(compiled)
    }

    fn identity(&self, generation: u64) -> Identity<'_> {
        Identity { name: &self.record.name, uid: &self.record.uid, generation, first_seen: self.record.first_seen }
    }

    /// What to watch, under which key, where that is another than before: for the served generation, and for one that waits.
    pub(super) fn rewatch(&mut self) -> Vec<Rewatch> {
        let newest = self.newest.as_ref().and_then(|newest| newest.resolved.as_ref());
        let wanted = [self.served.as_ref().map(|served| &served.resolved), newest.filter(|_| !self.serves_newest())];
        let mut news = Vec::new();
        for ((key, wanted), before) in (self.key..).zip(wanted).zip(&mut self.watching) {
            let same = wanted.zip(before.as_ref()).is_some_and(|(wanted, before)| wanted.is_watched_like(before));
            if !same {
                let watch = wanted.and_then(|resolved| Some((resolved.container.clone()?, resolved.watched_paths())));
                news.push(Rewatch { key, reference: wanted.and_then(|resolved| resolved.reference()), watch });
            }
            // Also if it is the same: what was found before is not kept for this.
            *before = wanted.cloned();
        }
        news
    }

    fn serves_newest(&self) -> bool {
        self.served.as_ref().is_some_and(|served| served.generation == self.record.generation)
    }

    /// The newest valid App, for showing it.
    pub(super) fn shown(&self) -> Option<&App> {
        let served = self.served.as_ref().map(|served| &*served.resolved.app);
        self.newest.as_ref().map(|newest| &*newest.app).or(served)
    }

    /// Everything that is wrong with the manifest as it is now.
    pub(super) fn errors(&self) -> &[Diagnostic] {
        self.refusal.as_ref().map_or(&[], |refusal| &refusal.errors)
    }

    /// How long to wait before looking again without an event: longer each time.
    pub(super) fn pause(&mut self) -> Duration {
        if self.waits_for_a_container() { self.pause.wait_at_least(STRANGER) } else { self.pause.wait() }
    }

    /// Whether no runtime knows its container. All of them were asked, and that it starts is heard.
    fn waits_for_a_container(&self) -> bool {
        let resolved = self.newest.as_ref().and_then(|newest| newest.resolved.as_deref());
        let is_unknown = |resolved: &ResolvedApp| {
            let reference = resolved.app.spec.container.as_ref();
            resolved.container.is_none() && reference.is_some_and(|reference| reference.runtime != Runtime::Directory)
        };
        resolved.is_some_and(is_unknown)
    }

    /// Something happened: what is missing may appear any moment.
    pub(super) fn hurry(&mut self) {
        self.pause.reset();
    }
}

impl Newest {
    /// Whether it is this very object.
    fn is(&self, app: &Arc<App>, base: &Path) -> bool {
        Arc::ptr_eq(&self.app, app) && self.base == base
    }
}

impl Served {
    fn see(&mut self, found: Arc<ResolvedApp>) {
        self.compiled &= self.resolved.routes_like(&found);
        self.resolved = found;
    }
}

fn found(resolved: &ResolvedApp) -> Found<'_> {
    Found { missing: &resolved.missing, references: resolved.references }
}
