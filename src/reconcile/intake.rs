//! A listing -> what each App and Gateway should be, and which are gone.
//!
//! In: listings, and the file that each object came from last. Out: an [`Assignment`]. Never: a deletion that may be a mistake of the place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::desired::{Assignment, File, Owners, Part, assign};
use crate::manifest;
use crate::names::AppName;
use crate::resolve::base_of;
use crate::source::{FileContent, Listing};

const EMPTY: &str = "the directory is empty; what is served stays (--allow-empty if it is meant)";

/// Reads listings; a file that did not change is parsed once.
#[derive(Debug)]
pub(super) struct Intake {
    /// An empty directory means: no objects.
    allow_empty: bool,
    parsed: HashMap<String, (Arc<FileContent>, File)>,
    /// What was last said about the directory as a whole.
    trouble: Option<String>,
}

/// What a listing means.
#[derive(Debug)]
pub(super) struct News {
    pub(super) assignment: Assignment,
    pub(super) gone_apps: Vec<AppName>,
    pub(super) gone_gateways: Vec<AppName>,
}

impl Intake {
    pub(super) fn new(allow_empty: bool) -> Self {
        Self { allow_empty, parsed: HashMap::new(), trouble: None }
    }

    /// Reads a listing. `None`: the directory has become empty, which is no deletion.
    pub(super) fn read(&mut self, listing: &Listing, owners: &Owners) -> Option<News> {
        let nothing_known = owners.apps.is_empty() && owners.gateways.is_empty();
        let empty = listing.problem.is_none() && listing.files.is_empty() && !nothing_known && !self.allow_empty;
        let trouble = match &listing.problem {
            Some(problem) => Some(format!("{problem}; what is served stays")),
            None => empty.then(|| EMPTY.to_owned()),
        };
        if self.trouble != trouble {
            if let Some(trouble) = &trouble {
                tracing::warn!("manifests: {trouble}");
            } else {
                tracing::info!("manifests: the directory can be read again");
            }
            self.trouble = trouble;
        }
        if empty {
            return None;
        }
        let files = self.parse(listing);
        let assignment = assign(&files, owners);
        let gone_apps = gone(&owners.apps, &assignment.apps, &files, listing);
        let gone_gateways = gone(&owners.gateways, &assignment.gateways, &files, listing);
        Some(News { assignment, gone_apps, gone_gateways })
    }

    fn parse(&mut self, listing: &Listing) -> BTreeMap<String, File> {
        let mut before = std::mem::take(&mut self.parsed);
        let mut files = BTreeMap::new();
        for (path, content) in &listing.files {
            let file = match before.remove(path) {
                Some((old, file)) if Arc::ptr_eq(&old, content) => file,
                _ => File {
                    base: base_of(&content.path),
                    content: content.bytes.clone().map(|bytes| Arc::new(manifest::parse(path, &bytes))),
                },
            };
            self.parsed.insert(path.clone(), (content.clone(), file.clone()));
            files.insert(path.clone(), file);
        }
        files
    }
}

/// Objects that nothing speaks of any more, where the place that did could be read.
fn gone<T>(owners: &BTreeMap<AppName, String>, part: &Part<T>, files: &BTreeMap<String, File>, listing: &Listing) -> Vec<AppName> {
    let was_read = |file: &String| files.contains_key(file) || listing.lacks(file);
    owners.iter().filter(|(name, file)| !part.objects.contains_key(*name) && was_read(file)).map(|(name, _)| name.clone()).collect()
}
