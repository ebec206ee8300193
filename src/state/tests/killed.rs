//! A process that saves one generation after the other, and is killed: nothing that it was told to be saved is lost.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const DIRECTORY: &str = "LXCPROXY_TEST_STATE_DIR";
/// Longer than any parent lets it live.
const GENERATIONS: u64 = 100_000;

#[test]
#[ignore = "the process that is killed: it is started by the test below"]
fn one_who_saves_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = Store::open(Path::new(&directory));
    let mut record = store.load().0.pop().unwrap_or_else(|| record("a"));
    for _ in 0..GENERATIONS {
        record.generation += 1;
        store.save(&record).unwrap();
        println!("saved {}", record.generation);
    }
}

#[test]
fn whatever_was_saved_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "state::tests::killed::one_who_saves_until_it_is_killed", "--ignored", "--nocapture"]);
        let mut child = child.env(DIRECTORY, dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let generation = |line: &str| line.rsplit_once("saved ").and_then(|(_, number)| number.parse::<u64>().ok());
        let mut last = lines.by_ref().filter_map(|line| generation(&line)).nth(round).expect("it saves");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it could still say.
        last = lines.filter_map(|line| generation(&line)).last().unwrap_or(last);
        let (mut records, problems) = Store::open(dir.path()).load::<App>();
        assert!(problems.is_empty(), "{problems:?}");
        let found = records.pop().expect("there is a record").generation;
        assert!(found == last || found == last + 1, "round {round}: {found} is there, {last} was saved");
        assert!(found > before, "round {round}: {found} after {before}");
        before = found;
    }
}
