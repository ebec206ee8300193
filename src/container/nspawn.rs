//! systemd-nspawn: machined's record of a machine tells its init, the directory of its image is its root while it is stopped.
//!
//! In: a machine's name, and where images are kept. Out: [`Instance`]. Never: a virtual machine; a process that got the pid of a leader
//! that has ended; a question to D-Bus.
//!
//! The record `/run/systemd/machines/NAME` is what programs of any version read that use libsystemd's `sd_machine_get_class(3)`, and it is
//! there whether or not machined, which may end while it is idle, runs just now. `machinectl` starts a process and wakes machined for the
//! same answer, and works only where systemd is PID 1.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::init::Init;
use super::{BoxFuture, Error, Instance, Runtime, host_file};
use crate::names::ContainerName;

/// Where machined keeps a file for each machine that runs.
pub(super) const RECORDS: &str = "/run/systemd/machines";
/// Where images are that systemd-nspawn and `machinectl start` find by their name.
const IMAGES: &str = "/var/lib/machines";

/// Containers that are registered with systemd-machined.
#[derive(Debug)]
pub(super) struct Nspawn {
    records: PathBuf,
    images: PathBuf,
}

/// What machined knows of a machine that runs.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    class: String,
    /// PID 1 of the container.
    leader: Option<u32>,
    /// When it was registered (`CLOCK_MONOTONIC`).
    registered: Option<Duration>,
}

/// The image that a name stands for.
enum Image {
    /// A directory, or a link to one.
    Directory(PathBuf),
    /// A disk image, which is mounted only while its machine runs.
    Disk,
}

impl Nspawn {
    pub(super) fn new() -> Self {
        Self { records: RECORDS.into(), images: IMAGES.into() }
    }

    fn find(&self, name: &ContainerName, path: Option<&Path>) -> Result<Instance, Error> {
        if let Some(path) = path.filter(|path| !path.is_absolute()) {
            return Err(Error::Failed(format!("the directory of machines `{}` of container `{name}` is not absolute", path.display())));
        }
        let images = path.unwrap_or(&self.images);
        let image = image(images, name);
        let record = self.record(name)?;
        // A name is one machine's of the whole host: with a directory of images it is meant only if its image is there.
        if image.is_none() && (path.is_some() || record.is_none()) {
            let place = if path.is_some() { "" } else { ", running or" };
            return Err(Error::NotFound(format!(
                "systemd knows no machine `{name}`{place} in {}; `machinectl list` and `machinectl list-images` list what is there",
                images.display()
            )));
        }
        let init_pid = record.map(|record| record.init(name)).transpose()?.flatten();
        let rootfs = image.and_then(|image| if let Image::Directory(path) = image { Some(path) } else { None });
        Ok(Instance { rootfs, init_pid })
    }

    fn record(&self, name: &ContainerName) -> Result<Option<Record>, Error> {
        let file = self.records.join(name.as_str());
        let text = host_file::read(&file).map_err(|error| {
            let message = format!("what machined knows of machine `{name}` can't be read: {}: {error}", file.display());
            if error.kind() == io::ErrorKind::PermissionDenied { Error::PermissionDenied(message) } else { Error::Failed(message) }
        })?;
        Ok(text.as_deref().map(parse))
    }
}

impl Runtime for Nspawn {
    fn inspect<'a>(&'a self, name: &'a ContainerName, path: Option<&'a str>) -> BoxFuture<'a, Result<Instance, Error>> {
        Box::pin(async move { self.find(name, path.map(Path::new)) })
    }
}

impl Record {
    /// The init, if it runs.
    fn init(&self, name: &ContainerName) -> Result<Option<u32>, Error> {
        if self.class != "container" {
            let what = if self.class == "vm" { "a virtual machine" } else { "no container" };
            return Err(Error::Failed(format!("machine `{name}` is {what}: its files and sockets can't be reached from the host")));
        }
        let Some(pid) = self.leader else { return Ok(None) };
        match Init::open(pid) {
            // Of a machine that ended while machined was away a record stays, and its pid may be somebody else's by now.
            Ok(init) if !init.is_running() || self.registered.is_some_and(|registered| init.began_after(registered)) => Ok(None),
            Err(_) if !is_there(pid) => Ok(None),
            // Where it can't be looked at, to enter it fails, and says why.
            _ => Ok(Some(pid)),
        }
    }
}

/// Lines of `NAME=value`; numbers are never quoted.
fn parse(text: &str) -> Record {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let leader = value("LEADER").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
    let registered = value("MONOTONIC").and_then(|moment| moment.parse().ok()).map(Duration::from_micros);
    Record { class: value("CLASS").unwrap_or_default().to_owned(), leader, registered }
}

/// As systemd-nspawn finds it; a directory without `usr` is none to it.
#[allow(clippy::disallowed_methods, reason = "images are the host's, at a place that its administrator names")]
fn image(images: &Path, name: &ContainerName) -> Option<Image> {
    let directory = images.join(name.as_str());
    if directory.join("usr").symlink_metadata().is_ok() {
        return Some(Image::Directory(directory));
    }
    images.join(format!("{name}.raw")).is_file().then_some(Image::Disk)
}

