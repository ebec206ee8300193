//! One directory entry -> the bytes of a regular file, or the sentence that says why not.
//!
//! In: a directory's descriptor and a name. Out: content and the stamp that it belongs to. Never: a wait for a FIFO, more than
//! [`MAX_FILE`] bytes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};

/// The largest manifest file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// A file changed less than this ago may change again without a new time stamp, and may be half-written.
pub(super) const FRESH: Duration = Duration::from_millis(50);
/// How often a file that changes under the reader is read again.
const ATTEMPTS: usize = 3;

/// Which object a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    dev: u64,
    ino: u64,
}

/// What changes when a file's content does. Times in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub id: Id,
    pub size: u64,
    mtime: i128,
    ctime: i128,
}

/// A file's bytes or what is wrong with it, and the state that this was read from.
pub(super) type Reading = (Result<Arc<[u8]>, String>, Stamp);

impl Id {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { dev: stat.st_dev, ino: stat.st_ino }
    }
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            id: Id::of(stat),
            size: u64::try_from(stat.st_size).unwrap_or(u64::MAX),
            mtime: nanos(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            ctime: nanos(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }

    /// Changed just now, or in the future (the clock jumped): the stamp alone proves nothing.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |age| i128::try_from(age.as_nanos()).unwrap_or(i128::MAX));
        self.mtime > now - i128::try_from(FRESH.as_nanos()).unwrap_or(i128::MAX)
    }
}

/// The entry as it is now, links followed, not opened.
pub(super) fn stat(dir: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<Stat> {
    statat(dir, name, AtFlags::empty())
}

/// Opens and reads an entry that looked like this a moment ago.
pub(super) fn read(dir: BorrowedFd<'_>, name: &OsStr, stat: &Stat) -> Reading {
    let mut stamp = Stamp::of(stat);
    // Before it is opened: opening alone can do something to a device.
    if let Some(problem) = unfit(stat) {
        return (Err(problem), stamp);
    }
    let mut bytes = Err(String::new());
    for _ in 0..ATTEMPTS {
        let (read, before, after) = match read_once(dir, name) {
            Ok(Ok(read)) => read,
            Ok(Err(problem)) => return (Err(problem), stamp),
            Err(error) => return (Err(unreadable(error)), stamp),
        };
        (bytes, stamp) = (Ok(read), before);
        if before == after {
            break;
        }
    }
    (bytes, stamp)
}

/// Why an entry is not read, by its looks.
fn unfit(stat: &Stat) -> Option<String> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            return (Stamp::of(stat).size > MAX_FILE).then(too_large);
        }
        FileType::Directory => "directory",
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::Symlink | FileType::Unknown => "special file",
    };
    Some(format!("is a {kind}; expected a regular file"))
}

fn too_large() -> String {
    format!("is larger than {MAX_FILE} bytes, the most that a manifest may have")
}

/// The sentence for an error of the system.
pub(super) fn unreadable(error: impl Into<io::Error>) -> String {
    format!("cannot be read: {}", error.into())
}

type Once = Result<(Arc<[u8]>, Stamp, Stamp), String>;

/// Reads with a look before and one after, to see whether it stood still.
fn read_once(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Once> {
    // Without O_NONBLOCK a FIFO that takes the file's place would hang the thread.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd: OwnedFd = openat(dir, name, flags, Mode::empty())?;
    let before = fstat(&fd)?;
    if let Some(problem) = unfit(&before) {
        return Ok(Err(problem));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.st_size).unwrap_or(0));
    let mut file = File::from(fd);
    (&mut file).take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    let after = fstat(&file)?;
    if let Some(problem) = unfit(&after) {
        return Ok(Err(problem));
    }
    // Files of /proc have no size, and may have no end.
    if bytes.len() as u64 > MAX_FILE {
        return Ok(Err(too_large()));
    }
    Ok(Ok((bytes.into(), Stamp::of(&before), Stamp::of(&after))))
}

fn nanos(seconds: i128, nanos: i128) -> i128 {
    seconds * 1_000_000_000 + nanos
}
