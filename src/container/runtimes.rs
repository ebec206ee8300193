//! A reference from a manifest -> the container, entered: the runtimes there are, and which of them knows it.
//!
//! In: a reference, and what was found last. Out: [`Container`]. Never: new descriptors for a container that has not changed; the
//! host's root for a container's.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::io::Errno;

use super::incus::{self, Product};
use super::init::Init;
use super::lane::Lane;
use super::lxc::Lxc;
use super::netns::Network;
use super::nspawn::Nspawn;
use super::rootfs::Rootfs;
use super::roots::Roots;
use super::{Container, Error, Instance, Runtime, pid_file};
use crate::api::v1::{ContainerRef, Runtime as Kind};

/// Every runtime of this host.
#[derive(Debug)]
#[allow(clippy::struct_field_names, reason = "the runtimes are what it is about")]
pub struct Runtimes {
    /// In the order that `Auto` asks them.
    runtimes: Vec<(Kind, Box<dyn Runtime>)>,
    /// Running containers by reference: while its init lives, a container is not asked for again, and all Apps in it share it.
    running: Mutex<HashMap<ContainerRef, Running>>,
    /// Roots on disk: all Apps in one directory share them.
    roots: Roots,
    /// Where roots on disk are being opened, by path: one that hangs is not begun again without end.
    lanes: Mutex<HashMap<PathBuf, Weak<Lane>>>,
}

/// A running container, without keeping it: a held root keeps the mounts of a dead container busy.
#[derive(Debug)]
struct Running {
    init: Weak<Init>,
    root: Weak<Rootfs>,
    network: Network,
}

/// An init may end, and another start, while it is being entered; so often at most.
const ATTEMPTS: usize = 4;

