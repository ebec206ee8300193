//! One reference -> there, or the reason why not.
//!
//! In: a backend or a root, and its container. Out: `None`, or reason and sentence. Never: a byte sent to a backend.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::api::v1::{Backend, Endpoint, Reason};
use crate::container::Container;
use crate::container::rootfs::Kind;
use crate::dial::{self, Address};
use crate::names::ContainerPath;

/// How long a backend may take to accept a connection before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a container's file system may take to say what is there, or to hand over a small file.
pub(super) const PATIENCE_FOR_FILES: Duration = Duration::from_secs(5);

/// Why a reference is not there.
pub(super) type Problem = (Reason, String);

/// The address of an endpoint that needs no container.
pub(super) fn tcp_address(endpoint: &Endpoint) -> Option<Address> {
    endpoint.tcp.as_deref().map(|target| Address::Tcp(target.into()))
}

/// The address of an endpoint, as far as its container allows one now.
pub(super) fn address(endpoint: &Endpoint, container: &Container) -> Option<Address> {
    match endpoint {
        Endpoint { unix: Some(path), .. } if container.alive => {
            container.root.clone().map(|root| Address::Unix { root, path: path.clone() })
        }
        Endpoint { port: Some(port), .. } => container.network.clone().map(|network| Address::Port { network, port: port.get() }),
        endpoint => tcp_address(endpoint),
    }
}

/// The addresses of a backend, and what is wrong with those endpoints of it that accept no connection. They are asked at the same time.
pub(super) async fn backend(backend: &Backend, container: &Container) -> (Vec<Option<Address>>, Vec<Problem>) {
    let written = backend.endpoints();
    let addresses: Vec<_> = written.iter().map(|endpoint| address(endpoint, container)).collect();
    let one_of_several = written.len() > 1;
    let mut asked = Vec::with_capacity(addresses.len());
    for (endpoint, address) in written.iter().zip(&addresses) {
        let called = if one_of_several { format!("endpoint `{endpoint}` of ") } else { String::new() };
        let called = format!("{called}backend `{}`", backend.name);
        match address {
            None => asked.push(Asked::Answered(Some(unreachable(&called, container)))),
            Some(address) if !one_of_several => asked.push(Asked::Answered(connect(&called, address).await)),
            Some(address) => {
                let address = address.clone();
                asked.push(Asked::Underway(tokio::spawn(async move { connect(&called, &address).await })));
            }
        }
    }
    let mut problems = Vec::new();
    for asked in asked {
        problems.extend(match asked {
            Asked::Answered(problem) => problem,
            Asked::Underway(task) => task.await.unwrap_or_else(|error| match error.try_into_panic() {
                // It is one of the look, which is contained.
                Ok(panic) => std::panic::resume_unwind(panic),
                // The daemon ends.
                Err(_) => None,
            }),
        });
    }
    (addresses, problems)
}

/// What is known of an endpoint.
enum Asked {
    Answered(Option<Problem>),
    Underway(JoinHandle<Option<Problem>>),
}

fn unreachable(called: &str, container: &Container) -> Problem {
    let message = if container.alive { "has no address" } else { "can't be reached: its container is stopped" };
    (Reason::ContainerStopped, format!("{called} {message}"))
}

/// Whether it accepts a connection.
async fn connect(called: &str, address: &Address) -> Option<Problem> {
    let error = dial::connect(address, Some(Instant::now() + PATIENCE)).await.err()?;
    let reason = match &error {
        dial::Error::NotFound(_) => Reason::SocketNotFound,
        dial::Error::NotASocket(_) => Reason::NotASocket,
        dial::Error::PermissionDenied(_) => Reason::PermissionDenied,
        dial::Error::Refused(_) | dial::Error::TimedOut(_) | dial::Error::Io(..) => Reason::ConnectionRefused,
    };
    let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    Some((reason, format!("{called}: {error}{source}")))
}

/// Whether a document root is a directory.
pub(super) async fn root(path: &ContainerPath, container: &Container) -> Option<Problem> {
    let Some(root) = &container.root else {
        return Some((
            Reason::ContainerStopped,
            format!("root {path} can't be reached: the container is stopped and its root is not on disk"),
        ));
    };
    let wanted = path.clone();
    match root.look(PATIENCE_FOR_FILES, move |view| Ok(view.entry(&wanted)?.kind)).await {
        Ok(Kind::Directory) => None,
        Ok(_) => Some((Reason::RootNotFound, format!("root {path} is not a directory"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Some((Reason::RootNotFound, format!("root {path} does not exist"))),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Some((Reason::PermissionDenied, format!("root {path}: {error}"))),
        Err(error) => Some((Reason::RootNotFound, format!("root {path}: {error}"))),
    }
}
