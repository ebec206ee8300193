//! The one door to a container's files: a root held open, and paths that the kernel resolves inside it.
//!
//! In: a root, a path as the container sees it. Out: open files, sockets, directories. Never: a joined path, a link that leads out, a wait
//! for a file system on a thread that may not wait.

#![allow(clippy::disallowed_methods, reason = "the one owner of a container's paths")]

mod content;
mod directory;
mod facts;
mod held;
mod mounts;
mod reopen;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use self::facts::facts;
use self::mounts::Mounts;
use self::reopen::reopen;
use super::lane::Lane;
use crate::api::v1::Symlinks;
use crate::names::ContainerPath;
pub use content::Content;
pub use directory::{Limit, Names};
pub use facts::Facts;
pub use held::let_go_of_files;

/// A root directory, held open.
#[derive(Debug)]
pub struct Rootfs {
    fd: OwnedFd,
    mounts: Mounts,
    lane: Lane,
}

/// A root, and how long who looks into it may be held up: a container can mount what never answers.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    root: &'a Rootfs,
    reach: Reach,
}

/// How far a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// What the kernel has in memory, on file systems of this machine. Anything else is `EAGAIN`.
    AtHand,
    /// As far as it takes, and as long.
    Far,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A unix socket.
    Socket,
    /// A FIFO, a device, or a link that was not to be followed.
    Other,
}

/// Something that was found: held open without rights to its content (`O_PATH`).
#[derive(Debug)]
pub struct Entry {
    fd: OwnedFd,
    /// What it is.
    pub kind: Kind,
    /// As far as the kernel knew when it was found: all there is, where its file system is of this machine.
    seen: Facts,
    reach: Reach,
    /// `None`: its file system is of this machine.
    lane: Option<Lane>,
}

/// How a root is opened.
const ROOT: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A rename that runs beside a look-up makes the kernel give up (`EAGAIN`); it is asked again, so often at most.
const ATTEMPTS: u32 = 32;

/// From this attempt on there is a pause before the next: somebody renames without end.
const HASTY_ATTEMPTS: u32 = 8;

/// That pause.
const PAUSE: Duration = Duration::from_millis(1);

