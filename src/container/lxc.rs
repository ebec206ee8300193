//! Plain LXC: `lxc-info` tells the root and the init.
//!
//! In: a container's name and where LXC keeps it. Out: [`Instance`]. Never: a path that is not absolute; a pid of an init that is
//! still being set up, for its root is the host's.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::{BoxFuture, Error, Instance, Runtime};
use crate::names::ContainerName;

/// Containers that are started with `lxc-start`.
#[derive(Debug)]
pub(super) struct Lxc {
    /// Where the containers are; `None`: LXC's own default.
    lxcpath: Option<PathBuf>,
    /// Runs of `lxc-info` at one time.
    runs: Semaphore,
}

/// A healthy `lxc-info` takes milliseconds; a container's monitor that hangs must not hang the control plane.
const DEADLINE: Duration = Duration::from_secs(5);
/// More than `lxc-info` ever has to say.
const OUTPUT: u64 = 16 << 10;

impl Lxc {
    pub(super) fn new(lxcpath: Option<PathBuf>) -> Self {
        Self { lxcpath, runs: Semaphore::new(4) }
    }

    async fn info(&self, name: &ContainerName, path: Option<&Path>) -> Result<Instance, Error> {
        if let Some(path) = path.filter(|path| !path.is_absolute()) {
            return Err(Error::Failed(format!("lxcpath `{}` of container `{name}` is not absolute", path.display())));
        }
        let mut command = Command::new("lxc-info");
        command.arg("-n").arg(name.as_str());
        if let Some(path) = path {
            command.arg("-P").arg(path);
        }
        command.args(["-p", "-s", "-c", "lxc.rootfs.path"]).env("LC_ALL", "C").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());

        // The semaphore is never closed.
        let _run = self.runs.acquire().await;
        let output = tokio::time::timeout(DEADLINE, run(command)).await;
        match output {
            Err(_) => Err(Error::Failed(format!("lxc-info has not answered for container `{name}` in {}s", DEADLINE.as_secs()))),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::Absent("LXC is not installed (its tools come with the package `lxc`)".into()))
            }
            Ok(Err(error)) => Err(Error::Failed(format!("lxc-info can't be run: {error}"))),
            Ok(Ok((true, stdout, _))) => parse(name, &stdout),
            Ok(Ok((false, stdout, stderr))) => Err(refusal(name, path, &format!("{stdout}\n{stderr}"))),
        }
    }
}

impl Runtime for Lxc {
    fn inspect<'a>(&'a self, name: &'a ContainerName, path: Option<&'a str>) -> BoxFuture<'a, Result<Instance, Error>> {
        Box::pin(self.info(name, path.map(Path::new).or(self.lxcpath.as_deref())))
    }
}

/// Success, standard output, standard error.
async fn run(mut command: Command) -> io::Result<(bool, String, String)> {
    let mut child = command.spawn()?;
    let (stdout, stderr) = tokio::try_join!(all(child.stdout.take()), all(child.stderr.take()))?;
    Ok((child.wait().await?.success(), stdout, stderr))
}

async fn all(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut text = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT).read_to_end(&mut text).await?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `State: RUNNING`, `PID: 77`, `lxc.rootfs.path = dir:/var/lib/lxc/x/rootfs`.
fn parse(name: &ContainerName, output: &str) -> Result<Instance, Error> {
    let (mut state, mut pid, mut rootfs) = ("", None, None);
    for line in output.lines() {
        if let Some(value) = line.strip_prefix("State:") {
            state = value.trim();
        } else if let Some(value) = line.strip_prefix("PID:") {
            pid = value.trim().parse().ok();
        } else if let Some(value) = line.strip_prefix("lxc.rootfs.path =") {
            rootfs = directory(name, value.trim())?;
        }
    }
    match state {
        "" => Err(Error::Failed(format!("lxc-info said nothing about the state of container `{name}`"))),
        "RUNNING" | "FREEZING" | "FROZEN" | "THAWED" => Ok(Instance { rootfs, init_pid: pid }),
        // STARTING, STOPPED, STOPPING, ABORTING: there is no init, or it is not in its own root yet, or about to go.
        _ => Ok(Instance { rootfs, init_pid: None }),
    }
}

