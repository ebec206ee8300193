//! What a container is: a root that can be entered, a network of its own, and an init whose life it shares.
//!
//! In: a reference from a manifest. Out: [`Container`]. Never: a joined path; a root that outlives its init unnoticed.

mod host_file;
mod incus;
pub mod init;
pub mod lane;
mod lxc;
pub mod netns;
mod nspawn;
mod pid_file;
mod readiness;
pub mod rootfs;
mod roots;
mod runtimes;
pub mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use runtimes::Runtimes;

use crate::names::ContainerName;

/// A container as it was found. Two observations of an unchanged container share their `Arc`s.
#[derive(Debug, Clone)]
pub struct Container {
    /// Where its paths are resolved: the live root while it runs, else its root on disk if that is a directory.
    pub root: Option<Arc<rootfs::Rootfs>>,
    /// Its init; `None`: it does not run, or there is nothing to run (`Directory`, the host).
    pub init: Option<Arc<init::Init>>,
    /// Sockets can be there: it runs, or is of a kind that always does.
    pub alive: bool,
    /// Where `port:` leads: its own network, or the host's.
    pub network: Option<netns::Network>,
}

impl Container {
    /// Whether both are the same observation: nothing has changed between them.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
            one.map(Arc::as_ptr) == other.map(Arc::as_ptr)
        }
        self.alive == other.alive && same(self.root.as_ref(), other.root.as_ref()) && same(self.init.as_ref(), other.init.as_ref())
    }

    /// Whether both run under the same process, entered twice.
    fn has_init_of(&self, other: &Self) -> bool {
        let init = |container: &Self| container.init.as_ref().map(|init| (init.pid, init.start_time));
        init(self).is_some() && init(self) == init(other)
    }
}

/// What a runtime knows about one of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The root on disk, if it is a directory (`dir:` or a plain path).
    pub rootfs: Option<PathBuf>,
    /// The init's pid in the host's pid namespace; `None`: stopped, or not yet in its own root.
    pub init_pid: Option<u32>,
}

/// Something that runs containers. New runtimes implement this and are added to [`Runtimes`].
pub trait Runtime: fmt::Debug + Send + Sync {
    /// What it knows about this container, now.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not know the name, or is not there itself.
    fn inspect<'a>(&'a self, name: &'a ContainerName, path: Option<&'a str>) -> BoxFuture<'a, Result<Instance, Error>>;
}

/// A future of a trait object.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a container can't be entered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No runtime knows it.
    #[error("{0}")]
    NotFound(String),
    /// The runtime itself is not there, so nobody can say.
    #[error("{0}")]
    Absent(String),
    /// lxcproxy may not enter it.
    #[error("{0}")]
    PermissionDenied(String),
    /// The runtime's tool failed.
    #[error("{0}")]
    Failed(String),
}
