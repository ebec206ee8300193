//! A listing -> what each App should be, and which Apps are gone.
//!
//! In: listings, and the file that each App came from last. Out: an [`Assignment`]. Never: a deletion that may be a mistake of the place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::desired::{Assignment, File, assign};
use super::fault;
use super::refusal::Refusal;
use crate::api::v1::Reason;
use crate::manifest::{self, Object, Parsed};
use crate::names::AppName;
use crate::resolve::base_of;
use crate::source::{FileContent, Listing};

/// Reads listings; a file that did not change is parsed once.
#[derive(Debug)]
pub(super) struct Intake {
    /// An empty directory means: no Apps.
    allow_empty: bool,
    parsed: HashMap<String, (Arc<FileContent>, File)>,
}

/// What a listing means.
#[derive(Debug)]
pub(super) struct News {
    pub(super) assignment: Assignment,
    pub(super) gone: Vec<AppName>,
}

impl Intake {
    pub(super) fn new(allow_empty: bool) -> Self {
        Self { allow_empty, parsed: HashMap::new() }
    }

    /// Reads a listing. `None`: the directory has become empty, which is no deletion.
    pub(super) fn read(&mut self, listing: &Listing, owners: &BTreeMap<AppName, String>) -> Option<News> {
        let empty = listing.problem.is_none() && listing.files.is_empty() && !owners.is_empty() && !self.allow_empty;
        if empty {
            return None;
        }
        let files = self.parse(listing);
        let assignment = assign(&files, owners);
        let is_gone =
            |(name, file): &(&AppName, &String)| !assignment.apps.contains_key(*name) && (files.contains_key(*file) || listing.lacks(file));
        let gone = owners.iter().filter(is_gone).map(|(name, _)| name.clone()).collect();
        Some(News { assignment, gone })
    }

    fn parse(&mut self, listing: &Listing) -> BTreeMap<String, File> {
        let mut before = std::mem::take(&mut self.parsed);
        let mut files = BTreeMap::new();
        for (path, content) in &listing.files {
            let file = match before.remove(path) {
                Some((old, file)) if Arc::ptr_eq(&old, content) => file,
                _ => File { base: base_of(&content.path), content: read(path, content) },
            };
            self.parsed.insert(path.clone(), (content.clone(), file.clone()));
            files.insert(path.clone(), file);
        }
        files
    }
}

/// A panic of the parser is that file's matter; the same text would panic again, so that it is not parsed again before it changes.
fn read(path: &str, content: &FileContent) -> Result<Arc<Parsed>, Refusal> {
    let whole_file = |reason, message| Refusal::one(reason, (path, 1), "", message);
    let bytes = content.bytes.as_ref().map_err(|why| whole_file(Reason::Invalid, why.clone()))?;
    fault::contain(|| parse(path, bytes)).map(Arc::new).map_err(|fault| {
        tracing::error!(file = %path, "{fault}");
        whole_file(Reason::InternalError, fault)
    })
}

fn parse(path: &str, bytes: &[u8]) -> Parsed {
    #[cfg(test)]
    fault::trip_in_text(bytes);
    let parsed = manifest::parse(path, bytes);
    for document in &parsed.documents {
        if let Ok(Object::Gateway(gateway)) = &document.result {
            let name = &gateway.metadata.name;
            tracing::warn!(file = %path, gateway = %name, "a Gateway is not served by this version: --listen is the one listener");
        }
    }
    parsed
}
