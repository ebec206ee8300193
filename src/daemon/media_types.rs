//! `--media-types` -> what the extensions of files say.
//!
//! In: a path of the host. Out: [`MediaTypes`], with the built-in table beneath it. Never: a daemon that does not start for want of it; more
//! than a mebibyte; a wait for a FIFO.

#![allow(clippy::disallowed_methods, reason = "a table of the host, named on the command line")]

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::config::DEFAULT_MEDIA_TYPES;
use crate::route::MediaTypes;

/// The table of Debian has 72 KiB.
const MOST: u64 = 1 << 20;

/// The table, as it is now.
pub(super) fn read(path: &Path) -> MediaTypes {
    let text = bytes(path).unwrap_or_else(|error| {
        // Many systems have none, and nobody has asked for it.
        if error.kind() != ErrorKind::NotFound || path != Path::new(DEFAULT_MEDIA_TYPES) {
            tracing::warn!(path = %path.display(), "the table of media types can't be read, the built-in one is used: {error}");
        }
        Vec::new()
    });
    MediaTypes::with_system(&text)
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut text = Vec::new();
    file.take(MOST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(table: &Path, name: &str) -> String {
        read(table).content_type(name.as_bytes()).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_table_is_read_and_what_is_none_leaves_the_built_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("mime.types");
        assert_eq!(type_of(&table, "a.png"), "image/png", "there is none");
        std::fs::write(&table, "image/x-mine png\n").unwrap();
        assert_eq!(type_of(&table, "a.png"), "image/x-mine");
        assert_eq!(type_of(&table, "a.html"), "text/html; charset=utf-8");
        std::fs::write(&table, "image/x-mine png\n".repeat(100_000)).unwrap();
        assert_eq!(type_of(&table, "a.png"), "image/png", "it is too large");
        assert_eq!(type_of(dir.path(), "a.png"), "image/png", "it is a directory");
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        assert_eq!(type_of(&fifo, "a.png"), "image/png", "nobody writes to it");
    }
}
