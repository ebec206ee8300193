//! A child that shall not outlive us -> one that the kernel ends with us, also after `kill -9`.

#![allow(unsafe_code, reason = "std has no safe way to run prctl(2) between fork and exec")]

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::process::Command;

/// Has the child ended (SIGTERM) when the thread that starts it ends.
pub(super) fn ends_with_us(command: &mut Command) {
    let ask = || set_parent_process_death_signal(Some(Signal::TERM)).map_err(Into::into);
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: `ask` makes one system call, allocates nothing, takes no lock.
    unsafe { command.pre_exec(ask) };
}
