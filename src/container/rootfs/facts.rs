//! What statx(2) says of something -> what is told of it, besides its content.
//!
//! In: a descriptor, a name beneath it. Out: [`Facts`], all of one moment. Never: a link that is followed.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, statx};
use rustix::path::Arg;

use super::Kind;

/// What is asked for.
pub(super) const TOLD: StatxFlags = StatxFlags::TYPE.union(StatxFlags::SIZE).union(StatxFlags::MTIME).union(StatxFlags::INO);

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
    /// And the nanoseconds of that.
    pub nanos: u32,
    /// Its number in its file system.
    pub inode: u64,
    /// The number of that.
    pub device: u64,
}

/// Of something that is open.
pub(super) fn facts(of: impl AsFd) -> io::Result<Facts> {
    ask(of, "", AtFlags::EMPTY_PATH)
}

/// Of a name in a directory.
pub(super) fn facts_in(directory: impl AsFd, name: &[u8]) -> io::Result<Facts> {
    ask(directory, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn ask(from: impl AsFd, name: impl Arg, flags: AtFlags) -> io::Result<Facts> {
    Ok(Facts::from(&statx(from, name, flags, TOLD)?))
}

impl From<&Statx> for Facts {
    fn from(said: &Statx) -> Self {
        let kind = FileType::from_raw_mode(said.stx_mode.into());
        Self {
            kind: Kind::of(kind),
            is_link: kind == FileType::Symlink,
            size: said.stx_size,
            modified: said.stx_mtime.tv_sec,
            nanos: said.stx_mtime.tv_nsec,
            inode: said.stx_ino,
            device: rustix::fs::makedev(said.stx_dev_major, said.stx_dev_minor),
        }
    }
}
