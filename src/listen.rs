//! An address -> sockets that clients can connect to, one per serving thread.
//!
//! In: an address, a number of threads. Out: [`Bound`], which the control plane opens and the serving threads take. Never: an accepted
//! connection; that is the server's.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Connections that may wait in the kernel, per thread.
pub const BACKLOG: i32 = 4096;

/// Everything that is listened on, by the address that was bound.
pub type Sockets = Arc<BTreeMap<SocketAddr, Arc<Bound>>>;

/// An address that is ours. It is listened on from [`open`](Self::open) on, until every thread has dropped what it took.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    /// By thread; none where a thread has taken its own.
    sockets: Mutex<Vec<Option<TcpListener>>>,
}

/// Whether another socket of this process may have the address, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It is asked of the system that nobody else has it: two daemons that share a port by mistake would each get half of the clients.
    Alone,
    /// This process has it already, or one that it overlaps with.
    WithOurselves,
}

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
    Ok(Bound { address, sockets: Mutex::new(sockets) })
}

impl Bound {
    /// The address, with the port that was chosen.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
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
        self.sockets().get_mut(thread)?.take()
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<Option<TcpListener>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

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
