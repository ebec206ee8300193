//! One directory entry -> the bytes of a regular file, or the sentence that says why not.
//!
//! In: a directory's descriptor and a name. Out: content and the stamp that it belongs to. Never: a wait for a FIFO, more than
//! [`MAX_FILE`] bytes.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::{Errno, retry_on_intr};

/// The largest manifest file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// A file changed less than this ago may change again without a new time stamp, and may be half-written.
pub(super) const FRESH: Duration = Duration::from_millis(50);
/// The buffer is not shorter.
const SMALL: usize = 16 << 10;
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
    mtime: i64,
    ctime: i64,
    /// It has other names, too: who writes to one of them gives no event at this one.
    pub shared: bool,
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
            mtime: nanos(stat.st_mtime, stat.st_mtime_nsec),
            ctime: nanos(stat.st_ctime, stat.st_ctime_nsec),
            shared: stat.st_nlink > 1,
        }
    }

    /// Changed just now, or in the future (the clock jumped): the stamp alone proves nothing.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let past = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(FRESH);
        self.mtime > i64::try_from(past.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// The entry as it is now, links followed, not opened.
pub(super) fn stat(dir: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<Stat> {
    statat(dir, name, AtFlags::empty())
}

/// Reads files, one after the other, into one buffer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// As long as the largest file so far.
    buffer: Vec<u8>,
}

impl Reader {
    /// Opens and reads an entry that looked like this a moment ago. `None`: it is gone.
    pub(super) fn read(&mut self, dir: BorrowedFd<'_>, name: &OsStr, stat: &Stat) -> Option<Reading> {
        let mut stamp = Stamp::of(stat);
        // Before it is opened: opening alone can do something to a device.
        if let Some(problem) = unfit(stat) {
            return Some((Err(problem), stamp));
        }
        let mut bytes = Err(String::new());
        for _ in 0..ATTEMPTS {
            let (read, before, after) = match self.read_once(dir, name) {
                Ok(Ok(read)) => read,
                Ok(Err(problem)) => return Some((Err(problem), stamp)),
                Err(Errno::NOENT) => return None,
                Err(error) => return Some((Err(unreadable(error)), stamp)),
            };
            (bytes, stamp) = (Ok(read), before);
            if before == after {
                break;
            }
        }
        Some((bytes, stamp))
    }

    /// Reads what its directory calls a regular file, without a look before that (5 system calls a file, not 7). `None`: it is not as simple.
    pub(super) fn read_regular(&mut self, dir: BorrowedFd<'_>, name: &OsStr) -> Option<Reading> {
        match self.read_once(dir, name) {
            Ok(Ok((bytes, before, after))) if before == after => Some((Ok(bytes), before)),
            _ => None,
        }
    }

    /// Reads with a look before and one after, to see whether it stood still.
    fn read_once(&mut self, dir: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<Once> {
        // Without O_NONBLOCK a FIFO that takes the file's place would hang the thread.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = openat(dir, name, flags, Mode::empty())?;
        let before = fstat(&fd)?;
        if let Some(problem) = unfit(&before) {
            return Ok(Err(problem));
        }
        self.fill(&fd, usize::try_from(before.st_size).unwrap_or(0))?;
        let after = fstat(&fd)?;
        if let Some(problem) = unfit(&after) {
            return Ok(Err(problem));
        }
        // Files of /proc have no size, and may have no end.
        if self.buffer.len() as u64 > MAX_FILE {
            return Ok(Err(too_large()));
        }
        Ok(Ok((self.buffer.as_slice().into(), Stamp::of(&before), Stamp::of(&after))))
    }

    /// Reads to the end, but little more than is allowed. A file that is as long as expected is read at once: there is room for another byte, and
    /// that it did not come is the end.
    fn fill(&mut self, fd: &OwnedFd, expected: usize) -> rustix::io::Result<()> {
        let most = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
        self.buffer.clear();
        self.buffer.reserve((expected + 1).max(SMALL));
        loop {
            let read = retry_on_intr(|| rustix::io::read(fd, spare_capacity(&mut self.buffer)))?;
            let whole = self.buffer.len() == expected && expected > 0;
            if read == 0 || whole || self.buffer.len() > most {
                return Ok(());
            }
            self.buffer.reserve(SMALL);
        }
    }
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

/// Nanoseconds, until the year 2262.
fn nanos(seconds: i64, nanos: impl TryInto<i64>) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos.try_into().unwrap_or(0))
}