/// The directory that a storage is, if it is one: `dir:/x` and `/x`, and `btrfs:/x`, a subvolume. `overlay:`, `zfs:`, `lvm:` are none.
fn directory(name: &ContainerName, storage: &str) -> Result<Option<PathBuf>, Error> {
    let path = match storage.split_once(':') {
        Some(("dir" | "btrfs", path)) => path,
        Some((kind, _)) if !kind.contains('/') => return Ok(None),
        _ => storage,
    };
    match path {
        "" => Ok(None),
        path if path.starts_with('/') => Ok(Some(PathBuf::from(path))),
        path => Err(Error::Failed(format!("lxc.rootfs.path `{path}` of container `{name}` is not absolute"))),
    }
}

fn refusal(name: &ContainerName, path: Option<&Path>, said: &str) -> Error {
    let place = path.map_or_else(|| "LXC's default lxcpath".into(), |path| format!("lxcpath {}", path.display()));
    let said = said.trim();
    // LXC's words where its lock directory, or its command socket, is not for this user.
    if ["rivileges", "Failed to create lock", "Failure to retrieve"].iter().any(|hint| said.contains(hint)) {
        let why = said.lines().last().unwrap_or_default();
        return Error::PermissionDenied(format!("lxc-info may not look at container `{name}` in {place}: {why}; it needs root"));
    }
    let list = path.map_or_else(|| "lxc-ls".to_owned(), |path| format!("lxc-ls -P {}", path.display()));
    Error::NotFound(format!("LXC knows no container `{name}` in {place}; `{list}` lists what is there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ContainerName {
        "web".parse().unwrap()
    }

    fn instance(rootfs: Option<&str>, init_pid: Option<u32>) -> Instance {
        Instance { rootfs: rootfs.map(PathBuf::from), init_pid }
    }

    #[test]
    fn a_running_container_has_a_root_and_an_init() {
        let output = "State:          RUNNING\nPID:            20761\nlxc.rootfs.path = /var/lib/lxc/web/rootfs\n";
        assert_eq!(parse(&name(), output).unwrap(), instance(Some("/var/lib/lxc/web/rootfs"), Some(20761)));
    }

    #[test]
    fn an_init_that_is_being_set_up_is_not_entered() {
        for state in ["STARTING", "STOPPING", "ABORTING", "STOPPED"] {
            let output = format!("State: {state}\nPID: 77\nlxc.rootfs.path = dir:/srv/web\n");
            assert_eq!(parse(&name(), &output).unwrap(), instance(Some("/srv/web"), None), "{state}");
        }
    }

    #[test]
    fn only_storage_that_is_a_directory_is_a_root_on_disk() {
        for (storage, root) in [
            ("dir:/a", Some("/a")),
            ("/a:b", Some("/a:b")),
            ("btrfs:/a", Some("/a")),
            ("overlay:/lower:/upper", None),
            ("zfs:tank/a", None),
            ("lvm:/dev/vg/a", None),
            ("", None),
        ] {
            assert_eq!(directory(&name(), storage).unwrap(), root.map(PathBuf::from), "{storage}");
        }
        for relative in ["rootfs", "dir:rootfs", "./a:b"] {
            assert!(matches!(directory(&name(), relative), Err(Error::Failed(_))), "{relative}");
        }
    }

    #[test]
    fn unknown_and_forbidden_are_told_apart() {
        let place = Some(Path::new("/srv/lxc"));
        let unknown = refusal(&name(), place, "web doesn't exist\n");
        assert!(matches!(&unknown, Error::NotFound(message) if message.contains("/srv/lxc")), "{unknown}");
        let forbidden = refusal(&name(), place, "Failed to create lock for web\nFailure to retrieve information on /srv/lxc:web\n");
        assert!(matches!(forbidden, Error::PermissionDenied(_)), "{forbidden}");
    }

    #[tokio::test]
    async fn a_relative_lxcpath_is_refused() {
        let error = Lxc::new(None).inspect(&name(), Some("lxc")).await.unwrap_err();
        assert!(matches!(&error, Error::Failed(message) if message.contains("not absolute")), "{error}");
    }
}
