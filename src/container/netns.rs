//! A container's network: sockets that are made inside it and used outside.
//!
//! In: a process. Out: [`Network`], and sockets of it. Never: a thread of the runtime in a foreign network.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Semaphore, oneshot};

/// A network namespace, held open; or the host's own.
#[derive(Debug, Clone)]
pub enum Network {
    /// The network of lxcproxy itself.
    Host,
    /// A container's.
    Namespace(Arc<OwnedFd>),
}

/// Threads that may be inside a network at one time; each lives for three system calls.
static VISITS: Semaphore = Semaphore::const_new(32);

/// A visiting thread's stack: it calls nothing deep.
const STACK: usize = 128 << 10;

impl Network {
    /// The network of a process.
    ///
    /// # Errors
    /// As open(2): `EACCES` without `CAP_SYS_PTRACE`.
    #[allow(clippy::disallowed_methods, reason = "/proc is the host's own")]
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let theirs = open(format!("/proc/{pid}/ns/net"), flags, Mode::empty())?;
        let ours = open("/proc/self/ns/net", flags, Mode::empty())?;
        let (a, b) = (fstat(&theirs)?, fstat(&ours)?);
        // A container that shares the host's network needs no visit, and no right to one.
        Ok(if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) { Self::Host } else { Self::Namespace(Arc::new(theirs)) })
    }

    /// A TCP socket of this network, not connected, non-blocking.
    ///
    /// # Errors
    /// As setns(2) and socket(2): `EPERM` without `CAP_SYS_ADMIN`.
    pub async fn tcp_socket(&self, v6: bool) -> io::Result<Socket> {
        match self {
            Self::Host => socket(v6),
            Self::Namespace(namespace) => visit(namespace.clone(), v6).await,
        }
    }
}

/// Makes a socket on a thread that goes there and ends: there is no way back that could fail.
async fn visit(namespace: Arc<OwnedFd>, v6: bool) -> io::Result<Socket> {
    let permit = VISITS.acquire().await.map_err(io::Error::other)?;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("netns".into()).stack_size(STACK).spawn(move || {
        // Held to the end of the thread, not of the future: a caller that gave up frees no room for another thread.
        let _permit = permit;
        let made = move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(io::Error::from)
            .and_then(|()| socket(v6));
        // Nobody may be waiting any more; the socket is closed then.
        let _ = sender.send(made);
    })?;
    receiver.await.map_err(io::Error::other)?
}

fn socket(v6: bool) -> io::Result<Socket> {
    let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
    Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_network_of_this_process_is_the_hosts() {
        let network = Network::of_process(std::process::id()).unwrap();
        assert!(matches!(network, Network::Host));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = network.tcp_socket(false).await.unwrap();
        socket.set_nonblocking(false).unwrap();
        assert!(socket.connect(&listener.local_addr().unwrap().into()).is_ok());
    }
}
