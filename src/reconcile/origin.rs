//! Listings of a place -> the Source that is shown: what was read, when it changed, whether all of it can be seen.
//!
//! In: listings. Out: [`SourceResource`]. Never: a decision about Apps; that an empty directory deletes nothing is decided by `intake`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::resource::{conditions, transitions};
use super::step::Claim;
use crate::api::v1::{
    API_VERSION, Condition, ConditionStatus, ConditionType, Reason, ResourceMetadata, SourceResource, SourceSpec, SourceStatus,
};
use crate::source::{Listing, Problem};

/// The name of the one source that there is.
pub(super) const NAME: &str = "manifests";

const EMPTY: &str = "the directory is empty; what is served stays (--allow-empty if it is meant)";

/// Where manifests come from, as it was seen last.
#[derive(Debug)]
pub(super) struct Origin {
    path: PathBuf,
    last: Option<Arc<Listing>>,
    resource: Option<Arc<SourceResource>>,
}

impl Origin {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), last: None, resource: None }
    }

    /// Takes a listing; `emptied`: it has become empty, which is no deletion. Returns the conditions as they were, if the resource is
    /// another one now; what changed is shown in this revision.
    pub(super) fn see(&mut self, listing: &Arc<Listing>, emptied: bool, now: &str, revision: u64) -> Option<Vec<Condition>> {
        let news = self.last.as_ref().is_none_or(|last| !reads_like(last, listing));
        self.last = Some(listing.clone());
        let before = self.resource.clone().unwrap_or_else(|| Arc::new(self.unseen(now)));
        let mut after = SourceResource::clone(&before);
        after.status = SourceStatus {
            revision: listing.revision.clone(),
            last_change: if news { now.to_owned() } else { before.status.last_change.clone() },
            files: listing.files.len() as u64,
            unread: listing.unread.clone(),
            conditions: conditions(vec![ready(listing, emptied), watching(listing)], 1, &transitions(&before.status.conditions), now),
        };
        if after == *before {
            return None;
        }
        after.metadata.resource_version = revision.to_string();
        self.resource = Some(Arc::new(after));
        Some(before.status.conditions.clone())
    }

    fn unseen(&self, now: &str) -> SourceResource {
        let (name, creation_timestamp) = (NAME.to_owned(), now.to_owned());
        SourceResource {
            api_version: API_VERSION.to_owned(),
            kind: "Source".to_owned(),
            metadata: ResourceMetadata { name, generation: 1, creation_timestamp, ..ResourceMetadata::default() },
            spec: Some(SourceSpec { path: self.path.clone() }),
            status: SourceStatus::default(),
        }
    }

    /// What is shown, once something was seen.
    pub(super) fn resource(&self) -> Option<&Arc<SourceResource>> {
        self.resource.as_ref()
    }
}

/// Whether there was nothing new to read.
fn reads_like(one: &Listing, other: &Listing) -> bool {
    std::ptr::eq(one, other)
        || one.revision == other.revision
            && one.unread == other.unread
            && one.files.len() == other.files.len()
            && one.files.iter().zip(&other.files).all(|(one, other)| one.0 == other.0 && Arc::ptr_eq(one.1, other.1))
}

fn ready(listing: &Listing, emptied: bool) -> Claim {
    let (reason, message) = match &listing.problem {
        Some(problem @ Problem::Missing(_)) => (Reason::DirectoryNotFound, format!("{problem}; what is served stays")),
        Some(problem) => (Reason::DirectoryUnreadable, format!("{problem}; what is served stays")),
        None if emptied => (Reason::DirectoryEmpty, EMPTY.to_owned()),
        None if !listing.unread.is_empty() => {
            let unread =
                listing.unread.iter().map(|(directory, why)| format!("{directory} cannot be read: {why}; what came from it stays"));
            (Reason::DirectoryUnreadable, unread.collect::<Vec<_>>().join("\n"))
        }
        None => (Reason::Ready, "all of the directory can be read".to_owned()),
    };
    claim(ConditionType::Ready, reason == Reason::Ready, reason, message)
}

fn watching(listing: &Listing) -> Claim {
    match &listing.polling {
        None => claim(ConditionType::Watching, true, Reason::Watching, "events tell of changes".to_owned()),
        Some(why) => claim(ConditionType::Watching, false, Reason::Polling, format!("it is looked at every few seconds: {why}")),
    }
}

fn claim(type_: ConditionType, holds: bool, reason: Reason, message: String) -> Claim {
    Claim { type_, status: if holds { ConditionStatus::True } else { ConditionStatus::False }, reason, message }
}