#[allow(clippy::disallowed_methods, reason = "/proc is the host's own")]
fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// As machined of systemd 252 writes it.
    const RECORD: &str = "# This is private data. Do not parse.\nNAME=web\nSCOPE=systemd-nspawn@web.service\nSERVICE=systemd-nspawn\n\
        ROOT=/var/lib/machines/web\nID=e0d4f55b973c4d6f8a20e9744bb6aa3a\nLEADER=25117\nCLASS=container\nREALTIME=1795469663184711\n\
        MONOTONIC=33032296442\n";

    fn name() -> ContainerName {
        "web".parse().unwrap()
    }

    fn machines() -> (tempfile::TempDir, Nspawn) {
        let dir = tempfile::tempdir().unwrap();
        let nspawn = Nspawn { records: dir.path().join("run"), images: dir.path().join("images") };
        for made in [&nspawn.records, &nspawn.images] {
            fs::create_dir(made).unwrap();
        }
        (dir, nspawn)
    }

    fn record(leader: u32, class: &str, registered: &str) -> String {
        format!("NAME=web\nLEADER={leader}\nCLASS={class}\nMONOTONIC={registered}\n")
    }

    #[test]
    fn a_record_tells_class_leader_and_time() {
        let registered = Some(Duration::from_micros(33_032_296_442));
        assert_eq!(parse(RECORD), Record { class: "container".into(), leader: Some(25117), registered });
        for garbage in ["", "LEADER=-1\nMONOTONIC=x\nCLASS", "xLEADER=7\n", "LEADER=0\n", "LEADER=99999999999\n"] {
            assert_eq!(parse(garbage), Record { class: String::new(), leader: None, registered: None }, "{garbage:?}");
        }
    }

    #[test]
    fn a_machine_that_runs_has_its_leader_and_one_that_does_not_its_image() {
        let (dir, nspawn) = machines();
        let unknown = nspawn.find(&name(), None).unwrap_err();
        assert!(matches!(&unknown, Error::NotFound(text) if text.contains("`web`") && text.contains("images")), "{unknown}");
        fs::create_dir_all(dir.path().join("elsewhere/usr")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", nspawn.images.join("web")).unwrap();
        let rootfs = Some(nspawn.images.join("web"));
        assert_eq!(nspawn.find(&name(), None).unwrap(), Instance { rootfs: rootfs.clone(), init_pid: None });
        let ours = std::process::id();
        fs::write(nspawn.records.join("web"), record(ours, "container", &u64::MAX.to_string())).unwrap();
        assert_eq!(nspawn.find(&name(), None).unwrap(), Instance { rootfs, init_pid: Some(ours) });
        fs::remove_file(nspawn.images.join("web")).unwrap();
        assert_eq!(nspawn.find(&name(), None).unwrap(), Instance { rootfs: None, init_pid: Some(ours) }, "its root may be anywhere");
    }

    #[test]
    fn a_disk_image_is_a_machine_without_a_root_on_disk() {
        let (_dir, nspawn) = machines();
        fs::write(nspawn.images.join("web.raw"), "").unwrap();
        assert_eq!(nspawn.find(&name(), None).unwrap(), Instance { rootfs: None, init_pid: None });
    }

    #[test]
    fn a_name_that_runs_is_not_meant_where_its_image_is_not() {
        let (dir, nspawn) = machines();
        fs::write(nspawn.records.join("web"), record(std::process::id(), "container", &u64::MAX.to_string())).unwrap();
        // An image, to systemd-nspawn, has a `usr`; what else has a directory for each container has none there.
        fs::create_dir_all(dir.path().join("lxc/web/rootfs/usr")).unwrap();
        let place = dir.path().join("lxc");
        assert!(matches!(nspawn.find(&name(), Some(&place)).unwrap_err(), Error::NotFound(_)));
        fs::create_dir_all(dir.path().join("lxc/web/usr")).unwrap();
        assert_eq!(nspawn.find(&name(), Some(&place)).unwrap().init_pid, Some(std::process::id()));
        assert!(matches!(nspawn.find(&name(), Some(Path::new("lxc"))).unwrap_err(), Error::Failed(_)));
    }

    #[test]
    fn a_leader_that_ended_is_not_mistaken_for_who_got_its_pid() {
        let (_dir, nspawn) = machines();
        let init = |text: String| {
            fs::write(nspawn.records.join("web"), text).unwrap();
            nspawn.find(&name(), None).map(|instance| instance.init_pid)
        };
        let ours = std::process::id();
        assert_eq!(init(record(ours, "container", "1000000")).unwrap(), None, "this process began later than a second after boot");
        assert_eq!(init(record(ours, "container", "")).unwrap(), Some(ours));
        assert_eq!(init(record(0, "container", "")).unwrap(), None);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(init(record(child.id(), "container", &u64::MAX.to_string())).unwrap(), None);
        for class in ["vm", "host", ""] {
            let error = init(record(ours, class, "")).unwrap_err();
            assert!(matches!(&error, Error::Failed(text) if text.contains("can't be reached")), "{class}: {error}");
        }
    }
}
