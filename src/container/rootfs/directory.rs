//! A directory that was found -> the names in it.
//!
//! In: an [`Entry`], a limit. Out: names and what they are themselves. Never: a link that is followed; more names, or more bytes of them,
//! than somebody asked for.

use std::io;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Entry, Kind};

/// How much of a directory is read.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Names, those that nobody wants to see among them.
    pub names: usize,
    /// Bytes of names, together.
    pub bytes: usize,
}

/// What is in a directory.
#[derive(Debug)]
pub struct Names {
    /// In the order of the file system, without `.` and `..`.
    pub names: Vec<Vec<u8>>,
    /// There are more of them.
    pub truncated: bool,
}

/// What is known of something, besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// It is a symbolic link. Its kind is `Other`: where it leads is looked up like any path.
    pub is_link: bool,
    /// In bytes.
    pub size: u64,
    /// Last modified, in seconds since the epoch.
    pub modified: i64,
}

impl Entry {
    /// The names in a directory.
    ///
    /// # Errors
    /// As open(2) and getdents(2); `ENOTDIR` if it is no directory, `EAGAIN` where that may hang.
    pub fn names(&self, limit: Limit) -> io::Result<Names> {
        if self.kind != Kind::Directory {
            return Err(Errno::NOTDIR.into());
        }
        self.may_be_used()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut found = Names { names: Vec::new(), truncated: false };
        let mut bytes = 0;
        for item in Dir::new(fs::open(self.proc_path(), flags, Mode::empty())?)? {
            let item = item?;
            let name = item.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            bytes += name.len();
            if found.names.len() == limit.names || bytes > limit.bytes {
                found.truncated = true;
                break;
            }
            found.names.push(name.to_vec());
        }
        Ok(found)
    }

    /// What a name of this directory is itself.
    ///
    /// # Errors
    /// As fstatat(2); `EINVAL` for what is more than a name.
    pub fn facts_of(&self, name: &[u8]) -> io::Result<Facts> {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return Err(Errno::INVAL.into());
        }
        self.may_be_used()?;
        Ok(facts(&fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// What it is.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn facts(&self) -> io::Result<Facts> {
        self.may_be_used()?;
        Ok(facts(&fs::fstat(&self.fd)?))
    }
}

fn facts(stat: &fs::Stat) -> Facts {
    let kind = FileType::from_raw_mode(stat.st_mode);
    Facts {
        kind: Kind::of(kind),
        is_link: kind == FileType::Symlink,
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        modified: stat.st_mtime,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::Rootfs;
    use super::*;

    const ALL: Limit = Limit { names: 100, bytes: 10_000 };

    #[test]
    fn names_are_read_up_to_a_limit_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("www/sub")).unwrap();
        std::fs::write(dir.path().join("www/file"), "12345").unwrap();
        symlink("/etc/passwd", dir.path().join("www/link")).unwrap();
        let root = Rootfs::open(dir.path()).unwrap();
        let www = root.far().entry(&"/www".parse().unwrap()).unwrap();
        let mut all = www.names(ALL).unwrap();
        all.names.sort();
        assert_eq!((all.names.as_slice(), all.truncated), ([b"file".to_vec(), b"link".to_vec(), b"sub".to_vec()].as_slice(), false));
        for (limit, count) in [(Limit { names: 2, ..ALL }, 2), (Limit { bytes: 7, ..ALL }, 1), (Limit { names: 0, ..ALL }, 0)] {
            let some = www.names(limit).unwrap();
            assert_eq!((some.names.len(), some.truncated), (count, true), "{limit:?}");
        }
        let facts = |name: &[u8]| www.facts_of(name).map(|facts| (facts.kind, facts.is_link, facts.size)).ok();
        assert_eq!(facts(b"file"), Some((Kind::File, false, 5)));
        assert!(facts(b"link").is_some_and(|(kind, is_link, _)| kind == Kind::Other && is_link));
        assert!(facts(b"sub").is_some_and(|(kind, ..)| kind == Kind::Directory));
        for name in [&b".."[..], b"../etc", b"sub/..", b"", b"missing"] {
            assert_eq!(facts(name), None, "{}", name.escape_ascii());
        }
        assert!(root.far().entry(&"/www/file".parse().unwrap()).unwrap().names(ALL).is_err());
    }
}
