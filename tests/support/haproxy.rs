//! A TCP proxy that says who its clients are: the real HAProxy in front of an address.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::daemon::{PATIENCE, eventually};
use super::gateway::free_port;

/// A running HAProxy; it ends with the test.
#[derive(Debug)]
pub struct Haproxy {
    _dir: TempDir,
    child: Child,
    address: SocketAddr,
}

impl Haproxy {
    /// Starts one that passes connections on to `server`. `options`: how, for example `send-proxy-v2`.
    #[must_use]
    pub fn start(server: SocketAddr, options: &str) -> Self {
        let (dir, address) = (super::scratch(), SocketAddr::from(([127, 0, 0, 1], free_port())));
        let file = dir.path().join("haproxy.cfg");
        let config = format!(
            "defaults\n    mode tcp\n    timeout connect 10s\n    timeout client 30s\n    timeout server 30s\n\
             listen front\n    bind {address}\n    server web {server} {options}\n"
        );
        fs::write(&file, config).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "haproxy", "-q", "-db", "-f"]).arg(&file);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut haproxy = Self { _dir: dir, child, address };
        let listens = || match haproxy.child.try_wait().unwrap() {
            Some(status) => panic!("haproxy ended with {status}"),
            None => TcpStream::connect(address).map_err(|error| error.to_string()),
        };
        drop(eventually(PATIENCE, listens).unwrap());
        haproxy
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // Without `-W` there is one process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
