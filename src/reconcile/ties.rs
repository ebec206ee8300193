//! Files that have changed -> all files and names that this may concern.
//!
//! In: which names each file speaks of, and which file each name came from last. Out: a [`Part`] of the files that is closed: no file outside
//! of it speaks of a name in it. Never: a look at files that have nothing to do with the change. So [`super::desired::assign`] over the
//! part says of it what it would say over everything.

use std::collections::{BTreeMap, BTreeSet};

use super::desired::{Assignment, File};
use crate::manifest::Object;
use crate::names::AppName;

/// What ties files together, where it is not plain. Plain is a name that the file which it came from speaks of, and no other file: of that
/// nothing is kept, so that it costs no memory.
#[derive(Debug, Default)]
pub(super) struct Ties {
    /// Files that speak of a name which came from another one.
    rivals: BTreeMap<AppName, BTreeSet<String>>,
    /// Names that came from a file which does not speak of them any more: it can't be read, or is gone.
    orphans: BTreeMap<String, BTreeSet<AppName>>,
}

/// Files and names that have to do with each other.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) files: BTreeSet<String>,
    pub(super) names: BTreeSet<AppName>,
}

impl Ties {
    /// All that these files may concern. `spoken`: names that they spoke of before. `files`: as they are. `owners`: which files a name came
    /// from last.
    pub(super) fn part(
        &self,
        changed: &[String],
        spoken: BTreeSet<AppName>,
        files: &BTreeMap<String, File>,
        owners: impl Fn(&AppName) -> Vec<String>,
    ) -> Part {
        let mut part = Part { files: changed.iter().cloned().collect(), names: spoken.clone() };
        let (mut new_files, mut new_names): (Vec<_>, Vec<_>) = (changed.to_vec(), spoken.into_iter().collect());
        loop {
            if let Some(file) = new_files.pop() {
                let spoken = files.get(&file).map(names).unwrap_or_default();
                let orphans = self.orphans.get(&file).into_iter().flatten().cloned();
                new_names.extend(spoken.into_iter().chain(orphans).filter(|name| part.names.insert(name.clone())));
            } else if let Some(name) = new_names.pop() {
                let rivals = self.rivals.get(&name).into_iter().flatten().cloned();
                new_files.extend(rivals.chain(owners(&name)).filter(|file| part.files.insert(file.clone())));
            } else {
                return part;
            }
        }
    }

    /// Takes what was assigned to a part. `owners`: which files a name comes from now.
    pub(super) fn renew(&mut self, part: &Part, files: &BTreeMap<String, File>, owners: impl Fn(&AppName) -> Vec<String>) {
        for file in &part.files {
            self.orphans.remove(file);
        }
        for name in &part.names {
            self.rivals.remove(name);
            for owner in owners(name) {
                if !files.get(&owner).is_some_and(|file| names(file).contains(name)) {
                    self.orphans.entry(owner).or_default().insert(name.clone());
                }
            }
        }
        for (file, content) in part.files.iter().filter_map(|path| files.get_key_value(path)) {
            for name in names(content) {
                if owners(&name) != [file.as_str()] {
                    self.rivals.entry(name).or_default().insert(file.clone());
                }
            }
        }
    }
}

/// The files that a name comes from, as App and as Gateway: those that an assignment says, else those that it came from before.
pub(super) fn owners_of(name: &AppName, assignment: &Assignment, before: impl Fn(&AppName) -> [Option<String>; 2]) -> Vec<String> {
    let [app, gateway] = before(name);
    let app = assignment.apps.objects.get(name).map(|app| app.file.clone()).or(app);
    let gateway = assignment.gateways.objects.get(name).map(|gateway| gateway.file.clone()).or(gateway);
    let mut owners: Vec<_> = app.into_iter().chain(gateway).collect();
    owners.dedup();
    owners
}

/// The names that a file speaks of, whatever it says of them.
pub(super) fn names(file: &File) -> BTreeSet<AppName> {
    let Ok(parsed) = &file.content else { return BTreeSet::new() };
    let name = |document: &crate::manifest::Document| match &document.result {
        Ok(Object::App(app)) => Some(app.metadata.name.clone()),
        Ok(Object::Gateway(gateway)) => Some(gateway.metadata.name.clone()),
        Err(_) => document.name.as_ref()?.parse().ok(),
    };
    parsed.documents.iter().filter_map(name).collect()
}
