//! Addresses -> a private network namespace that has them, on its loopback.
//!
//! In: addresses like `192.168.122.21/32`. Out: a namespace that programs run in. Never: the host's own network changed.
//!
//! LXC's command sockets are abstract, and those belong to a network: who asks `lxc-info` in here sees the containers that were started
//! in here only. `nsenter` and not `ip netns exec`: the latter hides the cgroups that `lxc-start` needs.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A network namespace; it is deleted with the test.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// A new one, `lo` up. Needs root.
    #[must_use]
    pub fn new(addresses: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // `tests/run` deletes those whose maker is gone.
        let name = format!("lxcproxy-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name]);
        let netns = Self { name };
        ip(&["-n", &netns.name, "link", "set", "lo", "up"]);
        for address in addresses {
            ip(&["-n", &netns.name, "address", "add", address, "dev", "lo"]);
        }
        netns
    }

    /// A program that will run in here.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).args(["--", program]);
        command
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("ip(8) is there");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