/// How long the way to a root on disk may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl Runtimes {
    /// The runtimes, with plain LXC's containers at `lxcpath` (`None`: LXC's own default).
    #[must_use]
    pub fn new(lxcpath: Option<PathBuf>) -> Self {
        let runtimes: Vec<(Kind, Box<dyn Runtime>)> = vec![
            (Kind::Lxc, Box::new(Lxc::new(lxcpath))),
            (Kind::Incus, Box::new(incus::Daemon::new(Product::Incus))),
            (Kind::Lxd, Box::new(incus::Daemon::new(Product::Lxd))),
            (Kind::Nspawn, Box::new(Nspawn::new())),
        ];
        Self { runtimes, running: Mutex::default(), roots: Roots::default(), lanes: Mutex::default() }
    }

    /// Finds a container and enters it. `None` is the host itself; `base` is the directory of the manifest, where a relative
    /// `rootfs:` or `pidFile:` starts.
    /// `before`: what was found last; it is returned again, `Arc` for `Arc`, if nothing has changed.
    ///
    /// # Errors
    /// The container is not known, or may not be entered. A stopped one is no error.
    pub async fn enter(&self, reference: Option<&ContainerRef>, base: &Path, before: Option<&Container>) -> Result<Container, Error> {
        match reference {
            None => self.directory(Path::new("/"), before).await,
            Some(ContainerRef { runtime: Kind::Directory, rootfs: Some(rootfs), .. }) => self.directory(&base.join(rootfs), before).await,
            Some(ContainerRef { runtime: Kind::Directory, .. }) => Err(Error::Failed("a `Directory` needs `rootfs:`".into())),
            Some(reference) => {
                let reference = reference.anchored(base);
                match self.still_running(&reference) {
                    Some(container) => Ok(container),
                    None => self.find(&reference, before).await,
                }
            }
        }
    }

    async fn find(&self, reference: &ContainerRef, before: Option<&Container>) -> Result<Container, Error> {
        let name = reference.called();
        for _ in 0..ATTEMPTS {
            let instance = self.inspect(reference).await?;
            let Some(pid) = instance.init_pid else {
                return self.stopped(name, &instance, before).await;
            };
            if let Some(before) = before.filter(|before| before.init.as_ref().is_some_and(|init| init.pid == pid && init.is_running())) {
                return Ok(before.clone());
            }
            let container = match live(pid) {
                Ok(container) => container,
                // It has ended meanwhile.
                Err(error) if ended(&error) => continue,
                Err(error) => return Err(refused(name, pid, &error)),
            };
            // Between the answer and the look at the pid, init may have ended and the pid gone to somebody else: only a second
            // answer, given while the process is held, proves that it is the container's.
            if self.inspect(reference).await?.init_pid != Some(pid) {
                continue;
            }
            if container.root.as_deref().is_some_and(is_of_host) {
                return Err(Error::Failed(format!("the root of container `{name}` is the host's own `/`; it is not entered")));
            }
            return Ok(self.remember(reference, container));
        }
        Err(Error::Failed(format!("container `{name}` keeps restarting; it could not be entered")))
    }

    /// `Auto`: the first that knows the name. One that is not there, hangs or is forbidden does not hide another that knows it.
    async fn inspect(&self, reference: &ContainerRef) -> Result<Instance, Error> {
        if let Some(file) = &reference.pid_file {
            return pid_file::inspect(Path::new(file), reference.rootfs.as_deref().map(Path::new));
        }
        let Some(name) = &reference.name else {
            return Err(Error::Failed("a container needs a `name:`".into()));
        };
        let mut failures = Vec::new();
        for (kind, runtime) in &self.runtimes {
            if reference.runtime != Kind::Auto && reference.runtime != *kind {
                continue;
            }
            match runtime.inspect(name, reference.path.as_deref()).await {
                Ok(instance) => return Ok(instance),
                Err(error) => failures.push(error),
            }
        }
        Err(all(failures).unwrap_or_else(|| Error::Failed(format!("runtime `{:?}` has no containers by name", reference.runtime))))
    }

    async fn directory(&self, path: &Path, before: Option<&Container>) -> Result<Container, Error> {
        directory(path, self.open(path, before).await)
    }

    async fn stopped(&self, name: &str, instance: &Instance, before: Option<&Container>) -> Result<Container, Error> {
        let root = match &instance.rootfs {
            Some(path) => Some(self.open(path, before).await),
            None => None,
        };
        stopped(name, root)
    }

    /// A directory of the host, which may be on a file system that hangs: then it is tried on a lane that lasts as long as that.
    async fn open(&self, path: &Path, before: Option<&Container>) -> io::Result<Arc<Rootfs>> {
        let root = match Rootfs::open_at_hand(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let (path, lane) = (path.to_owned(), self.lane(path));
                let held = lane.clone();
                lane.run(PATIENCE, move || {
                    let _held = held;
                    Rootfs::open(&path)
                })
                .await?
            }
            root => root?,
        };
        let before = before.filter(|before| before.init.is_none()).and_then(|before| before.root.as_ref());
        Ok(self.roots.share(path, root, before))
    }

    fn lane(&self, path: &Path) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(path).and_then(Weak::upgrade) {
            return lane;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::default();
        lanes.insert(path.to_owned(), Arc::downgrade(&lane));
        lane
    }

    fn still_running(&self, reference: &ContainerRef) -> Option<Container> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let known = running.get(reference)?;
        let (init, root) = (known.init.upgrade()?, known.root.upgrade()?);
        if let Some(file) = &reference.pid_file {
            // A successor may be named in it before the one that it follows has ended.
            pid_file::inspect(Path::new(file), None).ok().filter(|now| now.init_pid == Some(init.pid))?;
        }
        let network = Some(known.network.clone());
        init.is_running().then_some(Container { root: Some(root), init: Some(init), alive: true, network })
    }

    /// Keeps it for all who name it. Who entered the same at the same time, and was first, is joined.
    fn remember(&self, reference: &ContainerRef, container: Container) -> Container {
        if let Some(known) = self.still_running(reference).filter(|known| known.has_init_of(&container)) {
            return known;
        }
        if let Container { root: Some(root), init: Some(init), network: Some(network), .. } = &container {
            let known = Running { init: Arc::downgrade(init), root: Arc::downgrade(root), network: network.clone() };
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.retain(|_, known| known.init.strong_count() > 0);
            running.insert(reference.clone(), known);
        }
        container
    }
}