impl Rootfs {
    /// A directory of the host as a root: `/`, or a container's root on disk.
    ///
    /// # Errors
    /// As open(2); `ENOTDIR` if it is no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(fs::open(path, ROOT, Mode::empty())?)
    }

    /// The same, if the kernel has the way there in memory; else `EAGAIN` (`WouldBlock`).
    ///
    /// # Errors
    /// As [`Rootfs::open`].
    pub fn open_at_hand(path: &Path) -> io::Result<Self> {
        match fs::openat2(fs::CWD, path, ROOT, Mode::empty(), ResolveFlags::CACHED) {
            // Linux before 5.12 does not know the flag.
            Err(Errno::INVAL | Errno::INTR) => Err(Errno::AGAIN.into()),
            fd => Self::of(fd?),
        }
    }

    fn of(fd: OwnedFd) -> io::Result<Self> {
        let mounts = Mounts::of(&fd)?;
        Ok(Self { fd, mounts, lane: Lane::default() })
    }

    /// What can be seen without a wait; all else is `EAGAIN` (`WouldBlock`). For the threads that serve.
    #[must_use]
    pub fn at_hand(&self) -> View<'_> {
        View { root: self, reach: Reach::AtHand }
    }

    /// All that can be seen, however long it takes. For threads that may be lost to a container: see [`Lane`].
    #[must_use]
    pub fn far(&self) -> View<'_> {
        View { root: self, reach: Reach::Far }
    }

    /// Looks at once where nothing can hang, and on a thread of this root's own where something may: then `look` is called again.
    ///
    /// # Errors
    /// What `look` says; `TimedOut` if that takes longer than `patience`, with a sentence for people.
    pub async fn look<T, F>(self: &Arc<Self>, patience: Duration, look: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: Fn(View<'_>) -> io::Result<T> + Send + 'static,
    {
        match look(self.at_hand()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.look_far(patience, look).await,
            seen => seen,
        }
    }

    /// The same, on a thread of this root's own.
    ///
    /// # Errors
    /// As [`Rootfs::look`].
    pub async fn look_far<T, F>(self: &Arc<Self>, patience: Duration, look: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(View<'_>) -> io::Result<T> + Send + 'static,
    {
        let root = self.clone();
        self.lane.run(patience, move || look(root.far())).await
    }

    /// Whether both are the same directory.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        matches!((mounts::identity(&self.fd), mounts::identity(&other.fd)), (Ok(one), Ok(other)) if one == other)
    }

    /// Whether both were opened through the same mount: else other things may be mounted below them.
    pub(super) fn is_of_mount(&self, other: &Self) -> bool {
        self.mounts.is_of_mount(&other.mounts)
    }
}

impl View<'_> {
    /// What stands at a path, wherever links inside the container lead.
    ///
    /// # Errors
    /// As openat2(2): `ENOENT`, `EACCES`, `ELOOP` for a magic link of /proc.
    pub fn entry(self, path: &ContainerPath) -> io::Result<Entry> {
        self.find(self.root.fd.as_fd(), path.as_str().as_bytes(), ResolveFlags::IN_ROOT)
    }

    /// What stands at `relative` (no leading `/`, bytes as the file system has them) beneath the directory `docroot` of the container;
    /// links are followed as `symlinks` says. An empty `relative` is the docroot itself.
    ///
    /// # Errors
    /// As openat2(2); `EXDEV` for a link or `..` that leads out of what `symlinks` allows, `ELOOP` for a link that is not allowed at all.
    pub fn entry_beneath(self, docroot: &str, relative: &[u8], symlinks: Symlinks) -> io::Result<Entry> {
        let within = match symlinks {
            Symlinks::Follow => {
                let path = [docroot.as_bytes(), b"/", relative].concat();
                return self.find(self.root.fd.as_fd(), &path, ResolveFlags::IN_ROOT);
            }
            Symlinks::Beneath => ResolveFlags::BENEATH,
            Symlinks::Deny => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        };
        let docroot = if docroot.is_empty() { "/" } else { docroot };
        let docroot = self.open(self.root.fd.as_fd(), docroot.as_bytes(), OFlags::DIRECTORY, ResolveFlags::IN_ROOT)?;
        let relative = if relative.is_empty() { b".".as_slice() } else { relative };
        self.find(docroot.as_fd(), relative, within)
    }

    fn find(self, from: BorrowedFd<'_>, path: &[u8], resolve: ResolveFlags) -> io::Result<Entry> {
        let fd = self.open(from, path, OFlags::empty(), resolve)?;
        let seen = mounts::see(&fd)?;
        let is_local = match self.reach {
            Reach::AtHand => self.root.mounts.is_local(seen),
            Reach::Far => self.root.mounts.learn(&fd, seen),
        };
        let lane = (!is_local).then(|| self.root.lane.clone());
        Ok(Entry { fd, kind: seen.facts.kind, seen: seen.facts, reach: self.reach, lane })
    }

    fn open(self, from: BorrowedFd<'_>, path: &[u8], extra: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC | extra;
        let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
        let open = |resolve| fs::openat2(from, path, flags, Mode::empty(), resolve);
        if self.reach == Reach::AtHand {
            return match open(resolve | ResolveFlags::CACHED) {
                // Linux before 5.12 does not know the flag.
                Err(Errno::INVAL | Errno::INTR) => Err(Errno::AGAIN.into()),
                result => Ok(result?),
            };
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            match open(resolve) {
                Err(Errno::AGAIN | Errno::INTR) if attempts < ATTEMPTS => {}
                result => return Ok(result?),
            }
            if attempts >= HASTY_ATTEMPTS {
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Socket => Self::Socket,
            _ => Self::Other,
        }
    }
}

impl Entry {
    /// Opens a regular file for reading: the very file that was found, and what is told about it.
    ///
    /// # Errors
    /// As open(2); `EINVAL` if it is no regular file, so that a FIFO or a device is never opened; `EAGAIN` if that may hang, and it was
    /// found at hand.
    pub fn open(&self) -> io::Result<(Arc<Content>, Facts)> {
        if self.kind != Kind::File {
            return Err(Errno::INVAL.into());
        }
        self.may_be_used()?;
        let open = || {
            let file = File::from(reopen(self, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
            Ok(Content::new(file, self.lane.clone()))
        };
        if self.lane.is_none() {
            return Ok((held::content_of(&self.seen, open)?, self.seen));
        }
        // Somebody else's file system is asked: it knows better when the file is open.
        let content = open()?;
        let facts = facts(&content)?;
        Ok((Arc::new(content), facts))
    }

    /// What is known of it.
    ///
    /// # Errors
    /// As statx(2); `EAGAIN` if that may hang, and it was found at hand.
    pub fn facts(&self) -> io::Result<Facts> {
        self.may_be_used()?;
        if self.lane.is_some() { facts(self) } else { Ok(self.seen) }
    }

    /// Whether the system may be asked more about it by [`Entry::proc_path`], on the thread that found it.
    ///
    /// # Errors
    /// `EAGAIN` if that may hang, and it was found at hand.
    pub fn may_be_used(&self) -> io::Result<()> {
        if self.lane.is_some() && self.reach == Reach::AtHand { Err(Errno::AGAIN.into()) } else { Ok(()) }
    }

    /// A path that names this very object for as long as the entry lives: for `connect` and `inotify_add_watch`, which take no descriptor.
    #[must_use]
    pub fn proc_path(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }
}

impl AsFd for Rootfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsFd for Entry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn path(text: &str) -> ContainerPath {
        text.parse().unwrap()
    }

    #[test]
    fn an_absolute_link_is_resolved_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        std::fs::create_dir_all(dir.path().join("www")).unwrap();
        std::fs::write(dir.path().join("etc/inside"), "inside").unwrap();
        symlink("/etc/inside", dir.path().join("www/good")).unwrap();
        symlink("/etc/passwd", dir.path().join("www/evil")).unwrap();
        symlink("../../../../../../../../etc/passwd", dir.path().join("www/climb")).unwrap();
        let root = Rootfs::open(dir.path()).unwrap();
        let (good, _) = root.far().entry(&path("/www/good")).unwrap().open().unwrap();
        assert_eq!(io::read_to_string(&**good).unwrap(), "inside");
        for evil in ["/www/evil", "/www/climb"] {
            assert_eq!(root.far().entry(&path(evil)).unwrap_err().kind(), io::ErrorKind::NotFound, "{evil}");
        }
    }

    #[test]
    fn beneath_keeps_links_in_the_document_root_and_deny_follows_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("www/sub")).unwrap();
        std::fs::write(dir.path().join("www/file"), "").unwrap();
        std::fs::write(dir.path().join("outside"), "").unwrap();
        symlink("../file", dir.path().join("www/sub/in")).unwrap();
        symlink("../outside", dir.path().join("www/out")).unwrap();
        let root = Rootfs::open(dir.path()).unwrap();
        let found = |name: &str, symlinks| root.far().entry_beneath("/www", name.as_bytes(), symlinks).map(|entry| entry.kind).ok();
        assert_eq!(found("sub/in", Symlinks::Beneath), Some(Kind::File));
        assert_eq!(found("out", Symlinks::Beneath), None);
        assert_eq!(found("out", Symlinks::Follow), Some(Kind::File));
        assert_eq!(found("sub/in", Symlinks::Deny), None);
        assert_eq!(found("", Symlinks::Deny), Some(Kind::Directory));
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let root = Rootfs::open(dir.path()).unwrap();
        for (name, kind) in [("/socket", Kind::Socket), ("/fifo", Kind::Other), ("/", Kind::Directory)] {
            let entry = root.far().entry(&path(name)).unwrap();
            assert_eq!(entry.kind, kind, "{name}");
            assert!(entry.open().is_err(), "{name}");
        }
    }
}
