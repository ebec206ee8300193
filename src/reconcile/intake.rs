//! A listing -> what each App and Gateway should be, and which are gone.
//!
//! In: listings, and the file that each object came from last. Out: an [`Assignment`]. Never: a deletion that may be a mistake of the place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::desired::{Assignment, File, Owners, Part, assign};
use super::fault;
use super::refusal::Refusal;
use crate::api::v1::Reason;
use crate::manifest::{self, Parsed};
use crate::names::AppName;
use crate::resolve::base_of;
use crate::source::{FileContent, Listing};

/// Reads listings; a file that did not change is parsed once.
#[derive(Debug)]
pub(super) struct Intake {
    /// An empty directory means: no objects.
    allow_empty: bool,
    parsed: HashMap<String, (Arc<FileContent>, File)>,
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
        Self { allow_empty, parsed: HashMap::new() }
    }

    /// Reads a listing. `None`: the directory has become empty, which is no deletion.
    pub(super) fn read(&mut self, listing: &Listing, owners: &Owners) -> Option<News> {
        let nothing_known = owners.apps.is_empty() && owners.gateways.is_empty();
        let empty = listing.problem.is_none() && listing.files.is_empty() && !nothing_known && !self.allow_empty;
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
            let file = match before.remove(&**path) {
                Some((old, file)) if Arc::ptr_eq(&old, content) => file,
                _ => File { base: base_of(&content.path), content: read(path, content) },
            };
            self.parsed.insert(path.to_string(), (content.clone(), file.clone()));
            files.insert(path.to_string(), file);
        }
        files
    }
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

/// Objects that nothing speaks of any more, where the place that did could be read.
fn gone<T>(owners: &BTreeMap<AppName, String>, part: &Part<T>, files: &BTreeMap<String, File>, listing: &Listing) -> Vec<AppName> {
    let was_read = |file: &String| files.contains_key(file) || listing.lacks(file);
    owners.iter().filter(|(name, file)| !part.objects.contains_key(*name) && was_read(file)).map(|(name, _)| name.clone()).collect()
}
