//! The manifest directory, opened for a change: read, planned, written.
//!
//! In: its path. Out: files that hold the whole new text or the whole old one. Never: a link that is followed, a write by two at a time, a
//! change of anything but what was planned.
//!
//! Only `apply` and `delete` come here; everything else reads manifests by [`crate::source`].

#![allow(clippy::disallowed_methods, reason = "the directory that the user changes, on the user's own rights")]

mod name;
mod plan;
mod replace;
pub(super) mod sections;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, ResolveFlags, flock, openat2, statat};
use rustix::io::Errno;

pub(super) use self::name::Name;
pub(super) use self::plan::{Document, Outcome, Plan};
use super::client::{self, Client, converse};
use crate::api::v1::SourceResource;
use crate::config::DEFAULT_MANIFESTS;
use crate::source;

/// How long another `apply` or `delete` is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two tries.
const AGAIN: Duration = Duration::from_millis(20);
/// What is said about a place behind a link.
const LINKED: &str = "is reached through a symbolic link; change the manifest where it comes from";

/// Where the directory is.
#[derive(Debug, Clone, Args)]
pub(super) struct Place {
    /// The directory of manifests. Default: that of the running daemon, else /etc/lxcproxy.d.
    #[arg(long, value_name = "DIR", env = "LXCPROXY_MANIFESTS")]
    manifests: Option<PathBuf>,
    #[command(flatten)]
    pub(super) client: Client,
}

impl Place {
    /// The directory's path.
    fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.manifests {
            return Ok(std::path::absolute(path)?);
        }
        let of_daemon = converse(watched_by_daemon(&self.client)).context("where are the manifests? name the directory by --manifests")?;
        Ok(of_daemon.unwrap_or_else(|| PathBuf::from(DEFAULT_MANIFESTS)))
    }
}

/// The directory that the daemon reads; `None`: there is no daemon.
async fn watched_by_daemon(client: &Client) -> anyhow::Result<Option<PathBuf>> {
    match client.list::<SourceResource>("sources", &[]).await {
        Ok(sources) => Ok(sources.items.into_iter().find_map(|source| source.spec).map(|spec| spec.path)),
        Err(client::Error::NoDaemon { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The directory, for one at a time.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked while it is open.
    fd: OwnedFd,
}

impl Directory {
    /// Opens it, and waits until nobody else changes it.
    pub(super) fn open(place: &Place) -> anyhow::Result<Self> {
        let path = place.path()?;
        let shown = path.display();
        let fd = open_directory(CWD, &path, ResolveFlags::empty()).map_err(|error| match error {
            Errno::LOOP => anyhow!("{shown} {LINKED}, or name the directory that it leads to by --manifests"),
            Errno::NOENT => anyhow!("the manifest directory {shown} does not exist; create it, or name another by --manifests"),
            error => anyhow!(io::Error::from(error)).context(format!("the manifest directory {shown} can't be opened")),
        })?;
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            if error != Errno::WOULDBLOCK {
                return Err(io::Error::from(error)).context(format!("the manifest directory {shown} can't be locked"));
            }
            if Instant::now() >= deadline {
                bail!("the manifest directory {shown} is being changed by somebody else; try again later");
            }
            std::thread::sleep(AGAIN);
        }
        Ok(Self { path, fd })
    }

    /// Every manifest in it.
    pub(super) fn read(&self) -> anyhow::Result<Plan> {
        let listing = source::list(&self.path);
        if let Some(problem) = listing.problem {
            bail!("{problem}");
        }
        let mut plan = Plan::default();
        plan.unseen = listing.unread;
        for (file, content) in listing.files {
            match &content.bytes {
                Ok(text) => plan.add(file.to_string(), text.clone()),
                Err(why) => drop(plan.unseen.insert(file.to_string(), why.clone())),
            }
        }
        Ok(plan)
    }

    /// Whether every file of the plan may be changed.
    pub(super) fn check(&self, plan: &Plan) -> anyhow::Result<()> {
        plan.changes().try_for_each(|(file, _)| self.check_one(file))
    }

    /// Makes the files what the plan says, one after the other; none, if one of them may not be changed.
    pub(super) fn write(&self, plan: &Plan) -> anyhow::Result<()> {
        self.check(plan)?;
        for (file, text) in plan.changes() {
            let (parent, name) = self.parent(file)?;
            let done = match text {
                Some(text) => replace::replace(parent.as_fd(), name, text),
                None => replace::remove(parent.as_fd(), name),
            };
            done.with_context(|| format!("{} can't be written", self.shown(file)))?;
        }
        Ok(())
    }

    /// Neither it nor a directory on the way is a link.
    fn check_one(&self, file: &str) -> anyhow::Result<()> {
        let (parent, name) = self.parent(file)?;
        match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile) | Err(Errno::NOENT) => Ok(()),
            Ok(FileType::Symlink) => bail!("{} {LINKED}", self.shown(file)),
            Ok(_) => bail!("{} is no regular file", self.shown(file)),
            Err(error) => Err(io::Error::from(error)).context(self.shown(file)),
        }
    }

    /// The directory that a file is in, and the file's name.
    fn parent<'f>(&self, file: &'f str) -> anyhow::Result<(OwnedFd, &'f str)> {
        let (parent, name) = file.rsplit_once('/').unwrap_or((".", file));
        let fd = open_directory(&self.fd, Path::new(parent), ResolveFlags::BENEATH).map_err(|error| match error {
            Errno::LOOP => anyhow!("{} {LINKED}", self.shown(file)),
            error => anyhow!(io::Error::from(error)).context(self.shown(file)),
        })?;
        Ok((fd, name))
    }

    fn shown(&self, file: &str) -> String {
        self.path.join(file).display().to_string()
    }
}