impl Default for Runtimes {
    fn default() -> Self {
        Self::new(None)
    }
}

/// What everybody said who was asked, in one line, the worst first. It is certain that nobody knows the name only if all of them say so.
fn all(mut failures: Vec<Error>) -> Option<Error> {
    failures.sort_by_key(|failure| Reverse(severity(failure)));
    let alone = failures.len() == 1;
    let said: Vec<String> = failures.iter().map(|failure| if alone { failure.to_string() } else { in_short(failure) }).collect();
    let said = said.join("; ");
    failures.into_iter().next().map(|worst| match worst {
        Error::Absent(_) => Error::Absent(said),
        Error::NotFound(_) => Error::NotFound(said),
        Error::Failed(_) => Error::Failed(said),
        Error::PermissionDenied(_) => Error::PermissionDenied(said),
    })
}

/// Of a runtime that is not there it is enough to know that, beside others.
fn in_short(error: &Error) -> String {
    let text = error.to_string();
    match error {
        Error::Absent(_) => text.split(" (").next().unwrap_or_default().to_owned(),
        _ => text,
    }
}

/// What its reader should hear of first.
fn severity(error: &Error) -> u8 {
    match error {
        Error::Absent(_) => 0,
        Error::NotFound(_) => 1,
        Error::Failed(_) => 2,
        Error::PermissionDenied(_) => 3,
    }
}

/// A directory of the host as a container that always runs.
fn directory(path: &Path, root: io::Result<Arc<Rootfs>>) -> Result<Container, Error> {
    let root = root.map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!("rootfs {} does not exist", path.display()),
            io::ErrorKind::NotADirectory => format!("rootfs {} is not a directory", path.display()),
            _ => format!("rootfs {}: {error}", path.display()),
        };
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotFound(message),
            io::ErrorKind::PermissionDenied => Error::PermissionDenied(message),
            _ => Error::Failed(message),
        }
    })?;
    Ok(Container { root: Some(root), init: None, alive: true, network: Some(Network::Host) })
}

/// A stopped container: its root on disk, if that can be had.
fn stopped(name: &str, root: Option<io::Result<Arc<Rootfs>>>) -> Result<Container, Error> {
    let root = match root {
        Some(Ok(root)) if is_of_host(&root) => {
            return Err(Error::Failed(format!("the root of container `{name}` is the host's own `/`; it is not entered")));
        }
        Some(Ok(root)) => Some(root),
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Error::PermissionDenied(format!("the root of container `{name}` can't be entered: {error}")));
        }
        Some(Err(_)) | None => None,
    };
    Ok(Container { root, init: None, alive: false, network: None })
}

/// A running container, through its init.
fn live(pid: u32) -> io::Result<Container> {
    let init = Init::open(pid)?;
    let (root, network) = init.enter()?;
    Ok(Container { root: Some(Arc::new(root)), init: Some(Arc::new(init)), alive: true, network: Some(network) })
}

/// Before `pivot_root` a container's init still has the host's root, and a container without a root of its own always has.
fn is_of_host(root: &Rootfs) -> bool {
    // Where lxcproxy itself is in a container, with the host's pids, `/proc/1/root` is the host's.
    ["/", "/proc/1/root"].iter().any(|path| Rootfs::open(Path::new(path)).is_ok_and(|host| host.is_same(root)))
}

/// `ENOENT` from /proc, `ESRCH` from the rest: there is no such process any more.
fn ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

fn refused(name: &str, pid: u32, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let place = format!("the root of its init (pid {pid})");
        return Error::PermissionDenied(format!("container `{name}`: {place} can't be entered; lxcproxy needs CAP_SYS_PTRACE"));
    }
    Error::Failed(format!("container `{name}`: its init (pid {pid}) can't be entered: {error}"))
}

#[cfg(test)]
mod tests;
