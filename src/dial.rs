//! An address -> a connection, before a deadline.
//!
//! In: [`Address`]. Out: [`Connection`] or [`Stream`]. Never: a retry that the caller did not ask for; a path that is not resolved by the container's root.

#![allow(clippy::disallowed_methods, reason = "the one owner of connections")]

mod stream;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::container::netns::Network;
use crate::container::rootfs::{Kind, Rootfs, View};
use crate::names::ContainerPath;
pub use stream::{Connection, Stream};

/// Where a backend listens.
#[derive(Debug, Clone)]
pub enum Address {
    /// A unix socket inside a container.
    Unix {
        /// The container's root.
        root: Arc<Rootfs>,
        /// The path as the container sees it.
        path: ContainerPath,
    },
    /// `host:port`, from the host's network.
    Tcp(Arc<str>),
    /// A port on the loopback of a container.
    Port {
        /// The container's network.
        network: Network,
        /// The port.
        port: u16,
    },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is at the socket's path.
    #[error("there is no socket at {0}")]
    NotFound(String),
    /// Something else is at the socket's path.
    #[error("{0} is not a socket")]
    NotASocket(String),
    /// Nobody listens.
    #[error("connection to {0} refused")]
    Refused(String),
    /// lxcproxy may not use it.
    #[error("permission denied for {0}")]
    PermissionDenied(String),
    /// The deadline has passed.
    #[error("connection to {0} timed out")]
    TimedOut(String),
    /// Anything else: no route, no such host, out of descriptors.
    #[error("connection to {0} failed")]
    Io(String, #[source] io::Error),
}

/// How long the file system that a socket is on may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects, waiting while a unix socket's queue is full.
///
/// # Errors
/// See [`Error`]; [`Error::TimedOut`] at the deadline (`None`: no deadline but the kernel's).
pub async fn connect(address: &Address, deadline: Option<Instant>) -> Result<Stream, Error> {
    let connection = reach(address, deadline).await?;
    Stream::try_from(connection).map_err(|error| Error::Io(address.to_string(), error))
}

/// The same, and leaves it to the caller how the connection is watched: to have it watched twice takes two system calls more.
///
/// # Errors
/// As [`connect`].
pub async fn reach(address: &Address, deadline: Option<Instant>) -> Result<Connection, Error> {
    let attempt = async {
        match address {
            Address::Unix { root, path } => connect_unix(root, path).await,
            Address::Tcp(target) => connect_host(target).await.map_err(|error| Error::of(target, error)),
            Address::Port { network, port } => connect_port(network, *port).await,
        }
    };
    match deadline {
        None => attempt.await,
        Some(deadline) => tokio::time::timeout_at(deadline, attempt).await.unwrap_or_else(|_| Err(Error::TimedOut(address.to_string()))),
    }
}

/// A unix socket that can be connected without any wait. `None`: [`reach`] knows what to wait for, or what is wrong.
#[must_use]
pub fn at_hand(address: &Address) -> Option<Connection> {
    let Address::Unix { root, path } = address else { return None };
    match attempt(root.at_hand(), path) {
        Ok(Attempt::Connected(stream)) => Some(Connection::Unix(stream)),
        _ => None,
    }
}

/// A full queue (`EAGAIN`) means that the application is busy, not that it is away: it is asked again until the deadline.
async fn connect_unix(root: &Arc<Rootfs>, path: &ContainerPath) -> Result<Connection, Error> {
    let mut pause = Duration::from_millis(1);
    loop {
        let attempt = match attempt(root.at_hand(), path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let wanted = path.clone();
                root.look_far(PATIENCE, move |view| attempt(view, &wanted)).await
            }
            attempt => attempt,
        };
        match attempt.map_err(|error| Error::of(path.as_str(), error))? {
            Attempt::Connected(stream) => return Ok(Connection::Unix(stream)),
            Attempt::Busy => {}
            Attempt::NotASocket => return Err(Error::NotASocket(path.to_string())),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// What came of one attempt.
enum Attempt {
    Connected(std::os::unix::net::UnixStream),
    /// Its queue is full.
    Busy,
    NotASocket,
}

/// One attempt, which does not wait for who listens.
fn attempt(view: View<'_>, path: &ContainerPath) -> io::Result<Attempt> {
    let entry = view.entry(path)?;
    if entry.kind != Kind::Socket {
        return Ok(Attempt::NotASocket);
    }
    entry.may_be_used()?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match socket.connect(&SockAddr::unix(entry.proc_path())?) {
        Ok(()) => Ok(Attempt::Connected(socket.into())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Attempt::Busy),
        Err(error) => Err(error),
    }
}

/// All addresses of a name, one after the other.
async fn connect_host(target: &str) -> io::Result<Connection> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in tokio::net::lookup_host(target).await? {
        match connect_tcp(Network::Host.tcp_socket(address.is_ipv6()).await?, address).await {
            Err(error) => last = error,
            connected => return connected,
        }
    }
    Err(last)
}

/// IPv4 first; a server that listens on `::1` alone is found second.
async fn connect_port(network: &Network, port: u16) -> Result<Connection, Error> {
    let target = format!("port {port}");
    let mut last = None;
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let connected = match network.tcp_socket(ip.is_ipv6()).await {
            Ok(socket) => connect_tcp(socket, SocketAddr::new(ip, port)).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            // The first word counts: a container without IPv6 must not turn "refused" into "no such address".
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(last.map_or_else(|| Error::Refused(target.clone()), |error| Error::of(&target, error)))
}

/// What stands at once, as all does on the loopback, is not waited for: asked a second time, connect(2) says so. That saves registering it
/// (two calls of `epoll_ctl`) and one turn of `epoll_wait`.
async fn connect_tcp(socket: Socket, address: SocketAddr) -> io::Result<Connection> {
    let address = SockAddr::from(address);
    let mut connected = socket.connect(&address);
    if is(&connected, Errno::INPROGRESS) {
        connected = socket.connect(&address);
    }
    let waits = is(&connected, Errno::ALREADY);
    if !waits {
        connected?;
    }
    // Nothing is lost if the kernel refuses: packets may wait for each other a little.
    let _ = socket.set_tcp_nodelay(true);
    if !waits {
        return Ok(Connection::Tcp(socket.into()));
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(Connection::Tcp(stream.into_std()?)),
    }
}

fn is(result: &io::Result<()>, errno: Errno) -> bool {
    result.as_ref().is_err_and(|error| Errno::from_io_error(error) == Some(errno))
}

impl Error {
    fn of(target: &str, error: io::Error) -> Self {
        let target = target.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound(target),
            io::ErrorKind::ConnectionRefused => Self::Refused(target),
            io::ErrorKind::PermissionDenied => Self::PermissionDenied(target),
            io::ErrorKind::TimedOut => Self::TimedOut(target),
            _ => Self::Io(target, error),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { path, .. } => write!(f, "{path}"),
            Self::Tcp(address) => f.write_str(address),
            Self::Port { port, .. } => write!(f, "port {port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use socket2::{Domain, SockAddr, Socket, Type};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn unix(dir: &tempfile::TempDir, path: &str) -> Address {
        Address::Unix { root: Arc::new(Rootfs::open(dir.path()).unwrap()), path: path.parse().unwrap() }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn a_socket_deep_in_a_root_is_reached_and_carries_bytes() {
        let dir = tempfile::tempdir().unwrap();
        // Longer than the 108 bytes of sun_path.
        let deep = format!("/{}/{}", "d".repeat(100), "e".repeat(100));
        fs::create_dir_all(dir.path().join(&deep[1..])).unwrap();
        let listener = UnixListener::bind(dir.path().join("short")).unwrap();
        fs::rename(dir.path().join("short"), dir.path().join(&deep[1..]).join("app.sock")).unwrap();
        let mut stream = connect(&unix(&dir, &format!("{deep}/app.sock")), Some(soon())).await.unwrap();
        stream.write_all(b"ping").await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut got = [0; 4];
        io::Read::read_exact(&mut peer, &mut got).unwrap();
        io::Write::write_all(&mut peer, b"pong").unwrap();
        drop(peer);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!((&got, answer.as_str()), (b"ping", "pong"));
    }

    #[tokio::test]
    async fn what_stands_in_the_way_of_a_socket_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("out")).unwrap();
        drop(UnixListener::bind(dir.path().join("left")).unwrap());
        let error = async |path| connect(&unix(&dir, path), Some(soon())).await.unwrap_err();
        assert!(matches!(error("/none").await, Error::NotFound(path) if path == "/none"));
        assert!(matches!(error("/file/none").await, Error::NotFound(_)));
        assert!(matches!(error("/out").await, Error::NotFound(_)), "the host's file is not the container's");
        assert!(matches!(error("/file").await, Error::NotASocket(_)));
        assert!(matches!(error("/").await, Error::NotASocket(_)));
        assert!(matches!(error("/left").await, Error::Refused(_)));
    }

    #[tokio::test]
    async fn a_full_queue_is_waited_for_until_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(dir.path().join("busy")).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let address = unix(&dir, "/busy");
        let _first = connect(&address, Some(soon())).await.unwrap();
        let deadline = Instant::now() + Duration::from_millis(60);
        assert!(matches!(connect(&address, Some(deadline)).await, Err(Error::TimedOut(_))));
        assert!(Instant::now() >= deadline);
        let (second, ()) = tokio::join!(connect(&address, Some(soon())), async {
            tokio::task::yield_now().await;
            listener.accept().unwrap();
        });
        assert!(second.is_ok());
    }

    #[tokio::test]
    async fn tcp_and_the_port_of_a_network_are_reached_or_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let tcp = Address::Tcp(target.to_string().into());
        let port = Address::Port { network: Network::Host, port: target.port() };
        for address in [&tcp, &port] {
            assert!(matches!(connect(address, Some(soon())).await, Ok(Stream::Tcp(_))), "{address}");
        }
        drop(listener);
        for address in [&tcp, &port] {
            assert!(matches!(connect(address, Some(soon())).await, Err(Error::Refused(_))), "{address}");
        }
    }

    #[tokio::test]
    async fn a_port_that_listens_on_ipv6_alone_is_found() {
        // A machine without IPv6 has no such port.
        let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else { return };
        let address = Address::Port { network: Network::Host, port: listener.local_addr().unwrap().port() };
        assert!(connect(&address, Some(soon())).await.is_ok());
    }
}