/// A directory to which no link leads.
fn open_directory(at: impl AsFd, path: &Path, how: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(at, path, flags, Mode::empty(), how | ResolveFlags::NO_SYMLINKS)
}

/// Makes names that came or went durable.
fn sync(directory: impl AsFd) -> io::Result<()> {
    File::from(directory.as_fd().try_clone_to_owned()?).sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::admin;
    use crate::snapshot::{self, Snapshot};

    fn open(path: &Path) -> anyhow::Result<Directory> {
        let client = Client { socket: path.join("no.sock") };
        Directory::open(&Place { manifests: Some(path.to_owned()), client })
    }

    fn temporary() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        (dir, path)
    }

    #[test]
    fn a_place_behind_a_link_is_not_written() {
        let (_dir, top) = temporary();
        std::fs::create_dir_all(top.join("real/sub")).unwrap();
        std::fs::write(top.join("real/sub/a.yaml"), "a: 1\n").unwrap();
        symlink("real", top.join("current")).unwrap();
        symlink("sub/a.yaml", top.join("real/link.yaml")).unwrap();
        symlink("sub", top.join("real/linked")).unwrap();
        let error = open(&top.join("current")).unwrap_err().to_string();
        assert!(error.contains("symbolic link") && error.contains("--manifests"), "{error}");
        let directory = open(&top.join("real")).unwrap();
        assert!(directory.check_one("sub/a.yaml").is_ok() && directory.check_one("new.yaml").is_ok());
        for file in ["link.yaml", "linked/a.yaml"] {
            let error = directory.check_one(file).unwrap_err().to_string();
            assert!(error.contains(&format!("real/{file} is reached through a symbolic link")), "{error}");
        }
        assert!(directory.check_one("../x.yaml").is_err() && directory.check_one("sub").is_err());
        let mut plan = directory.read().unwrap();
        assert_eq!(plan.changes().count(), 0);
        plan.add("link.yaml".to_owned(), b"b: 2\n"[..].into());
        assert!(directory.write(&plan).is_ok(), "nothing changes");
    }

    #[tokio::test]
    async fn the_daemon_knows_where_its_manifests_are() {
        let (_dir, top) = temporary();
        let client = Client { socket: top.join("admin.sock") };
        assert_eq!(watched_by_daemon(&client).await.unwrap(), None, "nobody is there");
        let listener = admin::Listener::bind(&client.socket).unwrap();
        let (mut publisher, reader) = snapshot::channel();
        tokio::spawn(admin::serve(listener, None, reader, admin::MetricsText::new(String::new), std::future::pending()));
        let source = json!({
            "apiVersion": "lxcproxy.dev/v1", "kind": "Source", "metadata": {"name": "manifests"},
            "spec": {"path": "/srv/manifests"}, "status": {"files": 0, "conditions": []}
        });
        let source: SourceResource = serde_json::from_value(source).unwrap();
        let sources = [("manifests".to_owned(), Arc::new(source))].into_iter().collect();
        publisher.publish(Snapshot { sources, ..Snapshot::default() });
        assert_eq!(watched_by_daemon(&client).await.unwrap(), Some(PathBuf::from("/srv/manifests")));
    }

    #[test]
    fn one_at_a_time() {
        let (_dir, top) = temporary();
        let first = open(&top).unwrap();
        let path = top.clone();
        let second = std::thread::spawn(move || open(&path).map(drop));
        assert!(!second.is_finished());
        drop(first);
        second.join().unwrap().unwrap();
        let error = open(&top.join("missing")).unwrap_err().to_string();
        assert!(error.contains("does not exist"), "{error}");
    }
}
