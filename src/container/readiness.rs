//! A descriptor of the kernel's -> its readiness, awaited: pidfd, inotify, mount table.
//!
//! In: a descriptor that is owned. Out: tokio's [`AsyncFd`] around it. Never: a borrowed descriptor, which could be closed under it.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime, until it is dropped.
///
/// # Errors
/// As `epoll_ctl(2)`.
#[allow(deprecated, reason = "unsound only for types that hand out descriptors they don't own; the successor is `unsafe` for the same")]
pub(super) fn register(fd: impl Into<OwnedFd>, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd.into(), interest)
}
