//! A listing -> what each App and Gateway that it concerns should be, and which are gone.
//!
//! In: listings, and the file that each object came from last. Out: [`News`]: of what has changed since the last listing, and of nothing else.
//! Never: a deletion that may be a mistake of the place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use super::desired::{self, Assignment, File, Owners, Stray, assign};
use super::entry::Entries;
use super::fault;
use super::gateways::Gateways;
use super::refusal::Refusal;
use super::ties::{self, Ties};
use crate::api::v1::Reason;
use crate::manifest::{self, Parsed};
use crate::names::AppName;
use crate::resolve::base_of;
use crate::source::{FileContent, Listing};
use crate::state::batch;

/// Reads listings; a file that did not change is parsed once.
#[derive(Debug)]
pub(super) struct Intake {
    /// An empty directory means: no objects.
    allow_empty: bool,
    /// What was read last.
    last: Option<Arc<Listing>>,
    files: BTreeMap<String, File>,
    ties: Ties,
    stray_apps: Strays,
    stray_gateways: Strays,
}

/// By file.
type Strays = BTreeMap<String, Vec<Stray>>;

/// What a listing means.
#[derive(Debug)]
pub(super) struct News {
    /// Of what has changed.
    pub(super) assignment: Assignment,
    pub(super) gone_apps: Vec<AppName>,
    pub(super) gone_gateways: Vec<AppName>,
    /// All that belongs to no object, if that has changed.
    pub(super) strays: Option<[Vec<Stray>; 2]>,
}

/// The objects there are, each with the file that it came from last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) apps: &'a Entries,
    pub(super) gateways: &'a Gateways,
}

impl Intake {
    pub(super) fn new(allow_empty: bool) -> Self {
        let (last, ties) = (None, Ties::default());
        Self { allow_empty, last, files: BTreeMap::new(), ties, stray_apps: Strays::new(), stray_gateways: Strays::new() }
    }

    /// Reads a listing. `None`: the directory has become empty, which is no deletion.
    pub(super) fn read(&mut self, listing: &Arc<Listing>, known: Known<'_>) -> Option<News> {
        let empty = listing.problem.is_none() && listing.files.is_empty() && !known.is_nothing() && !self.allow_empty;
        if empty {
            return None;
        }
        let last = self.last.replace(listing.clone());
        let changed = differing(last.as_deref(), listing);
        let spoken = self.parse(listing, &changed);
        // What is gone and what can't be seen is another thing now: all may be concerned.
        let all = last.is_none_or(|last| last.problem != listing.problem || last.unread != listing.unread);
        let part = if all {
            None
        } else {
            Some(self.ties.part(&changed, spoken, &self.files, |name| known.files_of(name).into_iter().flatten().collect()))
        };
        let (some_files, owners) = match &part {
            None => (None, known.owners()),
            Some(part) => (Some(self.files_in(part)), known.owners_of(&part.names)),
        };
        let files = some_files.as_ref().unwrap_or(&self.files);
        let mut assignment = assign(files, &owners);
        let gone_apps = gone(&owners.apps, &assignment.apps, files, listing);
        let gone_gateways = gone(&owners.gateways, &assignment.gateways, files, listing);
        let part = part.unwrap_or_else(|| everything(&self.files, &owners));
        let stay = |gone: &[AppName], name: &AppName, file: Option<String>| file.filter(|_| gone.binary_search(name).is_err());
        let before = |name: &AppName| {
            let [app, gateway] = known.files_of(name);
            [stay(&gone_apps, name, app), stay(&gone_gateways, name, gateway)]
        };
        self.ties.renew(&part, &self.files, |name| ties::owners_of(name, &assignment, before));
        let strays = [
            replace(&mut self.stray_apps, all, &part.files, std::mem::take(&mut assignment.apps.strays)),
            replace(&mut self.stray_gateways, all, &part.files, std::mem::take(&mut assignment.gateways.strays)),
        ];
        let listed = |strays: &Strays| strays.values().flatten().cloned().collect();
        let strays = strays.contains(&true).then(|| [listed(&self.stray_apps), listed(&self.stray_gateways)]);
        Some(News { assignment, gone_apps, gone_gateways, strays })
    }

