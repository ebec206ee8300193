//! Random sequences of changes, many directories at once: after each, the source says what a cold start says.
//!
//! `LXCPROXY_TEST_SEQUENCES` says how many; `LXCPROXY_TEST_SEED` repeats the choices of a run that failed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lxcproxy::source::{Dir, Listing, Source, list};
use tempfile::TempDir;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};

use super::dice::{Dice, seed};
use super::tree::{LAYOUTS, Tree, Way};
use super::{SOON, difference};
use crate::support::needs;

/// Sequences of a run.
const SEQUENCES: u64 = 500;
/// Directories that are changed at the same time.
const STAGES: u64 = 16;
/// Changes of one sequence, at most.
const CHANGES: usize = 5;

/// A directory, and the source that has followed it from the beginning.
struct Stage {
    temp: TempDir,
    root: PathBuf,
    /// `None` while it is changed.
    tree: Option<Tree>,
    source: Dir,
    last: Arc<Listing>,
}

#[tokio::test]
async fn every_sequence_of_changes_ends_in_what_a_cold_start_finds() {
    needs!(rsync, git);
    let sequences = std::env::var("LXCPROXY_TEST_SEQUENCES").map_or(SEQUENCES, |number| number.parse().expect("a number"));
    let (seed, mut stages) = (seed(), JoinSet::new());
    eprintln!("LXCPROXY_TEST_SEED={seed}");
    for number in 0..STAGES.min(sequences) {
        let rounds = sequences / STAGES + u64::from(number < sequences % STAGES);
        stages.spawn(async move { Stage::play(seed, number, rounds).await });
    }
    let mut played = 0;
    while let Some(ended) = stages.join_next().await {
        // The panic has been printed.
        played += ended.unwrap_or_else(|_| panic!("LXCPROXY_TEST_SEED={seed} repeats the choices"));
    }
    assert_eq!(played, sequences);
}

impl Stage {
    /// Plays so many sequences.
    async fn play(seed: u64, number: u64, rounds: u64) -> u64 {
        let mut dice = Dice::new(seed ^ number.wrapping_mul(0x1_0001));
        let layout = LAYOUTS[usize::try_from(number).expect("a few") % LAYOUTS.len()];
        let seed = dice.roll();
        let text = |name: &str, count: u64| format!("# {name}\nkind: App\nspec: {{version: {count}}}\n");
        let temp = crate::support::scratch();
        let top = temp.path().to_owned();
        let tree = spawn_blocking(move || Tree::new(&top, "m", layout, seed, Box::new(text))).await.unwrap();
        let root = tree.root.clone();
        let mut source = Dir::open(&root).unwrap();
        let last = timeout(SOON, source.next()).await.expect("the first listing comes at once");
        let mut stage = Self { temp, root, tree: Some(tree), source, last };
        for round in 0..rounds {
            let mut ways = Vec::new();
            for _ in 0..=dice.below(CHANGES) {
                ways.push(stage.change().await);
                stage.pass(Duration::from_millis(dice.one_of(&[0, 0, 1, 8, 12, 40, 110]))).await;
            }
            stage.settle(&format!("stage {number} ({layout:?}), sequence {round}, {ways:?}")).await;
            if dice.below(8) == 0 {
                let mut fresh = Dir::open(&stage.root).unwrap();
                let fresh = timeout(SOON, fresh.next()).await.expect("the first listing comes at once");
                assert_eq!(difference(&stage.last, &fresh), None, "a source that starts now, after {ways:?}");
            }
        }
        drop(stage.temp);
        rounds
    }

    /// Changes the directory while the source follows; says how.
    async fn change(&mut self) -> Way {
        let mut tree = self.tree.take().expect("it is put back after each change");
        let mut changing = spawn_blocking(move || {
            let way = tree.draw();
            tree.change(way);
            (tree, way)
        });
        loop {
            tokio::select! {
                listing = self.source.next() => self.last = listing,
                changed = &mut changing => {
                    let (tree, way) = changed.unwrap_or_else(|error| panic!("a change failed: {error}"));
                    self.tree = Some(tree);
                    return way;
                }
            }
        }
    }

    /// Lets the source look for a while.
    async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(listing) = timeout_at(until, self.source.next()).await {
            self.last = listing;
        }
    }

    /// Waits until the source says what a cold start says, and goes on saying it when it is asked.
    async fn settle(&mut self, what: &str) {
        let cold = list(&self.root);
        let deadline = Instant::now() + SOON;
        while let Some(difference) = difference(&self.last, &cold) {
            let Ok(listing) = timeout_at(deadline, self.source.next()).await else { panic!("{what}: {difference}") };
            self.last = listing;
        }
        self.source.relist().ask();
        self.last = timeout_at(deadline, self.source.next()).await.unwrap_or_else(|_| panic!("{what}: no listing when asked"));
        assert_eq!(difference(&self.last, &cold), None, "{what}: asked again");
    }
}
