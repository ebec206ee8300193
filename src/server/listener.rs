//! A listening socket -> the connections that come in on it.
//!
//! In: a thread's own socket, its door. Out: accepted connections, each with its seat. Never: a loop that spins when descriptors run out, a
//! connection lost that the kernel had accepted before the door was closed.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::door::Door;
use super::registry::Registry;
use crate::listen::{self, BACKLOG, Seat};

/// A pause after an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// A client that has begun to connect when a door is closed has this long to finish: a round trip of most networks.
const HANDSHAKE: Duration = Duration::from_millis(100);
/// How often it is looked whether there is a seat again: it may become free on another thread.
const LOOK: Duration = Duration::from_millis(10);

/// Hands connections on until the door is closed, then those that the kernel has accepted already.
pub(super) async fn accept(listener: StdListener, registry: &Registry, door: &Door, hand_on: impl Fn(TcpStream, SocketAddr, Seat)) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(error = &error as &dyn std::error::Error, "a thread can't listen"),
    };
    loop {
        let accepted = async {
            let most = registry.settings().max_connections;
            registry.until(|count| count < most || door.options().limits.connections.is_some()).await;
            listener.accept().await
        };
        let error = tokio::select! {
            biased;
            () = door.closed() => break,
            accepted = accepted => match accepted {
                Ok((stream, client)) => {
                    let seat = seat(door).await;
                    hand_on(stream, client, seat);
                    continue;
                }
                Err(error) => error,
            },
        };
        if !is_of_connection(&error) {
            tracing::warn!(error = &error as &dyn std::error::Error, "accept failed; a pause");
            tokio::select! {
                () = door.closed() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
    if let Err(error) = take_waiting(listener, door, hand_on).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "waiting connections were lost");
    }
}

/// A seat for an accepted connection. While there is none nobody else is accepted; who comes last gets one in any case when the door closes.
async fn seat(door: &Door) -> Seat {
    loop {
        let most = door.options().limits.connections.unwrap_or(usize::MAX);
        if let Some(seat) = door.crowd().enter(most) {
            return seat;
        }
        tokio::select! {
            biased;
            () = door.closed() => return door.crowd().enter_anyway(),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Closing a socket resets what waits in its queue, and clients that the kernel has answered but not heard of again: they get time for that.
async fn take_waiting(listener: TcpListener, door: &Door, hand_on: impl Fn(TcpStream, SocketAddr, Seat)) -> io::Result<()> {
    let listener = listener.into_std()?;
    if let Err(error) = listen::admit_no_more(&listener) {
        // Time would bring as many newcomers as it lets finish.
        tracing::debug!(error = &error as &dyn std::error::Error, "newcomers can't be kept out; who is late is reset");
        return take_all(&listener, door, &hand_on);
    }
    // What can't be accepted yet, for want of descriptors, may be then.
    let _ = take_all(&listener, door, &hand_on);
    tokio::time::sleep(HANDSHAKE).await;
    take_all(&listener, door, &hand_on)
}

fn take_all(listener: &StdListener, door: &Door, hand_on: &impl Fn(TcpStream, SocketAddr, Seat)) -> io::Result<()> {
    for _ in 0..BACKLOG {
        match listener.accept() {
            Ok((stream, client)) => {
                stream.set_nonblocking(true)?;
                hand_on(TcpStream::from_std(stream)?, client, door.crowd().enter_anyway());
            }
            Err(error) if is_of_connection(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Errors of a connection itself (accept(2)): it is gone, the next may be fine.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}
