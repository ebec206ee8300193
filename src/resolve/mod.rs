//! An App as written -> the App with what it refers to: container, sockets, roots, files with passwords.
//!
//! In: a valid App, the runtimes. Out: [`ResolvedApp`], each missing reference with its reason. Never: a decision what to serve.

mod passwords;
mod probe;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::api::v1::{App, Backend, ContainerRef, Reason};
use crate::container::{self, Container, Runtimes};
use crate::dial::Address;
use crate::names::{ContainerPath, SectionName};
pub use passwords::{PasswordFile, PasswordFiles};

/// An App and what it refers to, as it was found.
#[derive(Debug, Clone)]
pub struct ResolvedApp {
    /// As written.
    pub app: Arc<App>,
    /// The directory of its manifest: a relative `rootfs:` or `pidFile:` starts here.
    pub base: PathBuf,
    /// Its container, if it could be entered.
    pub container: Option<Container>,
    /// For each of `spec.backends` those of its endpoints; `None`: it can't be there while the container does not run.
    pub addresses: Vec<Vec<Option<Address>>>,
    /// What the files of `BasicAuth` hold.
    pub passwords: PasswordFiles,
    /// References that are not there.
    pub missing: Vec<Missing>,
    /// How many references there are in all.
    pub references: usize,
}

/// A reference that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub reference: Reference,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// It is one endpoint of several, and another one of its backend is there: requests are answered all the same.
    pub spared: bool,
}

/// What an object refers to outside of its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A backend, by name: each of its endpoints is such a reference.
    Backend(SectionName),
    /// A document root.
    Root(ContainerPath),
    /// A file with names and passwords.
    PasswordFile(PasswordFile),
    /// Of a Gateway: the address and port of a listener, by its name.
    Listener(SectionName),
}

impl ResolvedApp {
    /// Looks at everything that the App refers to. `before`: an earlier result, whose handles are used again where nothing changed.
    pub async fn look(app: Arc<App>, base: PathBuf, runtimes: &Runtimes, before: Option<&Self>) -> Self {
        let held = before.and_then(|before| before.container.as_ref());
        match runtimes.enter(app.spec.container.as_ref(), &base, held).await {
            Ok(container) => Self::inside(app, base, container, before).await,
            Err(error) => Self::without_container(app, base, &error),
        }
    }

    async fn inside(app: Arc<App>, base: PathBuf, container: Container, before: Option<&Self>) -> Self {
        let mut missing = Vec::new();
        let mut addresses = Vec::with_capacity(app.spec.backends.len());
        for backend in &app.spec.backends {
            let (endpoints, problems) = probe::backend(backend, &container).await;
            let spared = problems.len() < endpoints.len();
            let reference = || Reference::Backend(backend.name.clone());
            missing.extend(problems.into_iter().map(|(reason, message)| Missing { reference: reference(), reason, message, spared }));
            addresses.push(endpoints);
        }
        let roots = roots(&app);
        for root in &roots {
            if let Some((reason, message)) = probe::root(root, &container).await {
                missing.push(Missing { reference: Reference::Root(root.clone()), reason, message, spared: false });
            }
        }
        let passwords = PasswordFiles::look(&app, &container, before.map(|before| &before.passwords), &mut missing).await;
        let references = addresses.iter().map(Vec::len).sum::<usize>() + roots.len() + PasswordFile::all(&app).len();
        Self { app, base, container: Some(container), addresses, passwords, missing, references }
    }

    /// What there is without looking: for building an App before anything is known about its surroundings.
    #[must_use]
    pub fn unseen(app: Arc<App>, base: PathBuf) -> Self {
        Self::without_container(app, base, &container::Error::Failed("not looked at yet".to_owned()))
    }

    /// Without its container only what the host itself can reach is there.
    fn without_container(app: Arc<App>, base: PathBuf, error: &container::Error) -> Self {
        let reason = match error {
            container::Error::NotFound(_) | container::Error::Absent(_) | container::Error::Failed(_) => Reason::ContainerNotFound,
            container::Error::PermissionDenied(_) => Reason::PermissionDenied,
        };
        let message = error.to_string();
        let endpoints =
            app.spec.backends.iter().flat_map(|backend| backend.endpoints().into_iter().map(|_| Reference::Backend(backend.name.clone())));
        let roots = roots(&app).into_iter().map(Reference::Root);
        let missing = |reference| Missing { reference, reason, message: message.clone(), spared: false };
        let files = PasswordFile::all(&app).into_iter().map(Reference::PasswordFile);
        let missing: Vec<_> = endpoints.chain(roots).chain(files).map(missing).collect();
        let reachable = |backend: &Backend| backend.endpoints().iter().map(probe::tcp_address).collect();
        let addresses = app.spec.backends.iter().map(reachable).collect();
        Self { references: missing.len(), app, base, container: None, addresses, passwords: PasswordFiles::default(), missing }
    }

    /// Its container as written, with the paths of the host in it that are relative to the manifest's file made whole.
    #[must_use]
    pub fn reference(&self) -> Option<ContainerRef> {
        self.app.spec.container.as_ref().map(|reference| reference.anchored(&self.base).into_owned())
    }

    /// Paths whose directories are worth a watch.
    #[must_use]
    pub fn watched_paths(&self) -> Vec<ContainerPath> {
        let endpoints = self.app.spec.backends.iter().flat_map(Backend::endpoints);
        let files = PasswordFile::all(&self.app).into_iter().filter_map(|file| file.inside().cloned());
        endpoints.filter_map(|endpoint| endpoint.unix).chain(roots(&self.app)).chain(files).collect()
    }

    /// Whether the same is watched for both: in the same container the same paths.
    #[must_use]
    pub fn is_watched_like(&self, other: &Self) -> bool {
        self.container.as_ref().zip(other.container.as_ref()).is_some_and(|(one, two)| one.is_same(two))
            && (Arc::ptr_eq(&self.app, &other.app) || self.watched_paths() == other.watched_paths())
    }

    /// Whether a request would be answered in the same way by both: the same App, the same handles.
    #[must_use]
    pub fn routes_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.app, &other.app)
            && self.passwords.is_same(&other.passwords)
            && match (&self.container, &other.container) {
                (None, None) => true,
                (Some(one), Some(two)) => one.is_same(two),
                _ => false,
            }
    }
}

/// The document roots of the rules, each once.
fn roots(app: &App) -> Vec<ContainerPath> {
    let mut roots: Vec<_> = app.spec.rules.iter().filter_map(|rule| rule.files.as_ref()).map(|files| files.root.clone()).collect();
    roots.sort_unstable();
    roots.dedup();
    roots
}

/// The directory that a manifest's relative paths start from.
#[must_use]
pub fn base_of(file: &Path) -> PathBuf {
    file.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}
