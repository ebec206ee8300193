//! Every way of changing a manifest directory, and every way of losing it -> what a cold start over the final content finds.
//!
//! `tree` has the directory and the ways, `sequences` draws them; `flips` turns links at full speed; `snares` are what hangs careless
//! readers; `served` and `faults` hold the whole daemon to it.

mod dice;
mod faults;
mod flips;
mod sequences;
mod served;
mod snares;
mod tree;

use std::time::Duration;

use lxcproxy::source::Listing;

/// How long a source may take to see the last change. Less than the half minute after which it looks anyway.
const SOON: Duration = Duration::from_secs(25);

/// What a source that has followed all changes says differently from one that has just started.
fn difference(warm: &Listing, cold: &Listing) -> Option<String> {
    if warm.problem != cold.problem {
        return Some(format!("the problem is {:?}, not {:?}", warm.problem, cold.problem));
    }
    if cold.problem.is_some() {
        // What was there before is still known.
        return None;
    }
    if warm.unread != cold.unread {
        return Some(format!("not read are {:?}, not {:?}", warm.unread, cold.unread));
    }
    if warm.revision != cold.revision {
        return Some(format!("the revision is {:?}, not {:?}: {:?}, not {:?}", warm.revision, cold.revision, warm.files, cold.files));
    }
    (warm.files != cold.files).then(|| format!("the files are {:?}, not {:?}", warm.files, cold.files))
}
