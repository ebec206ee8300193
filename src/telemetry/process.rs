//! This process, in the names that every Prometheus client library uses for it.
//!
//! In: `/proc/self`. Out: families. Never: an error: what can't be read is left out.

#![allow(clippy::disallowed_methods, reason = "the kernel's word on this very process")]

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::process::{Resource, getrlimit};

use crate::metrics::{Families, Kind, Value};

/// Ticks a second in `/proc` (`USER_HZ`): 100 on every platform that this is built for.
const TICKS: f64 = 100.0;

/// The process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let (user, system, started) = (field(&stat, 14), field(&stat, 15), field(&stat, 22));
        if let (Some(user), Some(system)) = (user, system) {
            let seconds = Value::Float((user + system) / TICKS);
            families.single(Kind::Counter, "process_cpu_seconds", "Total user and system CPU time spent in seconds.", seconds)?;
        }
        if let (Some(started), Some(boot)) = (started, boot()) {
            let help = "Start time of the process since unix epoch in seconds.";
            families.single(Kind::Gauge, "process_start_time_seconds", help, Value::Float(boot + started / TICKS))?;
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = kilobytes(&status, "VmRSS:") {
            families.single(Kind::Gauge, "process_resident_memory_bytes", "Resident memory size in bytes.", Value::Count(bytes))?;
        }
        if let Some(bytes) = kilobytes(&status, "VmSize:") {
            families.single(Kind::Gauge, "process_virtual_memory_bytes", "Virtual memory size in bytes.", Value::Count(bytes))?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The directory itself is open, too.
            let count = open.count().saturating_sub(1) as u64;
            families.single(Kind::Gauge, "process_open_fds", "Number of open file descriptors.", Value::Count(count))?;
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            families.single(Kind::Gauge, "process_max_fds", "Maximum number of open file descriptors.", Value::Count(most))?;
        }
        Ok(())
    }
}

/// A field of proc_pid_stat(5), counted from 1. The name of the program, the second, may hold anything.
fn field(stat: &str, number: usize) -> Option<f64> {
    let behind_name = &stat[stat.rfind(')')? + 1..];
    behind_name.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

/// When the machine was started, in seconds since the epoch (proc_stat(5)).
fn boot() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_shifts_no_field() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 8 9 20 0 1 0 12345 1000 2";
        assert_eq!([14, 15, 22].map(|number| field(stat, number)), [Some(150.0), Some(50.0), Some(12345.0)]);
        assert_eq!(field("", 14), None);
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
    }
}
