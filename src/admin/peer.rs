//! Who is at the other end of the admin socket -> whether it may ask.
//!
//! In: the credentials that the kernel took down when the client connected (`SO_PEERCRED`, unix(7)), the socket's file. Out: yes, or a
//! sentence. Never: trust in the file's mode alone: whoever widens it by mistake has let nobody in.
//!
//! The kernel does not tell the supplementary groups, so they are read from `/proc`. What that proves: the process that now has the number
//! of the one that connected runs as the user who connected, and is in the group. The number may have gone to another process since, but
//! only to one of the same user; a program that changes its user on execution (`su`, `newgrp`) is not taken for its caller.

#![allow(clippy::disallowed_methods, reason = "the daemon's own socket and /proc: none of these paths is inside a container")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its user.
    pub(super) uid: u32,
    /// Its primary group.
    pub(super) gid: u32,
    /// Its process; none: it is not of our namespace.
    pub(super) pid: Option<i32>,
}

impl Peer {
    /// Whoever has connected; none: the kernel does not say.
    pub(super) fn of(stream: &UnixStream) -> Option<Self> {
        let told: UCred = stream.peer_cred().ok()?;
        Some(Self { uid: told.uid(), gid: told.gid(), pid: told.pid().filter(|pid| *pid > 0) })
    }

    /// Root, the daemon's own user and the members of the socket file's group may ask.
    ///
    /// # Errors
    /// Why it may not, in a sentence.
    pub(super) fn admit(&self, socket: &Path) -> Result<(), String> {
        let own = geteuid().as_raw();
        if self.uid == 0 || self.uid == own {
            return Ok(());
        }
        // Asked anew each time: the group may be changed while the daemon runs.
        let group = fs::symlink_metadata(socket).ok().map(|file| file.gid());
        if group.is_some_and(|group| self.gid == group || self.is_member(group)) {
            return Ok(());
        }
        let group = group.map(|group| format!(", and not in the group of the socket's file (gid {group})")).unwrap_or_default();
        Err(format!("user {} may not ask: it is not root, not the daemon's user (uid {own}){group}", self.uid))
    }

    fn is_member(&self, group: u32) -> bool {
        let status = self.pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok());
        status.is_some_and(|status| is_member(&status, self.uid, group))
    }
}

/// Whether a `/proc/PID/status` is that of a process which runs as this user, and is in this group.
fn is_member(status: &str, uid: u32, group: u32) -> bool {
    let numbers = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().split_whitespace().filter_map(|number| number.parse::<u32>().ok()).collect::<Vec<_>>()
    };
    // Real, effective, saved, of the file system: all of them, so that a process on its way from one user to another is neither.
    let users = numbers("Uid:");
    users.len() == 4 && users.iter().all(|user| *user == uid) && numbers("Groups:").contains(&group)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\tcurl\nTgid:\t7\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t4 24 1000 \nVmPeak:\t1 kB\n";

    #[test]
    fn a_supplementary_group_counts_if_the_process_is_still_that_users() {
        assert!(is_member(STATUS, 1000, 24) && is_member(STATUS, 1000, 4));
        assert!(!is_member(STATUS, 1000, 2), "not a part of a number");
        assert!(!is_member(STATUS, 1001, 24), "the number went to another user's process");
        assert!(!is_member(&STATUS.replace("1000\t1000\t1000\t1000\nGid", "1000\t0\t0\t0\nGid"), 1000, 24), "it is another now");
        assert!(!is_member("", 1000, 24) && !is_member("Uid:\nGroups:\n", 0, 0));
    }

    #[test]
    fn root_and_the_daemons_own_user_need_no_group() {
        let nowhere = Path::new("/nonexistent");
        for uid in [0, geteuid().as_raw()] {
            assert_eq!(Peer { uid, gid: 12345, pid: None }.admit(nowhere), Ok(()));
        }
        assert!(Peer { uid: 4_000_000, gid: 12345, pid: None }.admit(nowhere).is_err());
    }

    #[test]
    fn the_group_is_that_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let gid = fs::metadata(file.path()).unwrap().gid();
        assert_eq!(Peer { uid: 4_000_000, gid, pid: None }.admit(file.path()), Ok(()));
        let refused = Peer { uid: 4_000_000, gid: gid + 1, pid: Some(1) }.admit(file.path());
        assert!(refused.unwrap_err().ends_with(&format!("not in the group of the socket's file (gid {gid})")));
    }
}
