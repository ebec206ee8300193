//! A record <-> the text of its file.
//!
//! In: a [`Record`], or a file that may hold anything. Out: the other one, with a checksum. Never: a damaged, foreign or newer file
//! taken for a record; more than [`MAX_BYTES`] read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Kept, Record};

/// The form of the files. Raised when an older lxcproxy would misread them.
const VERSION: u32 = 1;
/// A manifest has 1 MiB at most; JSON and its defaults make it longer, but not by so much.
const MAX_BYTES: u64 = 64 << 20;

/// A file as a whole. The checksum is of the record's compact JSON, so that it can be told before any field is looked at.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    version: u32,
    checksum: String,
    record: Value,
}

/// Why a file is not a record.
#[derive(Debug)]
pub(super) enum Failed {
    /// It could not be read.
    Io(io::Error),
    /// It was read, and is something else.
    Corrupt(String),
}

/// A record that may be written.
pub(super) struct Encoded {
    record: Value,
    /// Tells whether it is what is on disk already.
    pub(super) checksum: u64,
}

/// Begins to make the record's file.
pub(super) fn encode<T: Kept>(record: &Record<T>) -> io::Result<Encoded> {
    let record = serde_json::to_value(record)?;
    let checksum = fnv1a(record.to_string().as_bytes());
    Ok(Encoded { record, checksum })
}

impl Encoded {
    /// The text of the file.
    pub(super) fn text(self) -> io::Result<String> {
        let envelope = Envelope { version: VERSION, checksum: format!("{:016x}", self.checksum), record: self.record };
        let mut text = serde_json::to_string_pretty(&envelope)?;
        text.push('\n');
        Ok(text)
    }
}

/// Reads the record that a file of this name (without `.json`) should hold.
pub(super) fn read<T: Kept>(path: &Path, stem: &str) -> Result<(Record<T>, u64), Failed> {
    // O_NOFOLLOW: a record is no link. O_NONBLOCK: a FIFO must not hang us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd: OwnedFd = match openat(CWD, path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::LOOP | Errno::NXIO) => return Err(Failed::Corrupt("is not a regular file".into())),
        Err(error) => return Err(Failed::Io(error.into())),
    };
    let stat = fstat(&fd).map_err(|error| Failed::Io(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Failed::Corrupt("is not a regular file".into()));
    }
    let mut bytes = Vec::new();
    File::from(fd).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Failed::Io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failed::Corrupt(format!("is larger than {MAX_BYTES} bytes")));
    }
    decode(&bytes, stem).map_err(Failed::Corrupt)
}

/// The record in a file's bytes, and its checksum; or what is wrong with them.
pub(super) fn decode<T: Kept>(bytes: &[u8], stem: &str) -> Result<(Record<T>, u64), String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("is not JSON: {error}"))?;
    // Before the rest, which may look different in another version.
    let version = value.get("version").and_then(Value::as_u64);
    if version != Some(VERSION.into()) {
        let version = version.map_or("no version".to_owned(), |version| format!("version {version}"));
        return Err(format!("has {version}; expected version {VERSION}"));
    }
    let envelope: Envelope = serde_json::from_value(value).map_err(|error| format!("is not a record: {error}"))?;
    let checksum = fnv1a(envelope.record.to_string().as_bytes());
    if envelope.checksum != format!("{checksum:016x}") {
        return Err("does not fit its checksum".into());
    }
    let record: Record<T> = serde_json::from_value(envelope.record).map_err(|error| format!("is not a record: {error}"))?;
    if record.name.as_str() != stem {
        return Err(format!("is the record of `{}`", record.name));
    }
    Ok((record, checksum))
}

/// FNV-1a, 64 bits: tells damage, not malice.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
