//! A kill after every step of every write: what is found afterwards is what was there before, or what was being written.

use super::*;
use crate::api::v1::App;
use crate::state::{Record, Store, file, tests};

/// The steps of a save.
const SAVE: [Step; 6] = [Step::Created, Step::HalfWritten, Step::Written, Step::FileSynced, Step::Renamed, Step::DirectorySynced];
/// The steps of a removal.
const REMOVE: [Step; 2] = [Step::Removed, Step::DirectorySynced];

/// What it is when a save dies after this step.
fn is_saved(step: Step) -> bool {
    matches!(step, Step::Renamed | Step::DirectorySynced)
}

fn die_after(last: Step) -> impl FnMut(Step) -> io::Result<()> {
    move |step| if step == last { Err(io::Error::other("killed")) } else { Ok(()) }
}

/// Saves as the store does, and stops after a step without a word or a clean-up.
fn save_and_die(dir: &Path, record: &Record<App>, last: Step) {
    let apps = dir.join("apps");
    let path = apps.join(format!("{}.json", record.name));
    let text = file::encode(record).unwrap().text().unwrap();
    assert!(all_steps(&apps, &[temporary(&apps, &path)], &[(path, text)], &mut die_after(last)).remove(0).is_err());
}

/// Removes as the store does, and stops after a step.
fn remove_and_die(dir: &Path, record: &Record<App>, last: Step) {
    let apps = dir.join("apps");
    let path = apps.join(format!("{}.json", record.name));
    assert!(steps_of_removal(&apps, &path, &mut die_after(last)).is_err());
}

/// What the next start finds; there is nothing to complain of, and nothing left lying about.
fn found(dir: &Path) -> Vec<Record<App>> {
    let (records, problems) = Store::open(dir).load();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(fs::read_dir(dir.join("apps")).unwrap().count(), records.len(), "a leftover");
    records
}

#[test]
fn a_kill_after_any_step_of_any_save_leaves_the_old_record_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let neighbour = tests::record("neighbour");
    Store::open(dir.path()).save(&neighbour).unwrap();
    let mut now = tests::record("seafile");
    Store::open(dir.path()).save(&now).unwrap();
    // Kill follows kill; then again with a save that works in between.
    for round in 0..3 {
        for step in SAVE {
            let next = Record { generation: now.generation + 1, ..now.clone() };
            save_and_die(dir.path(), &next, step);
            let expected = if is_saved(step) { next.clone() } else { now.clone() };
            assert_eq!(found(dir.path()), [neighbour.clone(), expected.clone()], "round {round}, {step:?}");
            now = expected;
            if round == 2 {
                now.generation += 1;
                Store::open(dir.path()).save(&now).unwrap();
                assert_eq!(found(dir.path())[1], now, "as if nothing had been");
            }
        }
    }
}

#[test]
fn a_kill_during_the_very_first_save_leaves_nothing_or_the_record() {
    for step in SAVE {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("apps")).unwrap();
        let record = tests::record("seafile");
        save_and_die(dir.path(), &record, step);
        assert_eq!(found(dir.path()), if is_saved(step) { vec![record] } else { vec![] }, "{step:?}");
    }
}

#[test]
fn a_kill_after_any_step_of_a_removal_leaves_nothing_and_nobody_else_is_touched() {
    for step in REMOVE {
        let dir = tempfile::tempdir().unwrap();
        let (gone, stays) = (tests::record("gone"), tests::record("stays"));
        let store = Store::open(dir.path());
        store.save(&gone).unwrap();
        store.save(&stays).unwrap();
        remove_and_die(dir.path(), &gone, step);
        assert_eq!(found(dir.path()), std::slice::from_ref(&stays), "{step:?}");
        // It was saved before, and is to be saved again all the same.
        store.save(&gone).unwrap();
        assert_eq!(found(dir.path()), [gone, stays]);
    }
}

#[test]
fn a_kill_during_a_save_after_a_removal_does_not_bring_the_old_record_back() {
    for step in SAVE {
        let dir = tempfile::tempdir().unwrap();
        let old = tests::record("seafile");
        let store = Store::open(dir.path());
        store.save(&old).unwrap();
        store.remove::<App>(&old.name).unwrap();
        let new = Record { generation: 1, ..tests::record("seafile") };
        save_and_die(dir.path(), &new, step);
        assert_eq!(found(dir.path()), if is_saved(step) { vec![new] } else { vec![] }, "{step:?}");
    }
}

#[test]
fn a_kill_in_the_midst_of_many_saves_leaves_of_each_the_old_record_or_the_new_one() {
    let old: Vec<_> = (0..2 * MANY).map(|number| tests::record(&format!("app-{number:02}"))).collect();
    let new: Vec<_> = old.iter().map(|old| Record { generation: old.generation + 1, ..old.clone() }).collect();
    // Three steps of each file, one wait for the bytes of all, a rename of each, one wait for the names of all.
    for last in (0..=old.len() * 4).step_by(3) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path());
        let drafts = old.iter().map(|record| store.draft(record).unwrap()).collect();
        assert!(store.commit(drafts).iter().all(Result::is_ok));
        let apps = dir.path().join("apps");
        let path = |record: &Record<App>| apps.join(format!("{}.json", record.name));
        let files: Vec<_> = new.iter().map(|record| (path(record), file::encode(record).unwrap().text().unwrap())).collect();
        let temporaries: Vec<_> = files.iter().map(|(path, _)| temporary(&apps, path)).collect();
        let mut steps = Vec::new();
        let died = all_steps(&apps, &temporaries, &files, &mut |step| {
            steps.push(step);
            if steps.len() > last { Err(io::Error::other("killed")) } else { Ok(()) }
        });
        assert!(died.iter().any(Result::is_err), "after {last} steps");
        let first_rename = steps.iter().position(|step| *step == Step::Renamed);
        let synced = steps.iter().position(|step| *step == Step::FileSynced);
        assert!(first_rename.is_none_or(|renamed| synced.is_some_and(|synced| synced < renamed)), "no name before the bytes are kept");
        let found = found(dir.path());
        assert_eq!(found.len(), old.len());
        assert!(found.iter().enumerate().all(|(index, found)| *found == old[index] || *found == new[index]), "after {last} steps");
    }
}
