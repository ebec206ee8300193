//! The files that `BasicAuth` names -> who may pass.
//!
//! In: an App, its container, what was read last. Out: [`Passwords`] by file, or why not. Never: a path that is opened but by
//! `container::rootfs`; a file without end; a password or a hash in the log.

use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use super::probe::PATIENCE_FOR_FILES;
use super::{Missing, Reference};
use crate::api::v1::{App, BasicAuth, Reason};
use crate::container::Container;
use crate::container::lane::Lane;
use crate::container::rootfs::{Kind, Rootfs, View};
use crate::names::{AppName, ContainerPath};
use crate::route::Passwords;

/// The largest file that is read: some 10,000 users.
const LARGEST: u64 = 1 << 20;
/// Lines that are complained about, per file.
const COMPLAINTS: usize = 10;

/// A file with names and hashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PasswordFile {
    /// Inside the container.
    Inside(ContainerPath),
    /// On the host.
    Host(ContainerPath),
}

/// What an App's password files hold, as it was found.
#[derive(Debug, Clone, Default)]
pub struct PasswordFiles {
    found: Vec<(PasswordFile, Arc<Passwords>)>,
    /// Where files of the host are read: they may be on a server.
    // Most Apps have none: a lane that nobody needs would take 160 bytes.
    host: Option<Lane>,
}

impl PasswordFile {
    /// The file that a filter names.
    #[must_use]
    pub fn of(written: &BasicAuth) -> Option<Self> {
        match (&written.file, &written.host_file) {
            (Some(path), _) => Some(Self::Inside(path.clone())),
            (None, Some(path)) => path.parse().ok().map(Self::Host),
            (None, None) => None,
        }
    }

    /// The files of an App, each once.
    pub(super) fn all(app: &App) -> Vec<Self> {
        let filters = app.spec.rules.iter().flat_map(|rule| &rule.filters);
        let mut files: Vec<_> = filters.filter_map(|filter| filter.basic_auth.as_deref()).filter_map(Self::of).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Where it is, if that is inside the container.
    pub(super) fn inside(&self) -> Option<&ContainerPath> {
        match self {
            Self::Inside(path) => Some(path),
            Self::Host(_) => None,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Inside(path) => format!("password file {path}"),
            Self::Host(path) => format!("password file {path} of the host"),
        }
    }

    /// Its bytes, or why not.
    async fn read(&self, container: &Container, host: &Lane) -> Result<Vec<u8>, (Reason, String)> {
        let what = self.describe();
        let (root, path) = match self {
            Self::Host(path) => (None, path.clone()),
            Self::Inside(path) => {
                let unreachable = "can't be reached: the container is stopped and its root is not on disk";
                let root = container.root.clone().ok_or_else(|| (Reason::ContainerStopped, format!("{what} {unreachable}")))?;
                (Some(root), path.clone())
            }
        };
        let read = match root {
            Some(root) => root.look_far(PATIENCE_FOR_FILES, move |view| read(view, &path)).await,
            None => host.run(PATIENCE_FOR_FILES, move || read(Rootfs::open(Path::new("/"))?.far(), &path)).await,
        };
        read.map_err(|error| match error.kind() {
            ErrorKind::NotFound => (Reason::FileNotFound, format!("{what} does not exist")),
            ErrorKind::PermissionDenied => (Reason::PermissionDenied, format!("{what}: {error}")),
            _ => (Reason::FileNotFound, format!("{what}: {error}")),
        })
    }
}

impl PasswordFiles {
    /// Reads every file of the App. One that says what it said before is the very same.
    pub(super) async fn look(app: &App, container: &Container, before: Option<&Self>, missing: &mut Vec<Missing>) -> Self {
        let files = PasswordFile::all(app);
        if files.is_empty() {
            return Self::default();
        }
        let mut found = Vec::new();
        // One lane for all looks of the App: what hangs in one is not begun again without end by the next.
        let host = before.and_then(|before| before.host.clone()).unwrap_or_default();
        for file in files {
            match file.read(container, &host).await {
                Ok(bytes) => {
                    let known = before.and_then(|before| before.find(&file));
                    let known = known.filter(|known| *known.fingerprint() == Passwords::fingerprint_of(&bytes));
                    let passwords = known.cloned().unwrap_or_else(|| parse(&app.metadata.name, &file, &bytes));
                    found.push((file, passwords));
                }
                Err((reason, message)) => {
                    missing.push(Missing { reference: Reference::PasswordFile(file), reason, message, spared: false });
                }
            }
        }
        Self { found, host: Some(host) }
    }

