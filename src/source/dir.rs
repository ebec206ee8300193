//! A directory as a [`Source`]: when to look, and which looks are worth a listing.
//!
//! In: hints, the clock, requests. Out: listings. Never: a busy loop, a blocking call on the runtime's thread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep_until;

use super::hints::{Hints, Times};
use super::look::{Errand, Look, Sight};
use super::watch::Watch;
use super::{Listing, Relist, Source};

/// After a hint, it has to be quiet for so long...
const QUIET: Duration = Duration::from_millis(10);
/// ...for so long if all files are complete: what git and rsync write comes in shorter steps...
const COMPLETE: Duration = Duration::from_millis(2);
/// ...but a look is not put off for longer than this.
const RESTLESS: Duration = Duration::from_millis(50);
/// Between two glances; between two looks where there are no events.
const POLL: Duration = Duration::from_secs(2);
/// Between two listings, changed or not.
const RELIST: Duration = Duration::from_secs(30);
/// How long files that are being written put off the first listing.
const COLD: Duration = Duration::from_millis(300);

/// A directory of manifests, with its subdirectories. Links are followed, hidden files and directories skipped.
#[derive(Debug)]
pub struct Dir {
    root: PathBuf,
    look: Arc<Mutex<Look>>,
    hints: Arc<Hints>,
    relist: Relist,
    /// The look that is being taken: a dropped `next` is continued by the following one.
    looking: Option<JoinHandle<Sight>>,
    again: Option<Instant>,
    poll: Instant,
    full: Instant,
    /// Until then the first listing waits for writers; `None`: it was given.
    cold: Option<Instant>,
    /// The look that is being taken is told even if it brings no news.
    tell: bool,
    asked: bool,
}

impl Dir {
    /// A source over this directory, which need not exist. Nothing is read before the first [`next`](Source::next).
    ///
    /// # Errors
    /// If the path is relative and the current directory is not known.
    pub fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        Self::with(root.as_ref(), Watch::new())
    }

    fn with(root: &Path, watch: Watch) -> io::Result<Self> {
        let now = Instant::now();
        let hints = watch.hints.clone();
        let root = std::path::absolute(root)?;
        Ok(Self {
            look: Arc::new(Mutex::new(Look::new(root.clone(), watch))),
            root,
            hints,
            relist: Relist::default(),
            looking: None,
            again: Some(now),
            poll: now + POLL,
            full: now + RELIST,
            cold: Some(now + COLD),
            tell: false,
            asked: false,
        })
    }

    /// Waits until a look is due; says which.
    async fn due(&mut self) -> Errand {
        loop {
            let hinted = self.hints.times().map(settles);
            let due = [hinted, self.again, self.cold, Some(self.poll), Some(self.full)].into_iter().flatten().min();
            // `poll` is always there.
            let due = due.unwrap_or(self.poll);
            let now = Instant::now();
            if due <= now || self.asked {
                let full = self.full <= now;
                self.tell |= self.asked || full;
                self.asked = false;
                return match self.cold {
                    Some(cold) if cold <= now => Errand::AsIs,
                    _ if full => Errand::Renew,
                    _ if self.tell => Errand::Look,
                    _ if due != self.poll => Errand::Hinted,
                    _ => Errand::Glance,
                };
            }
            tokio::select! {
                () = self.relist.asked() => self.asked = true,
                () = self.hints.stirred() => {}
                () = sleep_until(due.into()) => {}
            }
        }
    }

    /// Sets the clocks for the look after this one; says what to tell.
    fn judge(&mut self, sight: Sight) -> Option<Arc<Listing>> {
        let now = Instant::now();
        self.again = sight.again;
        self.poll = now + POLL;
        if self.full <= now {
            self.full = now + RELIST;
        }
        if self.cold.is_some() && !sight.news {
            return None;
        }
        self.cold = None;
        let tell = std::mem::take(&mut self.tell);
        (sight.news || tell).then_some(sight.listing)
    }
}

impl Source for Dir {
    async fn next(&mut self) -> Arc<Listing> {
        loop {
            if self.looking.is_none() {
                let errand = self.due().await;
                let look = self.look.clone();
                let take = move || look.lock().unwrap_or_else(PoisonError::into_inner).take(errand);
                self.looking = Some(spawn_blocking(take));
            }
            let Some(looking) = &mut self.looking else { continue };
            let taken = looking.await;
            self.looking = None;
            match taken {
                Ok(sight) => {
                    if let Some(listing) = self.judge(sight) {
                        return listing;
                    }
                }
                // The runtime shuts down.
                Err(error) if error.is_cancelled() => std::future::pending().await,
                Err(error) => {
                    tracing::error!("looking at the manifest directory failed: {error}");
                    self.look.lock().unwrap_or_else(PoisonError::into_inner).watch.restart();
                    self.again = None;
                    self.poll = Instant::now() + POLL;
                    self.full = self.poll;
                    self.cold = self.cold.map(|_| self.poll);
                }
            }
        }
    }

    fn relist(&self) -> Relist {
        self.relist.clone()
    }

    fn path(&self) -> &Path {
        &self.root
    }
}

/// When what was hinted is looked at.
fn settles(times: Times) -> Instant {
    let quiet = if times.complete { COMPLETE } else { QUIET };
    (times.last + quiet).min(times.first + RESTLESS)
}

#[cfg(test)]
mod tests;
