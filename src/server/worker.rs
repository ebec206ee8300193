//! One thread of the server: its runtime, its listeners, its connections, its end.
//!
//! In: listening sockets, how to make a service. Out: served connections. Never: a task that outlives the thread.

use std::net::TcpListener;
use std::rc::Rc;

use tokio::runtime::Runtime;
use tokio::task::{JoinSet, LocalSet};

use super::drain::{Shutdown, State};
use super::registry::Registry;
use super::{Connection, Service, Settings, connection, listener};

/// Serves until the end of a drain, or a stop. What is left then is dropped with the `LocalSet`.
pub(super) fn run<S: Service>(
    runtime: &Runtime,
    listeners: Vec<TcpListener>,
    settings: Settings,
    make: impl FnOnce() -> S,
    mut shutdown: Shutdown,
) {
    let tasks = LocalSet::new();
    tasks.block_on(runtime, async {
        let service = Rc::new(make());
        let registry = Registry::new(settings);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn_local(accept(listener, service.clone(), registry.clone(), shutdown.clone()));
        }
        let mut stop = shutdown.clone();
        let serve = async {
            shutdown.reached(State::Drain).await;
            // Before the last connections are accepted, so that they are told as well.
            registry.drain();
            while accepting.join_next().await.is_some() {}
            if tokio::time::timeout(settings.drain, registry.fewer_than(1)).await.is_err() {
                tracing::warn!(left = registry.count(), "the drain's time is over; what is in flight is cut off");
            }
        };
        tokio::select! {
            biased;
            () = stop.reached(State::Stop) => {}
            () = serve => {}
            () = registry.sweep() => {}
        }
    });
}

async fn accept<S: Service>(listener: TcpListener, service: Rc<S>, registry: Rc<Registry>, shutdown: Shutdown) {
    let server = match listener.local_addr() {
        Ok(server) => server,
        Err(error) => return tracing::error!(error = &error as &dyn std::error::Error, "a thread can't listen"),
    };
    let hand_on = |stream, client| {
        let connection = Connection::new(&stream, client, server, registry.clone());
        tokio::task::spawn_local(connection::serve(stream, connection, service.clone()));
    };
    listener::accept(listener, &registry, shutdown, hand_on).await;
}
