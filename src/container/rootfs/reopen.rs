//! Something that was found, without rights to its content -> the very same, opened.
//!
//! In: a descriptor of ours (`O_PATH`). Out: another one. Never: a path that leads somewhere else by now.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{self, Mode, OFlags};
use rustix::path::DecInt;

use super::ROOT;

/// Opens what a descriptor stands for: the kernel has no other way to give rights to one that has none.
pub(super) fn reopen(found: impl AsFd, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(fs::openat(descriptors()?, DecInt::from_fd(found), flags | OFlags::CLOEXEC, Mode::empty())?)
}

/// The descriptors of this process, whichever of its threads asks. Held open, because the way through `/proc/self` costs a third of an
/// `open` (1 of 3 us).
fn descriptors() -> io::Result<BorrowedFd<'static>> {
    static HELD: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(held) = HELD.get() {
        return Ok(held.as_fd());
    }
    let opened = fs::open("/proc/self/fd", ROOT, Mode::empty())?;
    Ok(HELD.get_or_init(|| opened).as_fd())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::read_to_string;

    use super::*;

    #[test]
    fn every_thread_opens_what_any_of_them_has_found() {
        let dir = tempfile::tempdir().unwrap();
        let found: Vec<OwnedFd> = (0..8)
            .map(|number| {
                let path = dir.path().join("name");
                std::fs::write(&path, number.to_string()).unwrap();
                let found = fs::open(&path, OFlags::PATH, Mode::empty()).unwrap();
                std::fs::remove_file(&path).unwrap();
                found
            })
            .collect();
        let read = |number: usize| read_to_string(File::from(reopen(&found[number], OFlags::RDONLY).unwrap())).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..found.len()).for_each(|number| assert_eq!(read(number), number.to_string())));
            }
        });
    }
}
