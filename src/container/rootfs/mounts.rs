//! The mounts of a container -> which of them can't hang who opens a file there.
//!
//! In: something that was found. Out: whether its file system is on this machine. Never: a number that may have got another meaning; a
//! verdict that was asked of the file system by a thread that may not wait.

#![allow(clippy::disallowed_methods, reason = "of the room that owns a container's paths")]

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FsWord, StatxFlags, fstatfs, statx};

use super::facts::{Facts, TOLD};

/// File systems whose look-ups wait for a disk at most. Not among them: what asks a server or another program (NFS, CIFS, 9p, Ceph, FUSE),
/// and what stands on others of which nothing is known (overlayfs, ecryptfs, shiftfs).
const LOCAL: [FsWord; 17] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x2FC1_2FC1, // ZFS
    0xCA45_1A4E, // bcachefs
    0xF2F5_2010, // F2FS
    0x3153_464A, // JFS
    0x3434,      // NILFS2
    0x5265_4973, // ReiserFS
    0x0102_1994, // tmpfs
    0x8584_58F6, // ramfs
    0x7371_7368, // SquashFS
    0xE0F5_E1E2, // EROFS
    0x28CD_3D45, // cramfs
    0x9660,      // ISO 9660
    0x4D44,      // FAT
    0x2011_BAB0, // exFAT
];

/// `STATX_MNT_ID_UNIQUE` (Linux 6.8): a number that no other mount ever had or gets.
const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// Mounts of one root that were found to be local. A mount keeps its file system as long as it lives.
#[derive(Debug)]
pub(super) struct Mounts {
    /// The mount of the root itself, which the root's descriptor keeps: its number means nothing else meanwhile, on any kernel.
    own: Option<Id>,
    /// Numbers of the local ones; 0: none. A container with more of them than this is looked at elsewhere more often.
    local: [AtomicU64; 16],
    next: AtomicUsize,
}

/// What statx(2) says without asking the file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) facts: Facts,
    mount: Option<Id>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    number: u64,
    /// It is never given out again.
    unique: bool,
}

impl Mounts {
    /// Of a root: nothing is known but what another root on the same mount has learned.
    pub(super) fn of(root: impl AsFd) -> io::Result<Self> {
        let mounts = Self { own: see(root)?.mount, local: Default::default(), next: AtomicUsize::new(0) };
        if let Some(id) = mounts.own.filter(|id| shelf(*id).load(Ordering::Relaxed) == id.number && mounts.is_lasting(*id)) {
            mounts.note(id);
        }
        Ok(mounts)
    }

    /// Whether what was seen is known to be on a local file system.
    pub(super) fn is_local(&self, seen: Seen) -> bool {
        // Numbers are compared, nothing is published by them.
        seen.mount.is_some_and(|id| self.local.iter().any(|known| known.load(Ordering::Relaxed) == id.number) && self.is_lasting(id))
    }

    /// The same, asked of the file system: for threads that may wait.
    pub(super) fn learn(&self, found: impl AsFd, seen: Seen) -> bool {
        if self.is_local(seen) {
            return true;
        }
        if !fstatfs(found).is_ok_and(|about| LOCAL.contains(&about.f_type)) {
            return false;
        }
        if let Some(id) = seen.mount.filter(|id| self.is_lasting(*id)) {
            self.note(id);
            if id.unique && self.own == Some(id) {
                shelf(id).store(id.number, Ordering::Relaxed);
            }
        }
        true
    }

    /// Whether both are of roots on the same mount, which both hold: its number means the same to both.
    pub(super) fn is_of_mount(&self, other: &Self) -> bool {
        self.own.is_some() && self.own == other.own
    }

    fn note(&self, id: Id) {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.local.len();
        self.local[place].store(id.number, Ordering::Relaxed);
    }

    /// Before Linux 6.8 the number of an unmounted file system goes to the next that is mounted: a container could give a local one's to
    /// one that hangs.
    fn is_lasting(&self, id: Id) -> bool {
        id.number != 0 && (id.unique || self.own == Some(id))
    }
}

/// Where the number of a root's own mount is kept for other roots on it: thousands of them may be directories of one disk. What is mounted
/// inside containers has no place here, so that none of them can drive the others' away.
fn shelf(id: Id) -> &'static AtomicU64 {
    static SHELVES: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
    &SHELVES[usize::try_from(id.number % 64).unwrap_or(0)]
}

/// What stands there, as far as the kernel knows it: a file system that hangs is not asked (`AT_STATX_DONT_SYNC`).
pub(super) fn see(found: impl AsFd) -> io::Result<Seen> {
    let seen = statx(found, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, TOLD | StatxFlags::MNT_ID | UNIQUE)?;
    let told = StatxFlags::from_bits_retain(seen.stx_mask);
    let unique = told.contains(UNIQUE);
    let mount = (unique || told.contains(StatxFlags::MNT_ID)).then_some(Id { number: seen.stx_mnt_id, unique });
    Ok(Seen { facts: Facts::from(&seen), mount })
}

/// Device and inode, told in the same way: what tells two roots apart.
pub(super) fn identity(found: impl AsFd) -> io::Result<(u32, u32, u64)> {
    let seen = statx(found, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    Ok((seen.stx_dev_major, seen.stx_dev_minor, seen.stx_ino))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn mounts(unique: bool) -> (Mounts, File, Seen) {
        // Temporary files may be anywhere; this one is in memory.
        let file = File::from(rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
        let seen = see(&file).unwrap();
        let seen = Seen { mount: seen.mount.map(|id| Id { unique, ..id }), ..seen };
        (Mounts { own: None, local: Default::default(), next: AtomicUsize::new(0) }, file, seen)
    }

    #[test]
    fn a_mount_is_local_once_that_was_learned() {
        let (mounts, file, seen) = mounts(true);
        assert!(!mounts.is_local(seen));
        assert!(mounts.learn(&file, seen) && mounts.is_local(seen));
        let proc = File::open("/proc/self/stat").unwrap();
        let seen = see(&proc).unwrap();
        assert!(!mounts.learn(&proc, seen) && !mounts.is_local(seen));
    }

    #[test]
    fn a_number_that_may_be_given_out_again_is_not_remembered_but_for_the_mount_that_is_held() {
        let (mut mounts, file, seen) = mounts(false);
        assert!(mounts.learn(&file, seen) && !mounts.is_local(seen));
        mounts.own = seen.mount;
        assert!(mounts.learn(&file, seen) && mounts.is_local(seen));
    }

    #[test]
    fn a_container_with_many_mounts_makes_nothing_grow() {
        let (mounts, file, seen) = mounts(true);
        for number in 1..100 {
            let seen = Seen { mount: Some(Id { number, unique: true }), ..seen };
            assert!(mounts.learn(&file, seen) && mounts.is_local(seen));
        }
        assert!(!mounts.is_local(Seen { mount: Some(Id { number: 1, unique: true }), ..seen }), "forgotten");
    }
}
