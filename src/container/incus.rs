//! Incus and LXD, which speak one API: the daemon's local socket tells the init, and the root on disk.
//!
//! In: a container's name and the daemon's directory. Out: [`Instance`]. Never: an answer without a bound, or a wait without one; a root
//! for storage that is only mounted while the container runs.
//!
//! The API: <https://linuxcontainers.org/incus/docs/main/rest-api/>, and LXD's `doc/rest-api.md`, before they parted.

mod answer;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::answer::{About, Pool, State};
use super::{BoxFuture, Error, Instance, Runtime};
use crate::names::ContainerName;

/// Containers of one of the two daemons.
#[derive(Debug)]
pub(super) struct Daemon {
    product: Product,
    /// Conversations at one time.
    runs: Semaphore,
    /// For one of them, all in all.
    deadline: Duration,
}

/// Whose daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Product {
    Incus,
    Lxd,
}

/// Where a daemon listens, and where it keeps its containers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Door {
    socket: PathBuf,
    directory: PathBuf,
}

/// A healthy daemon takes milliseconds; one that hangs must not hang the control plane.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest answer that is read. Of an instance it holds the whole configuration, twice.
const ANSWER: usize = 1 << 20;

impl Daemon {
    pub(super) fn new(product: Product) -> Self {
        Self { product, runs: Semaphore::new(4), deadline: DEADLINE }
    }

    async fn look(&self, name: &ContainerName, path: Option<&Path>) -> Result<Instance, Error> {
        let product = self.product;
        if let Some(path) = path.filter(|path| !path.is_absolute()) {
            return Err(Error::Failed(format!("the directory `{}` of {product} is not absolute", path.display())));
        }
        let doors = product.doors(path);
        let conversation = async {
            // Never closed. Who waits for a daemon that hangs waits no longer than who asks it.
            let _run = self.runs.acquire().await;
            let (stream, door) = connect(&doors).await.map_err(|error| product.unreachable(&doors, &error))?;
            Conversation { product, name, door }.hold(stream).await
        };
        let late = |_| Error::Failed(format!("{product} has not answered for container `{name}` in {}s", self.deadline.as_secs()));
        timeout(self.deadline, conversation).await.map_err(late)?
    }
}

impl Runtime for Daemon {
    fn inspect<'a>(&'a self, name: &'a ContainerName, path: Option<&'a str>) -> BoxFuture<'a, Result<Instance, Error>> {
        Box::pin(self.look(name, path.map(Path::new)))
    }
}

impl Product {
    /// Where it may listen: in the directory that is named (`INCUS_DIR`, `LXD_DIR`), else where its packages let it.
    pub(super) fn doors(self, path: Option<&Path>) -> Vec<Door> {
        let door = |socket: &Path, directory: &Path| Door { socket: socket.join("unix.socket"), directory: directory.to_owned() };
        let usual: &[(&str, &str)] = match self {
            Self::Incus => &[("/var/lib/incus", "/var/lib/incus"), ("/run/incus", "/var/lib/incus")],
            Self::Lxd => &[("/var/lib/lxd", "/var/lib/lxd"), ("/var/snap/lxd/common/lxd", "/var/snap/lxd/common/lxd")],
        };
        match path {
            Some(path) => vec![door(path, path)],
            None => usual.iter().map(|(socket, directory)| door(Path::new(socket), Path::new(directory))).collect(),
        }
    }

    /// What its clients are called, and who may use its socket.
    fn client(self) -> (&'static str, &'static str) {
        match self {
            Self::Incus => ("incus", "incus-admin"),
            Self::Lxd => ("lxc", "lxd"),
        }
    }

    fn unreachable(self, doors: &[Door], error: &io::Error) -> Error {
        let sockets: Vec<String> = doors.iter().map(|door| door.socket.display().to_string()).collect();
        let sockets = sockets.join(" or ");
        match error.kind() {
            ErrorKind::PermissionDenied => {
                let (_, group) = self.client();
                Error::PermissionDenied(format!("lxcproxy may not talk to {self} at {sockets}; it needs root, or the group `{group}`"))
            }
            ErrorKind::ConnectionRefused => Error::Absent(format!("{self} does not run (nobody listens at {sockets})")),
            _ if is_absent(error) => Error::Absent(format!("{self} does not run (no socket {sockets})")),
            _ => Error::Failed(format!("{self} can't be reached at {sockets}: {error}")),
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incus => "Incus",
            Self::Lxd => "LXD",
        })
    }
}

