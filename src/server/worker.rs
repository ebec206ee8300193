//! One thread of the server: its runtime, its doors, its connections, its end.
//!
//! In: what is listened on, how to make a service. Out: served connections. Never: a task that outlives the thread.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::runtime::LocalRuntime;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::admission::Arrival;
use super::door::Door;
use super::doors::Doors;
use super::drain::{Shutdown, State};
use super::neighbours::{Inbox, Neighbours};
use super::registry::Registry;
use super::{Service, Settings, connection};
use crate::listen::{Seat, Sockets};

/// Serves until the end of a drain, or a stop. What is left then is dropped with the runtime.
pub(super) fn run<S: Service>(
    runtime: &LocalRuntime,
    neighbours: Neighbours,
    inbox: Inbox,
    sockets: watch::Receiver<Sockets>,
    settings: Settings,
    make: impl FnOnce() -> S,
    shutdown: Shutdown,
) {
    runtime.block_on(async {
        let registry = Registry::new(settings);
        let service = Rc::new(make());
        let (tidied, held) = (service.clone(), registry.clone());
        let hand_on = move |stream: TcpStream, client: SocketAddr, seat: Seat, door: &Rc<Door>| {
            let arrival = Arrival { stream, client, seat, door: door.clone(), registry: held.clone() };
            tokio::task::spawn_local(connection::serve(arrival, service.clone()));
        };
        let mut doors = Doors::new(neighbours, registry.clone(), hand_on);
        let mut stop = shutdown.clone();
        let serve = async {
            follow(&mut doors, sockets, inbox, shutdown).await;
            let end = Instant::now() + settings.drain;
            doors.close().await;
            if timeout_at(end, registry.until(|count| count == 0)).await.is_err() {
                tracing::warn!(left = registry.count(), "the drain's time is over; what is in flight is cut off");
            }
        };
        tokio::select! {
            biased;
            () = stop.reached(State::Stop) => {}
            () = serve => {}
            () = registry.sweep(|| tidied.tidy()) => {}
        }
    });
}

/// Opens and closes doors until a drain begins, and takes in what other threads pass on. What was there before it is opened still: clients
/// may wait there. After the end nothing is passed on to here, and nothing that was is left.
async fn follow<F>(doors: &mut Doors<F>, mut sockets: watch::Receiver<Sockets>, mut inbox: Inbox, mut shutdown: Shutdown)
where
    F: Fn(TcpStream, SocketAddr, Seat, &Rc<Door>) + Clone + 'static,
{
    let mut come = None;
    loop {
        // Before a connection is taken in: the thread that has accepted it had seen its address.
        let now = sockets.borrow_and_update().clone();
        doors.follow(&now);
        if let Some(passed) = come.take() {
            doors.take_in(passed);
        }
        tokio::select! {
            biased;
            Ok(()) = sockets.changed() => {}
            () = shutdown.reached(State::Drain) => break,
            Some(passed) = inbox.recv() => come = Some(passed),
        }
    }
    inbox.close();
    while let Some(passed) = inbox.recv().await {
        doors.take_in(passed);
    }
}