    /// Parses what has changed. Returns the names that these files spoke of before.
    fn parse(&mut self, listing: &Listing, changed: &[String]) -> BTreeSet<AppName> {
        let read = |path: &String| {
            let content = listing.files.get(path.as_str())?;
            Some(File { base: base_of(&content.path), content: read(path, content) })
        };
        let mut spoken = BTreeSet::new();
        for (path, file) in changed.iter().zip(batch::map(changed, read)) {
            let before = match file {
                Some(file) => self.files.insert(path.clone(), file),
                None => self.files.remove(path),
            };
            spoken.extend(before.as_ref().map(ties::names).unwrap_or_default());
        }
        spoken
    }

    fn files_in(&self, part: &ties::Part) -> BTreeMap<String, File> {
        part.files.iter().filter_map(|path| self.files.get(path).map(|file| (path.clone(), file.clone()))).collect()
    }
}

impl Known<'_> {
    fn is_nothing(&self) -> bool {
        self.apps.is_empty() && self.gateways.names().next().is_none()
    }

    /// The files that the App and the Gateway of this name came from.
    fn files_of(&self, name: &AppName) -> [Option<String>; 2] {
        let app = self.apps.get(name).map(|app| app.record.file.clone());
        [app, self.gateways.entry(name).map(|gateway| gateway.record.file.clone())]
    }

    fn owners(&self) -> Owners {
        let apps = self.apps.iter().map(|(name, entry)| (name.clone(), entry.record.file.clone())).collect();
        Owners { apps, gateways: self.gateways.owners() }
    }

    fn owners_of(&self, names: &BTreeSet<AppName>) -> Owners {
        let mut owners = Owners::default();
        for name in names {
            let [app, gateway] = self.files_of(name);
            owners.apps.extend(app.map(|file| (name.clone(), file)));
            owners.gateways.extend(gateway.map(|file| (name.clone(), file)));
        }
        owners
    }
}

/// The files that one listing has and the other has not, or with other content, in order.
fn differing(before: Option<&Listing>, after: &Listing) -> Vec<String> {
    let nothing = OrdMap::new();
    let before = before.map_or(&nothing, |before| &before.files);
    let path = |item: DiffItem<'_, '_, Arc<str>, Arc<FileContent>>| match item {
        DiffItem::Add(path, _) | DiffItem::Remove(path, _) | DiffItem::Update { new: (path, _), .. } => path.to_string(),
    };
    before.diff(&after.files).map(path).collect()
}

fn everything(files: &BTreeMap<String, File>, owners: &Owners) -> ties::Part {
    let spoken = files.values().flat_map(ties::names);
    let names = spoken.chain(owners.apps.keys().cloned()).chain(owners.gateways.keys().cloned()).collect();
    let of_owners = owners.apps.values().chain(owners.gateways.values());
    ties::Part { files: files.keys().chain(of_owners).cloned().collect(), names }
}

/// Puts the strays of these files in the place of those that they had. Returns whether there were or are any.
fn replace(strays: &mut Strays, all: bool, files: &BTreeSet<String>, new: Vec<Stray>) -> bool {
    let mut changed = !new.is_empty();
    if all {
        changed |= !std::mem::take(strays).is_empty();
    } else {
        changed |= files.iter().filter(|file| strays.remove(*file).is_some()).count() > 0;
    }
    for stray in new {
        strays.entry(stray.file.clone()).or_default().push(stray);
    }
    changed
}

/// A panic of the parser is that file's matter; the same text would panic again, so that it is not parsed again before it changes.
fn read(path: &str, content: &FileContent) -> Result<Arc<Parsed>, Refusal> {
    let whole_file = |reason, message| Refusal::one(reason, (path, 0, 0), "", message);
    let bytes = content.bytes.as_ref().map_err(|why| whole_file(Reason::Invalid, why.clone()))?;
    fault::contain(|| parse(path, bytes)).map(Arc::new).map_err(|fault| {
        tracing::error!(file = %path, "{fault}");
        whole_file(Reason::InternalError, fault)
    })
}

fn parse(path: &str, bytes: &[u8]) -> Parsed {
    #[cfg(test)]
    fault::trip_in_text(bytes);
    manifest::parse(path, bytes)
}

/// Objects that nothing speaks of any more, where the place that did could be read; in order.
fn gone<T>(owners: &BTreeMap<AppName, String>, part: &desired::Part<T>, files: &BTreeMap<String, File>, listing: &Listing) -> Vec<AppName> {
    let was_read = |file: &String| files.contains_key(file) || listing.lacks(file);
    owners.iter().filter(|(name, file)| !part.objects.contains_key(*name) && was_read(file)).map(|(name, _)| name.clone()).collect()
}
