//! An address -> one listening socket per thread, and the connections that come in on one.
//!
//! In: an address, a number of threads. Out: [`Bound`]; accepted sockets. Never: a loop that spins when descriptors run out, a connection
//! lost that the kernel had accepted before a drain.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::drain::{Shutdown, State};
use super::registry::Registry;

/// Connections that may wait in the kernel, per thread.
const BACKLOG: i32 = 4096;
/// A pause after an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// An address that is listened on: clients connect from now on, and wait until a thread takes them.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    listeners: Vec<StdListener>,
}

/// Listens on an address, with one socket for each of `threads` (at least one); the kernel spreads connections over them
/// (`SO_REUSEPORT`). Port 0: a free one, the same for all. `[::]` takes IPv4 too.
///
/// # Errors
/// As bind(2); `AddrInUse` also if the other is a server of the same kind, which could share the port.
pub fn bind(address: SocketAddr, threads: usize) -> io::Result<Bound> {
    if address.port() != 0 {
        // Without SO_REUSEPORT: two daemons that share a port by mistake would each get half of the clients.
        drop(socket(address, false)?);
    }
    let first = listen(address)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..threads {
        listeners.push(listen(address)?);
    }
    Ok(Bound { address, listeners })
}

impl Bound {
    /// The address, with the port that was chosen.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Each thread's sockets, out of each address's.
pub(super) fn by_thread(bound: Vec<Bound>) -> Vec<Vec<StdListener>> {
    let mut threads = Vec::new();
    for bound in bound {
        for (index, listener) in bound.listeners.into_iter().enumerate() {
            if threads.len() == index {
                threads.push(Vec::new());
            }
            threads[index].push(listener);
        }
    }
    threads
}

/// Hands connections on until a drain begins, then those that the kernel has accepted already.
pub(super) async fn accept(listener: StdListener, registry: &Registry, mut shutdown: Shutdown, hand_on: impl Fn(TcpStream, SocketAddr)) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(error = &error as &dyn std::error::Error, "a thread can't listen"),
    };
    loop {
        let accepted = async {
            registry.fewer_than(registry.settings().max_connections).await;
            listener.accept().await
        };
        let error = tokio::select! {
            biased;
            () = shutdown.reached(State::Drain) => break,
            accepted = accepted => match accepted {
                Ok((stream, client)) => {
                    hand_on(stream, client);
                    continue;
                }
                Err(error) => error,
            },
        };
        // Errors of the connection itself (accept(2)): it is gone, the next may be fine.
        if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted) {
            tracing::warn!(error = &error as &dyn std::error::Error, "accept failed; a pause");
            tokio::select! {
                () = shutdown.reached(State::Drain) => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
    if let Err(error) = take_waiting(listener, hand_on) {
        tracing::debug!(error = &error as &dyn std::error::Error, "waiting connections were lost");
    }
}

/// Closing a listener resets what waits in its queue.
fn take_waiting(listener: TcpListener, hand_on: impl Fn(TcpStream, SocketAddr)) -> io::Result<()> {
    let listener = listener.into_std()?;
    for _ in 0..BACKLOG {
        let (stream, client) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        hand_on(TcpStream::from_std(stream)?, client);
    }
    Ok(())
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = socket(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
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
