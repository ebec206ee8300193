//! A small file of the host -> its text.
//!
//! In: a path of the host, which no container can write to. Out: text, or `None` while it is not there. Never: a wait for a FIFO, more
//! than a few kilobytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// More than a pid, or what machined knows of a machine, ever takes.
const MOST: u64 = 16 << 10;

/// The text of a file; `None`: there is none.
///
/// # Errors
/// As open(2) and read(2); `InvalidData` if it is no regular file, too long, or no text.
#[allow(clippy::disallowed_methods, reason = "a file of the host, named by its administrator or by systemd")]
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match open(path, flags, Mode::empty()).map_err(io::Error::from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => File::from(file?),
    };
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
    }
    let mut text = String::new();
    file.take(MOST + 1).read_to_string(&mut text)?;
    let fits = u64::try_from(text.len()).is_ok_and(|length| length <= MOST);
    if fits { Ok(Some(text)) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_regular_file_of_text_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert_eq!(read(&path).unwrap(), None);
        assert_eq!(read(&path.join("below")).unwrap(), None);
        std::fs::write(&path, "text\n").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("text\n"));
        for bad in [vec![b'7'; 20_000], vec![0xff]] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        for not_regular in [fifo.as_path(), dir.path()] {
            assert_eq!(read(not_regular).unwrap_err().kind(), io::ErrorKind::InvalidData, "{}", not_regular.display());
        }
    }
}
