//! An address -> sockets that clients can connect to, one per serving thread.
//!
//! In: an address, a number of threads. Out: [`Bound`], which the control plane opens and the serving threads take. Never: an accepted
//! connection; that is the server's.

mod crowd;
mod options;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::sync::Notify;

pub use crowd::{Crowd, Seat};
pub use options::{Limits, Options};

/// Connections that may wait in the kernel, per thread.
pub const BACKLOG: i32 = 4096;

/// Everything that is listened on, by the address that was bound.
pub type Sockets = Arc<BTreeMap<SocketAddr, Open>>;

/// An address that clients can connect to.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its sockets.
    pub bound: Arc<Bound>,
    /// How it is listened on from now on.
    pub options: Arc<Options>,
}

/// An address that is ours. It is listened on from [`open`](Self::open) on, until every thread has dropped what it took. A thread keeps the
/// `Arc` until then: while a `Weak` of it can be upgraded, the address may be ours still.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    /// By thread; none where a thread has taken its own.
    sockets: Mutex<Vec<Option<TcpListener>>>,
    /// Rung when one is taken.
    taken: Notify,
    crowd: Arc<Crowd>,
}

/// Whether another socket of this process may have the address, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It is asked of the system that nobody else has it: two daemons that share a port by mistake would each get half of the clients.
    Alone,
    /// This process has it already, or one that it overlaps with.
    WithOurselves,
}

/// `BPF_STMT` and `BPF_JUMP` over a TCP header: a packet with SYN and without ACK is dropped. What is connected never sends one, so that it
/// does no harm to connections, which inherit it.
const NO_NEWCOMERS: [SockFilter; 5] = [
    // The flags.
    SockFilter::new(0x30, 0, 0, 13),
    // ACK, SYN.
    SockFilter::new(0x54, 0, 0, 0x12),
    SockFilter::new(0x15, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// Binds an address, with one socket for each of `threads` (at least one); the kernel spreads connections over them
/// (`SO_REUSEPORT`). Nobody can connect yet. Port 0: a free one, the same for all. `[::]` takes IPv4 too.
///
/// # Errors
/// As bind(2); `AddrInUse` also if the other is a server of the same kind, which could share the port.
pub fn bind(address: SocketAddr, threads: usize, sharing: Sharing) -> io::Result<Bound> {
    if address.port() != 0 && sharing == Sharing::Alone {
        // Without SO_REUSEPORT.
        drop(socket(address, false)?);
    }
    let first = socket(address, true)?;
    let address = TcpListener::from(first.try_clone()?).local_addr()?;
    let mut sockets = vec![Some(first.into())];
    for _ in 1..threads {
        sockets.push(Some(socket(address, true)?.into()));
    }
    Ok(Bound { address, sockets: Mutex::new(sockets), taken: Notify::new(), crowd: Arc::new(Crowd::of_threads(threads)) })
}

impl Open {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bound, &other.bound) && self.options == other.options
    }
}

impl Bound {
    /// The address, with the port that was chosen.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Who is connected, over all threads.
    #[must_use]
    pub fn crowd(&self) -> &Arc<Crowd> {
        &self.crowd
    }

    /// Lets clients connect; they wait until a thread takes them. Again: nothing changes.
    ///
    /// # Errors
    /// As listen(2).
    pub fn open(&self) -> io::Result<()> {
        self.sockets().iter().flatten().try_for_each(|socket| SockRef::from(socket).listen(BACKLOG))
    }

    /// A thread's own socket, once. Non-blocking.
    #[must_use]
    pub fn take(&self, thread: usize) -> Option<TcpListener> {
        let socket = self.sockets().get_mut(thread)?.take();
        self.taken.notify_waiters();
        socket
    }

    /// Waits until every thread has taken its own. One that is closed before resets the clients that wait there.
    pub async fn taken(&self) {
        loop {
            let mut taken = pin!(self.taken.notified());
            taken.as_mut().enable();
            if self.sockets().iter().all(Option::is_none) {
                return;
            }
            taken.await;
        }
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<Option<TcpListener>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From now on nobody can begin to connect to this socket; who has begun can finish. A client that tries finds silence, tries again a second
/// later, and meets what is there then. Closing a socket resets whom it has not accepted: this makes the queue end first.
///
/// # Errors
/// As setsockopt(2). Newer kernels ask for `CAP_NET_ADMIN`; without it newcomers go on coming in.
pub fn admit_no_more<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    socket.into().attach_filter(&NO_NEWCOMERS)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Inherited by what is accepted: no call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whether the kernel lets this process call [`admit_no_more`]; root it does. A test that ends without it is named among those that were
/// left out.
#[cfg(test)]
pub(crate) fn may_admit_no_more() -> bool {
    use std::io::Write;

    let bound = bind(([127, 0, 0, 1], 0).into(), 1, Sharing::Alone).unwrap();
    let tried = admit_no_more(&bound.take(0).unwrap());
    let denied = tried.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    assert!(tried.is_ok() || denied && !rustix::process::geteuid().is_root(), "{tried:?}");
    if let (true, Some(list)) = (denied, std::env::var_os("LXCPROXY_TEST_SKIPPED")) {
        let thread = std::thread::current();
        let mut list = std::fs::OpenOptions::new().create(true).append(true).open(list).unwrap();
        writeln!(list, "{}: left out, it needs root", thread.name().unwrap_or("a test")).unwrap();
    }
    !denied
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    fn any() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[test]
    fn nobody_connects_before_it_is_opened() {
        let bound = bind(any(), 2, Sharing::Alone).unwrap();
        assert!(TcpStream::connect(bound.local_addr()).is_err());
        bound.open().unwrap();
        assert!(TcpStream::connect(bound.local_addr()).is_ok());
    }

    #[test]
    fn an_address_that_somebody_has_is_refused_and_our_own_is_not() {
        let bound = bind(any(), 1, Sharing::Alone).unwrap();
        bound.open().unwrap();
        let again = bind(bound.local_addr(), 1, Sharing::Alone);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(bind(bound.local_addr(), 1, Sharing::WithOurselves).is_ok());
    }

    #[test]
    fn who_has_connected_is_accepted_after_the_door_is_shut_and_can_speak() {
        let bound = bind(any(), 1, Sharing::Alone).unwrap();
        bound.open().unwrap();
        let socket = bound.take(0).unwrap();
        socket.set_nonblocking(false).unwrap();
        let mut early = TcpStream::connect(bound.local_addr()).unwrap();
        if !may_admit_no_more() {
            return;
        }
        admit_no_more(&socket).unwrap();
        let late = TcpStream::connect_timeout(&bound.local_addr(), Duration::from_millis(100));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (mut accepted, _) = socket.accept().unwrap();
        drop(socket);
        early.write_all(b"hi").unwrap();
        accepted.read_exact(&mut [0; 2]).unwrap();
        assert!(TcpStream::connect(bound.local_addr()).is_err());
    }

    #[test]
    fn each_thread_takes_its_socket_once_and_the_last_one_closes_the_address() {
        let bound = bind(any(), 2, Sharing::Alone).unwrap();
        bound.open().unwrap();
        let taken: Vec<_> = (0..3).map(|thread| bound.take(thread)).collect();
        assert_eq!(taken.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
        assert!(bound.take(0).is_none());
        assert!(TcpStream::connect(bound.local_addr()).is_ok());
        drop(taken);
        assert!(TcpStream::connect(bound.local_addr()).is_err(), "`bound` itself holds nothing any more");
    }
}
