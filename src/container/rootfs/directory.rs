//! A directory that was found -> the names in it.
//!
//! In: an [`Entry`], a limit. Out: names and what they are themselves. Never: a link that is followed; more names, or more bytes of them,
//! than somebody asked for.

use std::io;

use rustix::fs::{Dir, OFlags};
use rustix::io::Errno;

use super::facts::facts_in;
use super::reopen::reopen;
use super::{Entry, Facts, Kind};

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
        let directory = reopen(self, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK)?;
        let mut found = Names { names: Vec::new(), truncated: false };
        let mut bytes = 0;
        for item in Dir::new(directory)? {
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
    /// As statx(2); `EINVAL` for what is more than a name.
    pub fn facts_of(&self, name: &[u8]) -> io::Result<Facts> {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return Err(Errno::INVAL.into());
        }
        self.may_be_used()?;
        facts_in(&self.fd, name)
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