/// The first door that opens. The error of one that is there, but stays closed, comes before that of one that is not there.
#[allow(clippy::disallowed_methods, reason = "a daemon of the host itself, no address of an App")]
pub(super) async fn connect(doors: &[Door]) -> io::Result<(UnixStream, &Door)> {
    let mut failure = io::Error::from(ErrorKind::NotFound);
    for door in doors {
        match UnixStream::connect(&door.socket).await {
            Ok(stream) => return Ok((stream, door)),
            Err(error) if is_absent(&failure) => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The questions about one container, on one connection.
struct Conversation<'a> {
    product: Product,
    name: &'a ContainerName,
    door: &'a Door,
}

impl Conversation<'_> {
    async fn hold(&self, stream: UnixStream) -> Result<Instance, Error> {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        let answers = pin!(self.ask(&mut sender));
        let connection = pin!(async {
            // What is wrong with it comes out of the answers as well.
            let _ = connection.await;
            pending::<Infallible>().await
        });
        tokio::select! {
            instance = answers => instance,
            never = connection => match never {},
        }
    }

    async fn ask(&self, sender: &mut SendRequest<Empty<Bytes>>) -> Result<Instance, Error> {
        let Self { product, name, .. } = self;
        let instance = format!("/1.0/instances/{}", escaped(name.as_str()));
        let about: About = self.answer(sender, &instance).await?;
        if about.kind != "container" {
            let kind = clean(&about.kind);
            return Err(Error::Failed(format!("`{name}` of {product} is a {kind}; only containers can be entered")));
        }
        if about.state.has_init() {
            let state: State = self.answer(sender, &format!("{instance}/state")).await?;
            return Ok(Instance { rootfs: None, init_pid: state.init() });
        }
        let Some(pool) = about.pool() else { return Ok(Instance { rootfs: None, init_pid: None }) };
        let kept: Pool = self.answer(sender, &format!("/1.0/storage-pools/{}", escaped(pool))).await?;
        // Others are mounted while the container runs.
        let on_disk = matches!(kept.driver.as_str(), "dir" | "btrfs");
        let root = || self.door.directory.join("storage-pools").join(pool).join("containers").join(name.as_str()).join("rootfs");
        Ok(Instance { rootfs: on_disk.then(root), init_pid: None })
    }

    async fn answer<T: DeserializeOwned>(&self, sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<T, Error> {
        let request = Request::get(path).header(HOST, "localhost").body(Empty::new()).map_err(|error| self.broken(&error))?;
        sender.ready().await.map_err(|error| self.broken(&error))?;
        let response = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER).collect().await.map_err(|error| self.broken(&error))?.to_bytes();
        if status.is_success() {
            return answer::metadata(&body).map_err(|error| self.broken(&error));
        }
        Err(self.refusal(status.as_u16(), &clean(&answer::refusal(&body))))
    }

    fn refusal(&self, status: u16, said: &str) -> Error {
        let Self { product, name, door } = self;
        let ((client, _), place) = (product.client(), door.socket.display());
        match status {
            404 => Error::NotFound(format!("{product} knows no container `{name}` ({place}); `{client} list` lists what is there")),
            401 | 403 => Error::PermissionDenied(format!("{product} says nothing about container `{name}` ({place}): {said}")),
            _ => Error::Failed(format!("{product} answers {status} about container `{name}`: {said}")),
        }
    }

    fn broken(&self, error: &dyn fmt::Display) -> Error {
        let Self { product, name, .. } = self;
        Error::Failed(format!("{product} can't be asked about container `{name}`: {}", clean(&error.to_string())))
    }
}

/// A segment of a path (RFC 3986 section 2.3: what is not unreserved is escaped).
fn escaped(segment: &str) -> String {
    use fmt::Write;
    segment.bytes().fold(String::new(), |mut escaped, byte| {
        // Writing to a string does not fail.
        let _ = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => write!(escaped, "{}", char::from(byte)),
            _ => write!(escaped, "%{byte:02X}"),
        };
        escaped
    })
}

/// The daemon's words, in one short line.
fn clean(said: &str) -> String {
    said.trim().chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}
