//! A listening socket -> the connections that come in on it.
//!
//! In: a thread's own socket. Out: accepted connections. Never: a loop that spins when descriptors run out, a connection
//! lost that the kernel had accepted before a drain.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::drain::{Shutdown, State};
use super::registry::Registry;
use crate::listen::BACKLOG;

/// A pause after an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

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
