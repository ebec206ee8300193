//! A pid -> a container's init: a process that is watched, and never mistaken for another that got its pid.
//!
//! In: a pid from a runtime. Out: [`Init`], and what was opened through it. Never: a descriptor opened through a pid that changed hands.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::Interest;

use super::netns::Network;
use super::readiness::register;
use super::rootfs::Rootfs;

/// A running init.
#[derive(Debug)]
pub struct Init {
    /// Its pid in the host's namespace.
    pub pid: u32,
    /// Start time in clock ticks since boot (proc(5) stat field 22): tells two processes with one pid apart.
    pub start_time: u64,
    pidfd: OwnedFd,
}

/// How long to wait before looking again, where the end of a process can't be waited for (out of descriptors).
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Init {
    /// Takes hold of a running process.
    ///
    /// # Errors
    /// As `pidfd_open(2)`; `ESRCH` if it has ended.
    pub fn open(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty())?;
        Ok(Self { pid, start_time: start_time(pid)?, pidfd })
    }

    /// Its root and its network, as of now.
    ///
    /// # Errors
    /// As open(2): `EACCES` without `CAP_SYS_PTRACE`; `ESRCH` if it has ended meanwhile.
    pub fn enter(&self) -> io::Result<(Rootfs, Network)> {
        let root = Rootfs::open(Path::new(&format!("/proc/{}/root", self.pid)))?;
        let network = Network::of_process(self.pid)?;
        self.verify()?;
        Ok((root, network))
    }

    /// Its mount table, which polls as urgent whenever a mount comes or goes (proc(5)). It keeps those mounts busy: drop it when init ends.
    ///
    /// # Errors
    /// As open(2); `ESRCH` if it has ended.
    pub fn mounts(&self) -> io::Result<File> {
        let table = read(&format!("/proc/{}/mountinfo", self.pid))?;
        self.verify()?;
        Ok(table)
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        while self.is_running() {
            // A descriptor of its own: two waiters may not register the same one.
            let waiter = self.pidfd.try_clone().and_then(|pidfd| register(pidfd, Interest::READABLE));
            match waiter {
                Ok(waiter) if waiter.readable().await.is_ok() => {}
                _ => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let mut watched = [PollFd::new(&self.pidfd, PollFlags::IN)];
        // A pidfd is readable from the end of its process on. A failed poll says nothing.
        !matches!(poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
    }

    /// Whether it began after a moment of `CLOCK_MONOTONIC`: then what was known at that moment is about another process, which had its
    /// pid before.
    #[must_use]
    pub fn began_after(&self, moment: Duration) -> bool {
        // It is known by the time since boot, in which a machine may also have slept: at most so long as until now.
        let now = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        let slept = now(ClockId::Boottime).saturating_sub(now(ClockId::Monotonic));
        let ticks = clock_ticks_per_second().max(1);
        Duration::from_millis(self.start_time.saturating_mul(1000) / ticks) > moment.saturating_add(slept)
    }

    /// Whether it is about to end, or has ended: the kernel kills a container's processes on the way out of its init, so a process of the
    /// container may be gone before [`Init::is_running`] tells.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        let stat = read(&format!("/proc/{}/stat", self.pid)).and_then(io::read_to_string);
        let ours = stat.ok().filter(|stat| parse_start_time(stat) == Some(self.start_time));
        !self.is_running() || ours.is_none_or(|stat| parse_exiting(&stat))
    }

    /// What was opened through the pid until now was opened through this process: it has not ended, so nobody else can have its pid.
    fn verify(&self) -> io::Result<()> {
        if start_time(self.pid)? == self.start_time && self.is_running() { Ok(()) } else { Err(Errno::SRCH.into()) }
    }
}

impl AsFd for Init {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

fn start_time(pid: u32) -> io::Result<u64> {
    let stat = io::read_to_string(read(&format!("/proc/{pid}/stat"))?)?;
    parse_start_time(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has no start time")))
}

fn parse_start_time(stat: &str) -> Option<u64> {
    field(stat, 22)?.parse().ok()
}

/// `PF_EXITING` among the flags of field 9 (`include/linux/sched.h`).
fn parse_exiting(stat: &str) -> bool {
    field(stat, 9).and_then(|flags| flags.parse::<u64>().ok()).is_some_and(|flags| flags & 4 != 0)
}

/// A field of proc(5) `stat`, from the third on. The name of the program, field 2, may hold anything, even `)`: fields are counted from
/// the last one.
fn field(stat: &str, number: usize) -> Option<&str> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

#[allow(clippy::disallowed_methods, reason = "/proc is the host's own")]
fn read(path: &str) -> io::Result<File> {
    Ok(File::from(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_hostile_program_name() {
        let stat = "77 (a) R 1 2 (x) b) S 1 77 77 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 424242 1 2 3";
        assert_eq!(parse_start_time(stat), Some(424_242));
        for bad in ["", "1 (x", "1 (x) S 1 2", "1 (x) S 1 77 77 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 soon 1"] {
            assert_eq!(parse_start_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_process_on_its_way_out_is_told_by_its_flags() {
        let stat = |flags: &str| format!("77 (a) S 1) D 1 77 77 0 -1 {flags} 1 0 0 0 0 0 0 0 20 0 1 0 424242 1 2 3");
        assert!(parse_exiting(&stat("4194564")));
        assert!(!parse_exiting(&stat("4194560")));
        assert!(!parse_exiting("77 (a"));
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_noticed_by_all_who_wait() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let init = Init::open(child.id()).unwrap();
        assert!(init.is_running() && !init.is_ending());
        assert!(init.enter().is_ok());
        assert!(init.began_after(Duration::from_secs(1)) && !init.began_after(Duration::from_secs(u64::MAX)));
        drop(child.stdin.take());
        let both = async { tokio::join!(init.ended(), init.ended()) };
        tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
        assert!(!init.is_running() && init.is_ending());
        assert!(init.enter().is_err(), "a zombie has no root");
        child.wait().unwrap();
        assert!(Init::open(child.id()).is_err());
    }
}
