//! What a change costs: the same in a small tree and in a large one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;

/// A tree of so many files, looked at until nothing is held back.
fn looked_at(root: &Path, files: usize) -> Look {
    for number in 0..files {
        fs::write(root.join(format!("app-{number:06}.yaml")), "one").unwrap();
    }
    let mut look = Look::new(root.canonicalize().unwrap(), Watch::new());
    look.take(Errand::AsIs);
    while look.take(Errand::Look).again.is_some() {}
    look
}

/// Waits until all that was done before is hinted: then a mark is, too.
fn wait(look: &Look, root: &Path) {
    let (mark, deadline) = (root.canonicalize().unwrap().join("mark"), Instant::now() + Duration::from_secs(10));
    fs::write(&mark, "").unwrap();
    while look.watch.hints.writer(&mark) != super::super::hold::Writer::Done {
        assert!(Instant::now() < deadline, "events come");
        std::thread::yield_now();
    }
}

/// How often this thread has read, and how many bytes.
fn reads() -> String {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().filter(|line| line.starts_with("syscr") || line.starts_with("rchar")).collect::<Vec<_>>().join(" ")
}

fn difference(before: &str, after: &str) -> Vec<u64> {
    let numbers = |text: &str| text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u64>>();
    numbers(after).iter().zip(numbers(before)).map(|(after, before)| after - before).collect()
}

#[test]
fn a_change_is_seen_without_a_walk_and_reads_as_much_among_ten_files_as_among_a_thousand() {
    let costs = [10, 1_000].map(|files| {
        let temp = tempfile::tempdir().unwrap();
        let mut look = looked_at(temp.path(), files);
        let (walks, before) = (look.picture.walks(), look.listing.files.clone());
        fs::write(temp.path().join("app-000007.yaml"), "two").unwrap();
        fs::write(temp.path().join("new.yaml"), "new").unwrap();
        wait(&look, temp.path());
        let reads_before = reads();
        let sight = look.take(Errand::Hinted);
        let cost = difference(&reads_before, &reads());
        assert!(sight.news && sight.again.is_none());
        assert_eq!(look.picture.walks(), walks, "no walk");
        assert_eq!(before.diff(&sight.listing.files).count(), 2);
        assert_eq!(sight.listing.revision, super::super::list(temp.path()).revision, "as if all had been read");
        cost
    });
    // Length of the numbers in /proc/thread-self/io.
    assert!(costs[0].iter().zip(&costs[1]).all(|(small, large)| small.abs_diff(*large) < 20), "{costs:?}");
}

#[test]
fn what_concerns_directories_and_links_and_many_names_is_walked() {
    let ways: [fn(&Path); 4] = [
        |root| fs::create_dir(root.join("sub")).unwrap(),
        |root| std::os::unix::fs::symlink("app-000001.yaml", root.join("link.yaml")).unwrap(),
        |root| fs::hard_link(root.join("app-000001.yaml"), root.join("twin.yaml")).unwrap(),
        |root| (0..=PATHS).for_each(|number| fs::write(root.join(format!("{number}.yaml")), "").unwrap()),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let temp = tempfile::tempdir().unwrap();
        let mut look = looked_at(temp.path(), 10);
        let walks = look.picture.walks();
        way(temp.path());
        wait(&look, temp.path());
        look.take(Errand::Hinted);
        assert!(look.picture.walks() > walks, "way {number}");
    }
}

#[test]
fn a_file_that_is_gone_is_held_for_a_moment_and_let_go_without_a_walk() {
    let temp = tempfile::tempdir().unwrap();
    let mut look = looked_at(temp.path(), 10);
    let walks = look.picture.walks();
    fs::remove_file(temp.path().join("app-000003.yaml")).unwrap();
    wait(&look, temp.path());
    let first = look.take(Errand::Hinted);
    assert!(!first.news && first.listing.files.len() == 10);
    while Instant::now() < first.again.unwrap() {
        std::thread::yield_now();
    }
    let second = look.take(Errand::Hinted);
    assert!(second.news && second.listing.lacks("app-000003.yaml"));
    assert_eq!(look.picture.walks(), walks);
}

#[test]
fn glances_take_turns_and_find_what_gave_no_event() {
    let temp = tempfile::tempdir().unwrap();
    let mut look = looked_at(temp.path(), GLANCE + 10);
    let outside = tempfile::tempdir_in(temp.path().parent().unwrap()).unwrap();
    fs::hard_link(temp.path().join("app-001005.yaml"), outside.path().join("other")).unwrap();
    look.take(Errand::Look);
    fs::write(outside.path().join("other"), "changed").unwrap();
    assert!(!look.take(Errand::Glance).news, "the first thousand");
    let mut second = look.take(Errand::Glance);
    // It is young, and who wrote it is not known.
    while second.again.is_some() {
        second = look.take(Errand::Hinted);
    }
    assert_eq!(second.listing.files["app-001005.yaml"].bytes.as_deref(), Ok(&b"changed"[..]));
}
