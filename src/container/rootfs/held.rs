//! Small files that were opened a moment ago -> the same, without another open.
//!
//! In: what was found, and a way to open it. Out: its content. Never: a file by its name; one that is held for long, for a container that
//! stops has to unmount it; any on a thread where nobody lets go.
//!
//! To open what was found costs 2.4 of 16 us that a file of 1 KB takes, and to close it 0.4. The inode is compared, which the held file keeps
//! from being given to another one: what is told of a file, and its bytes, are as they are now.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Content, Facts};

/// The largest file that is held, in bytes: of a larger one the open is a small part.
const LARGEST: u64 = 64 * 1024;

/// How many a thread holds.
const MOST: usize = 64;

/// How long, from its opening on: to the next look after that.
const MOMENT: Duration = Duration::from_secs(1);

thread_local! {
    /// In the order in which they were opened. `None`: nobody on this thread lets go of them.
    static HELD: RefCell<Option<VecDeque<Held>>> = const { RefCell::new(None) };
}

struct Held {
    device: u64,
    inode: u64,
    content: Arc<Content>,
    opened: Instant,
}

/// Lets go of this thread's files whose moment is over. A thread that calls this every second may hold files from then on.
pub fn let_go_of_files() {
    let_go(Instant::now());
}

fn let_go(now: Instant) {
    HELD.with_borrow_mut(|held| {
        let held = held.get_or_insert_default();
        while held.front().is_some_and(|oldest| now.saturating_duration_since(oldest.opened) >= MOMENT) {
            held.pop_front();
        }
    });
}

/// The content of what was found, which is on a disk of this machine.
pub(super) fn content_of(facts: &Facts, open: impl FnOnce() -> io::Result<Content>) -> io::Result<Arc<Content>> {
    HELD.with_borrow_mut(|held| {
        let Some(held) = held.as_mut().filter(|_| facts.size <= LARGEST) else { return open().map(Arc::new) };
        if let Some(held) = held.iter().find(|held| (held.inode, held.device) == (facts.inode, facts.device)) {
            return Ok(held.content.clone());
        }
        let content = Arc::new(open()?);
        if held.len() >= MOST {
            held.pop_front();
        }
        held.push_back(Held { device: facts.device, inode: facts.inode, content: content.clone(), opened: Instant::now() });
        Ok(content)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::path::Path;

    use super::super::Rootfs;
    use super::*;

    /// As a thread that serves opens it.
    fn open(root: &Path, name: &str) -> (Arc<Content>, String) {
        let root = Rootfs::open(root).unwrap();
        // The first one learns that its disk is of this machine.
        root.far().entry(&"/".parse().unwrap()).unwrap();
        let (content, facts) = root.at_hand().entry(&name.parse().unwrap()).unwrap().open().unwrap();
        let mut text = vec![0; usize::try_from(facts.size).unwrap()];
        std::os::unix::fs::FileExt::read_exact_at(&**content, &mut text, 0).unwrap();
        (content, String::from_utf8(text).unwrap())
    }

    fn held() -> usize {
        HELD.with_borrow(|held| held.as_ref().map_or(0, VecDeque::len))
    }

    #[test]
    fn a_thread_where_nobody_lets_go_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "one").unwrap();
        let (first, _) = open(dir.path(), "/a");
        assert!(!Arc::ptr_eq(&first, &open(dir.path(), "/a").0) && held() == 0);
    }

    #[test]
    fn a_file_is_opened_once_in_its_moment_and_answers_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "one").unwrap();
        let_go_of_files();
        let (first, text) = open(dir.path(), "/a");
        assert_eq!(text, "one");
        fs::write(&path, "rewritten").unwrap();
        let (again, text) = open(dir.path(), "/a");
        assert!(Arc::ptr_eq(&first, &again) && text == "rewritten");
        fs::write(dir.path().join("b"), "another").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        let (other, text) = open(dir.path(), "/a");
        assert!(!Arc::ptr_eq(&first, &other) && text == "another");
        let mut old = String::new();
        (&**first).read_to_string(&mut old).unwrap();
        assert_eq!(old, "rewritten", "who has it has it");
        fs::remove_file(&path).unwrap();
        let root = Rootfs::open(dir.path()).unwrap();
        assert!(root.at_hand().entry(&"/a".parse().unwrap()).is_err(), "a name that is gone is gone");
    }

    #[test]
    fn what_is_held_is_let_go_of_soon_and_is_never_much() {
        let dir = tempfile::tempdir().unwrap();
        let_go_of_files();
        for number in 0..2 * MOST {
            fs::write(dir.path().join(number.to_string()), "x").unwrap();
            open(dir.path(), &format!("/{number}"));
            assert!(held() <= MOST);
        }
        assert_eq!(held(), MOST);
        let_go(Instant::now());
        assert!(held() > 0, "their moment is not over");
        let_go(Instant::now() + MOMENT);
        assert_eq!(held(), 0);
        fs::write(dir.path().join("large"), "x".repeat(64 * 1024 + 1)).unwrap();
        open(dir.path(), "/large");
        assert_eq!(held(), 0, "a large one is not held");
    }
}
