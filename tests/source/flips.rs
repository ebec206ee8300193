//! Links that are turned at full speed, and a thousand files at once: a listing is one revision, and says which.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use lxcproxy::source::{Dir, Listing, Source, list};
use tempfile::TempDir;
use tokio::time::{Instant, timeout, timeout_at};

use super::tree::tools::Repository;
use super::tree::{remove, turn};
use super::{SOON, difference};
use crate::support::needs;

const FILES: usize = 30;
/// How long the link is turned at least, and how long and how often at most.
const TIME: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
const MOST: usize = 1_000_000;
/// How often at least.
const FLIPS: usize = 20;

const REVISIONS: [&str; 2] = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"];

/// A tree in which every file holds the name of its revision.
fn tree(place: &Path, revision: &str) {
    fs::create_dir_all(place.join("sub")).unwrap();
    for number in 0..FILES {
        let sub = if number % 2 == 0 { "sub" } else { "." };
        fs::write(place.join(sub).join(format!("{number}.yaml")), revision).unwrap();
    }
}

fn directory() -> (TempDir, PathBuf) {
    let temp = crate::support::scratch();
    let top = temp.path().canonicalize().unwrap();
    (temp, top)
}

/// The revision of a listing, of which every file has to be.
fn whole(listing: &Listing) -> String {
    assert_eq!((listing.files.len(), &listing.problem, listing.unread.len()), (FILES, &None, 0), "at {}", listing.revision);
    for (name, file) in &listing.files {
        let text = file.bytes.as_deref().unwrap_or_else(|why| panic!("{name} {why} in {}", listing.revision));
        assert_eq!(text, listing.revision.trim_start_matches('.').as_bytes(), "{name} in {}", listing.revision);
    }
    listing.revision.clone()
}