    /// What a file holds; none: it is not there.
    #[must_use]
    pub fn find(&self, file: &PasswordFile) -> Option<&Arc<Passwords>> {
        self.found.iter().find(|(known, _)| known == file).map(|(_, passwords)| passwords)
    }

    /// Whether both let the same people in.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let key = |(file, passwords): &(PasswordFile, Arc<Passwords>)| (file.clone(), *passwords.fingerprint());
        self.found.iter().map(key).eq(other.found.iter().map(key))
    }
}

fn read(root: View<'_>, path: &ContainerPath) -> io::Result<Vec<u8>> {
    let entry = root.entry(path)?;
    if entry.kind != Kind::File {
        return Err(io::Error::other("is not a regular file"));
    }
    let mut bytes = Vec::new();
    let (file, _) = entry.open()?;
    (&**file).take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("is larger than {LARGEST} bytes")));
    }
    Ok(bytes)
}

fn parse(app: &AppName, file: &PasswordFile, bytes: &[u8]) -> Arc<Passwords> {
    let (passwords, unusable) = Passwords::read(bytes);
    let file = file.describe();
    for line in unusable.iter().take(COMPLAINTS) {
        tracing::warn!(%app, user = line.name, "{file}, line {}: nobody gets in by it: {}", line.line, line.problem);
    }
    if unusable.len() > COMPLAINTS {
        tracing::warn!(%app, "{file}: {} more lines let nobody in", unusable.len() - COMPLAINTS);
    }
    if passwords.is_empty() {
        tracing::warn!(%app, "{file} lets nobody in");
    }
    Arc::new(passwords)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn container(dir: &tempfile::TempDir) -> Container {
        Container { root: Some(Arc::new(Rootfs::open(dir.path()).unwrap())), init: None, alive: true, network: None }
    }

    fn app(filter: &str) -> App {
        let text = format!(
            r#"{{"apiVersion": "lxcproxy.dev/v1", "kind": "App", "metadata": {{"name": "a"}},
                "spec": {{"rules": [{{"filters": [{{"type": "BasicAuth", "basicAuth": {filter}}}]}}]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[tokio::test]
    async fn a_file_is_read_inside_its_container_and_kept_while_it_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let container = container(&dir);
        let app = app(r#"{"file": "/users"}"#);
        let mut missing = Vec::new();
        fs::write(dir.path().join("users"), "bob:plain\n").unwrap();
        let first = PasswordFiles::look(&app, &container, None, &mut missing).await;
        let second = PasswordFiles::look(&app, &container, Some(&first), &mut missing).await;
        assert!(missing.is_empty() && first.is_same(&second) && Arc::ptr_eq(&first.found[0].1, &second.found[0].1));
        fs::write(dir.path().join("users"), "ann:plain\n").unwrap();
        let third = PasswordFiles::look(&app, &container, Some(&second), &mut missing).await;
        assert!(missing.is_empty() && !second.is_same(&third));
        fs::remove_file(dir.path().join("users")).unwrap();
        let none = PasswordFiles::look(&app, &container, Some(&third), &mut missing).await;
        assert!(none.found.is_empty() && !none.is_same(&third) && missing[0].reason == Reason::FileNotFound, "{missing:?}");
    }

    #[tokio::test]
    async fn a_link_out_a_directory_a_pipe_and_what_has_no_end_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        fs::create_dir(dir.path().join("directory")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::Mode::RUSR).unwrap();
        fs::write(dir.path().join("large"), vec![b'#'; (1 << 20) + 1]).unwrap();
        for name in ["link", "directory", "pipe", "large", "none"] {
            let mut missing = Vec::new();
            let app = app(&format!(r#"{{"file": "/{name}"}}"#));
            PasswordFiles::look(&app, &container(&dir), None, &mut missing).await;
            assert_eq!(missing.iter().map(|missing| missing.reason).collect::<Vec<_>>(), [Reason::FileNotFound], "{name}: {missing:?}");
        }
    }

    #[tokio::test]
    async fn a_file_of_the_host_is_read_whatever_the_container_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stopped = Container { root: None, init: None, alive: false, network: None };
        let app = app(&format!(r#"{{"hostFile": "{}"}}"#, file.path().display()));
        let mut missing = Vec::new();
        let found = PasswordFiles::look(&app, &stopped, None, &mut missing).await;
        assert!(missing.is_empty() && found.found.len() == 1, "{missing:?}");
    }
}
