//! The one door to a container's files: a root held open, and paths that the kernel resolves inside it.
//!
//! In: a root, a path as the container sees it. Out: open files, sockets, directories. Never: a joined path, a link that leads out.

#![allow(clippy::disallowed_methods, reason = "the one owner of a container's paths")]

mod directory;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::api::v1::Symlinks;
use crate::names::ContainerPath;
pub use directory::{Facts, Limit, Names};

/// A root directory, held open.
#[derive(Debug)]
pub struct Rootfs {
    fd: OwnedFd,
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
}

/// A rename that runs beside a look-up makes the kernel give up (`EAGAIN`); it is asked again, so often at most.
const ATTEMPTS: usize = 32;

impl Rootfs {
    /// A directory of the host as a root: `/`, or a container's root on disk.
    ///
    /// # Errors
    /// As open(2); `ENOTDIR` if it is no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd })
    }

    /// What stands at a path, wherever links inside the container lead.
    ///
    /// # Errors
    /// As openat2(2): `ENOENT`, `EACCES`, `ELOOP` for a magic link of /proc.
    pub fn entry(&self, path: &ContainerPath) -> io::Result<Entry> {
        Entry::find(self.fd.as_fd(), path.as_str().as_bytes(), OFlags::empty(), ResolveFlags::IN_ROOT)
    }

    /// What stands at `relative` (no leading `/`, bytes as the file system has them) beneath the directory `docroot` of the container;
    /// links are followed as `symlinks` says. An empty `relative` is the docroot itself.
    ///
    /// # Errors
    /// As openat2(2); `EXDEV` for a link or `..` that leads out of what `symlinks` allows, `ELOOP` for a link that is not allowed at all.
    pub fn entry_beneath(&self, docroot: &str, relative: &[u8], symlinks: Symlinks) -> io::Result<Entry> {
        let within = match symlinks {
            Symlinks::Follow => {
                let path = [docroot.as_bytes(), b"/", relative].concat();
                return Entry::find(self.fd.as_fd(), &path, OFlags::empty(), ResolveFlags::IN_ROOT);
            }
            Symlinks::Beneath => ResolveFlags::BENEATH,
            Symlinks::Deny => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        };
        let docroot = [docroot.as_bytes(), b"/"].concat();
        let docroot = Entry::find(self.fd.as_fd(), &docroot, OFlags::DIRECTORY, ResolveFlags::IN_ROOT)?;
        let relative = if relative.is_empty() { b".".as_slice() } else { relative };
        Entry::find(docroot.fd.as_fd(), relative, OFlags::empty(), within)
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
    fn find(from: BorrowedFd<'_>, path: &[u8], extra: OFlags, resolve: ResolveFlags) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC | extra;
        let mut attempts = 0;
        let fd = loop {
            attempts += 1;
            match fs::openat2(from, path, flags, Mode::empty(), resolve | ResolveFlags::NO_MAGICLINKS) {
                Err(Errno::AGAIN | Errno::INTR) if attempts < ATTEMPTS => {}
                result => break result?,
            }
        };
        let kind = Kind::of(FileType::from_raw_mode(fs::fstat(&fd)?.st_mode));
        Ok(Self { fd, kind })
    }

    /// Opens a regular file for reading: the very file that was found.
    ///
    /// # Errors
    /// As open(2); `EINVAL` if it is no regular file, so that a FIFO or a device is never opened.
    pub fn open(&self) -> io::Result<File> {
        if self.kind != Kind::File {
            return Err(Errno::INVAL.into());
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(File::from(fs::open(self.proc_path(), flags, Mode::empty())?))
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
        let good = root.entry(&path("/www/good")).unwrap().open().unwrap();
        assert_eq!(io::read_to_string(good).unwrap(), "inside");
        for evil in ["/www/evil", "/www/climb"] {
            assert_eq!(root.entry(&path(evil)).unwrap_err().kind(), io::ErrorKind::NotFound, "{evil}");
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
        let found = |name: &str, symlinks| root.entry_beneath("/www", name.as_bytes(), symlinks).map(|entry| entry.kind).ok();
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
            let entry = root.entry(&path(name)).unwrap();
            assert_eq!(entry.kind, kind, "{name}");
            assert!(entry.open().is_err(), "{name}");
        }
    }
}