/// A link that is turned and turned, on a thread of its own.
struct Flipping {
    began: Instant,
    enough: Arc<AtomicBool>,
    flips: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Flipping {
    /// Calls it with 0, 1, 2...
    fn start(mut flip: impl FnMut(usize) + Send + 'static) -> Self {
        let (began, enough, flips) = (Instant::now(), Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stop, count) = (enough.clone(), flips.clone());
        let goes_on = move |_: &usize| !stop.load(Ordering::Relaxed) && began.elapsed() < LONGEST;
        let turn = move |number| {
            flip(number);
            count.fetch_add(1, Ordering::Relaxed);
        };
        Self { began, enough, flips, thread: spawn(move || (0..MOST).take_while(goes_on).for_each(turn)) }
    }

    /// Whether it goes on; it ends once enough was seen, but not too soon.
    fn goes_on(&self, seen_enough: bool) -> bool {
        let flipped_enough = self.flips.load(Ordering::Relaxed) >= FLIPS && self.began.elapsed() >= TIME;
        self.enough.store(seen_enough && flipped_enough, Ordering::Relaxed);
        !self.thread.is_finished()
    }

    /// How often it was turned.
    fn end(self) -> usize {
        self.thread.join().unwrap();
        self.flips.load(Ordering::Relaxed)
    }
}

/// Takes listings from a source, and by looks of its own, while a link is turned. All have to be whole.
async fn follow(root: &Path, flip: impl FnMut(usize) + Send + 'static) {
    let mut source = Dir::open(root).unwrap();
    let mut last = timeout(SOON, source.next()).await.expect("the first comes at once");
    let mut seen = BTreeSet::from([whole(&last)]);
    let flipping = Flipping::start(flip);
    let mut listings = 0;
    while flipping.goes_on(listings >= 5 && seen.len() >= 2) {
        if let Ok(listing) = timeout(Duration::from_millis(20), source.next()).await {
            seen.insert(whole(&listing));
            listings += 1;
            last = listing;
        }
    }
    let flips = flipping.end();
    assert!(flips >= FLIPS && listings >= 5 && seen.len() >= 2, "{flips} flips, {listings} listings, {seen:?}");
    let (cold, deadline) = (list(root), Instant::now() + SOON);
    while difference(&last, &cold).is_some() {
        last = timeout_at(deadline, source.next()).await.expect("the source ends where the flips ended");
    }
}

#[tokio::test]
async fn a_link_that_is_turned_at_full_speed_never_shows_two_revisions() {
    let (_temp, top) = directory();
    for revision in REVISIONS {
        tree(&top.join(".worktrees").join(revision), revision);
    }
    let root = top.join("m");
    let target = |number: usize| Path::new(".worktrees").join(REVISIONS[number % 2]);
    turn(&root, &target(0));
    let link = root.clone();
    follow(&root, move |number| turn(&link, &target(number))).await;
}

#[test]
fn a_look_at_links_that_are_turned_at_full_speed_is_one_revision() {
    for data in [false, true] {
        let (_temp, top) = directory();
        let (root, link, prefix) = if data { (top.join("m"), top.join("m/..data"), "..") } else { (top.join("m"), top.join("m"), "") };
        for revision in REVISIONS {
            tree(&link.with_file_name(format!("{prefix}{revision}")), revision);
        }
        turn(&link, Path::new(&format!("{prefix}{}", REVISIONS[0])));
        if data {
            config_map_links(&root);
        }
        let flipping = Flipping::start(move |number| turn(&link, Path::new(&format!("{prefix}{}", REVISIONS[number % 2]))));
        let mut seen = BTreeSet::new();
        let mut looks = 0;
        while flipping.goes_on(looks >= 20 && seen.len() == 2) {
            seen.insert(whole(&list(&root)));
            looks += 1;
        }
        assert!(flipping.end() >= FLIPS && looks >= 20 && seen.len() == 2, "{looks} looks, {seen:?}");
    }
}

#[tokio::test]
async fn worktrees_that_are_removed_right_after_the_flip_leave_no_half_listing() {
    let (_temp, top) = directory();
    let (worktrees, root) = (top.join(".worktrees"), top.join("m"));
    let revision = |number: usize| format!("{number:040x}");
    tree(&worktrees.join(revision(0)), &revision(0));
    turn(&root, &Path::new(".worktrees").join(revision(0)));
    let link = root.clone();
    follow(&root, move |number| {
        let (before, after) = (revision(number), revision(number + 1));
        tree(&worktrees.join(&after), &after);
        turn(&link, &Path::new(".worktrees").join(after));
        remove(&worktrees.join(before));
    })
    .await;
}

#[tokio::test]
async fn the_data_of_a_config_map_that_is_replaced_again_and_again_is_never_mixed() {
    let (_temp, top) = directory();
    let root = top.join("m");
    let revision = |number: usize| format!("2026_{number}");
    tree(&root.join(format!("..{}", revision(0))), &revision(0));
    turn(&root.join("..data"), Path::new(&format!("..{}", revision(0))));
    config_map_links(&root);
    let dir = root.clone();
    follow(&root, move |number| {
        let (before, after) = (revision(number), revision(number + 1));
        tree(&dir.join(format!("..{after}")), &after);
        turn(&dir.join("..data"), Path::new(&format!("..{after}")));
        remove(&dir.join(format!("..{before}")));
    })
    .await;
}

/// The links that a kubelet makes for every key.
fn config_map_links(root: &Path) {
    for entry in fs::read_dir(root.join("..data")).unwrap() {
        let name = entry.unwrap().file_name();
        symlink(Path::new("..data").join(&name), root.join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_checkout_of_a_thousand_files_ends_in_the_other_commit() {
    needs!(git);
    let (_temp, root) = directory();
    let repository = Repository(root.clone());
    repository.git(&["init", "--quiet", "--initial-branch=main"]);
    for commit in ["one", "two"] {
        for number in 0..1000 {
            let dir = root.join(format!("team{}", number % 10));
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(format!("{commit}-{}.yaml", number / 500)), commit).unwrap();
            fs::write(dir.join(format!("{number}.yaml")), format!("{commit} {number}")).unwrap();
        }
        repository.commit(commit);
    }
    let mut source = Dir::open(&root).unwrap();
    timeout(SOON, source.next()).await.expect("the first comes at once");
    for round in 0..2 {
        let repository = Repository(root.clone());
        let checkout = tokio::task::spawn_blocking(move || repository.git(&["checkout", "--quiet", ["one", "two"][round % 2]]));
        let mut last = None;
        while !checkout.is_finished() {
            if let Ok(listing) = timeout(Duration::from_millis(5), source.next()).await {
                last = Some(listing);
            }
        }
        checkout.await.unwrap();
        let (cold, deadline) = (list(&root), Instant::now() + SOON);
        assert!(cold.files.len() >= 1000);
        while last.as_ref().is_none_or(|last| difference(last, &cold).is_some()) {
            last = Some(timeout_at(deadline, source.next()).await.unwrap_or_else(|_| panic!("round {round}: not seen in time")));
        }
    }
}
