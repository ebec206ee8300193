//! What has to outlive a restart: the identity of each App and Gateway, and its last good manifest.
//!
//! In: [`Record`]s. Out: the same records after a restart, whatever happened in between. Never: a record older than the last one
//! that was saved; a crash over what is found on disk. All calls block: an async caller wraps them in `spawn_blocking`.

#![allow(clippy::disallowed_methods, reason = "files of the host, by path, are what this room is for")]

mod atomic;
pub mod batch;
mod file;
mod shared;
mod uid;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use uid::new_uid;

use crate::api::v1::{App, AppSpec, ConditionStatus, ConditionType, Gateway, GatewaySpec};
use crate::names::AppName;

/// A kind of object that is remembered.
pub trait Kept: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync {
    /// What people write in it; its generation rises when this changes.
    type Spec: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync;

    /// The directory of its records in the state directory.
    const DIRECTORY: &'static str;

    /// What is written in it.
    fn spec(&self) -> &Self::Spec;
}

impl Kept for App {
    type Spec = AppSpec;

    const DIRECTORY: &'static str = "apps";

    fn spec(&self) -> &AppSpec {
        &self.spec
    }
}

impl Kept for Gateway {
    type Spec = GatewaySpec;

    const DIRECTORY: &'static str = "gateways";

    fn spec(&self) -> &GatewaySpec {
        &self.spec
    }
}

/// What is remembered of an object. Clones share what was written in its manifests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound = "")]
pub struct Record<T: Kept> {
    /// `metadata.name`; also the name of the file.
    pub name: AppName,
    /// Stays with the object for its life.
    pub uid: Arc<str>,
    /// When it was first seen, in nanoseconds since the epoch: decides which of two is the older.
    pub first_seen: u64,
    /// The manifest's file, relative to the manifest directory.
    pub file: String,
    /// Of the newest valid manifest; rises when its defaulted spec changes.
    pub generation: u64,
    /// The spec of `generation`, while that is not the one of `good`: it is what the next change is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shared::option")]
    pub newer: Option<Arc<T::Spec>>,
    /// What was served last; none if nothing ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<Good<T>>,
    /// Since when each of its conditions has the status that it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub transitions: Transitions,
}

/// By condition.
pub type Transitions = BTreeMap<ConditionType, Transition>;

/// A status of a condition, and since when it has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transition {
    /// The status.
    pub status: ConditionStatus,
    /// Since when, RFC 3339.
    pub time: String,
}

/// A manifest that was served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound = "")]
pub struct Good<T: Kept> {
    /// Its generation.
    pub generation: u64,
    /// The directory that a relative `rootfs` starts from.
    pub base: PathBuf,
    /// The manifest, defaults filled in.
    // The first version wrote Apps only, under this name.
    #[serde(alias = "app", with = "shared")]
    pub object: Arc<T>,
}

impl<T: Kept> Record<T> {
    /// The spec of the newest valid manifest, which may not be served yet.
    #[must_use]
    pub fn spec(&self) -> Option<&T::Spec> {
        self.newer.as_deref().or(self.good.as_ref().map(|good| good.object.spec()))
    }
}

/// Why something was not saved or not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system said no: disk full, read-only, no permission.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file is not a record of ours, or is damaged.
    #[error("{} {why}; {}", path.display(), aside.as_ref().map_or("it is ignored".to_owned(), |to| format!("set aside as {}", to.display())))]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as the end of a sentence that starts with its name.
        why: String,
        /// Where it was moved to, if that was possible.
        aside: Option<PathBuf>,
    },
}

impl Error {
    fn io(verb: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { verb, path: path.to_owned(), source: source.into() }
    }
}

/// A record that is about to be saved.
#[derive(Debug)]
pub struct Draft {
    directory: PathBuf,
    path: PathBuf,
    of: Of,
    checksum: u64,
    /// None: it is on disk already.
    text: Option<String>,
}

/// Whose record it is: the directory of its kind, and its name. Their paths would take 60 bytes more for each.
type Of = (&'static str, AppName);

type Checksums = HashMap<Of, u64>;

/// The records on disk: one file per object, `<state-dir>/apps/NAME.json` and `<state-dir>/gateways/NAME.json`.
#[derive(Debug)]
pub struct Store {
    state_dir: PathBuf,
    /// Checksums of what is on disk, to save only what has changed. Its lock also keeps two savers apart.
    saved: Mutex<Checksums>,
}

impl Store {
    /// The store in this directory. Nothing is touched: a directory that can't be used shows in the calls below, and each
    /// of them tries again.
    #[must_use]
    pub fn open(state_dir: &Path) -> Self {
        Self { state_dir: state_dir.to_owned(), saved: Mutex::default() }
    }

    /// All records of a kind, by name, and what is wrong with the rest: that is set aside as `NAME.json.corrupt`, never deleted.
    /// Makes the directory (0700), and removes what a killed [`save`](Self::save) left half-written.
    #[must_use]
    pub fn load<T: Kept>(&self) -> (Vec<Record<T>>, Vec<Error>) {
        let directory = self.state_dir.join(T::DIRECTORY);
        let mut saved = self.saved();
        saved.retain(|(kind, _), _| *kind != T::DIRECTORY);
        let names = match make_directory(&directory).and_then(|()| names(&directory)) {
            Ok(names) => names,
            Err(error) => return (Vec::new(), vec![error]),
        };
        let (mut records, mut problems) = (Vec::new(), Vec::new());
        let (leftovers, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| atomic::is_leftover(name));
        for name in leftovers {
            // It stays if it must: the next save of this object overwrites it.
            let _ = fs::remove_file(directory.join(name));
        }
        let files: Vec<_> = names.iter().filter_map(|name| Some((directory.join(name), name.strip_suffix(".json")?))).collect();
        let read = batch::map(&files, |(path, stem)| file::read(path, stem));
        for ((path, _), read) in files.into_iter().zip(read) {
            match read {
                Ok((record, checksum)) => {
                    saved.insert((T::DIRECTORY, record.name.clone()), checksum);
                    records.push(record);
                }
                Err(file::Failed::Io(error)) => problems.push(Error::io("read", &path, error)),
                Err(file::Failed::Corrupt(why)) => {
                    let aside = set_aside(&path);
                    problems.push(Error::Corrupt { path, why, aside });
                }
            }
        }
        (records, problems)
    }

    /// Saves a record, unless it is what was saved last. When this returns, it survives a power cut.
    ///
    /// # Errors
    /// [`Error::Io`]; the record that was there before is untouched then.
    pub fn save<T: Kept>(&self, record: &Record<T>) -> Result<(), Error> {
        let draft = self.draft(record)?;
        self.commit(vec![draft]).pop().unwrap_or(Ok(()))
    }

    /// Begins to save a record: what its file will hold. Nothing is written.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn draft<T: Kept>(&self, record: &Record<T>) -> Result<Draft, Error> {
        let directory = self.state_dir.join(T::DIRECTORY);
        let path = path(&directory, &record.name);
        let failed = |error| Error::io("write", &path, error);
        let encoded = file::encode(record).map_err(failed)?;
        let checksum = encoded.checksum;
        let of = (T::DIRECTORY, record.name.clone());
        let is_there = self.saved().get(&of) == Some(&checksum) && path.exists();
        let text = if is_there { None } else { Some(encoded.text().map_err(failed)?) };
        Ok(Draft { directory, path, of, checksum, text })
    }

    /// Saves what was begun, of one kind and no two of one object, and says of each how that went. When this returns, those that are
    /// saved survive a power cut. All of them wait for the disk together.
    pub fn commit(&self, drafts: Vec<Draft>) -> Vec<Result<(), Error>> {
        let mut saved = self.saved();
        let (mut results, mut begun, mut files): (Vec<_>, Vec<_>, Vec<_>) = Default::default();
        for Draft { directory, path, of, checksum, text } in drafts {
            let Some(text) = text else {
                results.push(Ok(()));
                continue;
            };
            saved.remove(&of);
            // The first makes it for all.
            let made = if files.is_empty() { make_directory(&directory) } else { Ok(()) };
            if made.is_ok() {
                begun.push((results.len(), directory, of, checksum));
                files.push((path, text));
            }
            results.push(made);
        }
        let Some((_, directory, ..)) = begun.first() else { return results };
        let written = atomic::replace_all(directory, &files);
        for ((written, (index, _, of, checksum)), (path, _)) in written.into_iter().zip(begun).zip(files) {
            match written {
                Ok(()) => {
                    saved.insert(of, checksum);
                }
                Err(error) => results[index] = Err(Error::io("write", &path, error)),
            }
        }
        results
    }

    /// Forgets an object. One that is not there is forgotten already.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn remove<T: Kept>(&self, name: &AppName) -> Result<(), Error> {
        let directory = self.state_dir.join(T::DIRECTORY);
        let path = path(&directory, name);
        let mut saved = self.saved();
        saved.remove(&(T::DIRECTORY, name.clone()));
        match atomic::remove(&directory, &path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, error)),
            _ => Ok(()),
        }
    }

    fn saved(&self) -> MutexGuard<'_, Checksums> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(directory: &Path, name: &AppName) -> PathBuf {
    directory.join(format!("{name}.json"))
}

/// Makes a directory and what it is in, so that a power cut leaves both.
fn make_directory(path: &Path) -> Result<(), Error> {
    let missing = path.ancestors().take_while(|path| !path.is_dir()).count();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| Error::io("make", path, error))?;
    for parent in path.ancestors().skip(1).take(missing) {
        // Who may write a directory but not read it can't ask for this, and goes on without.
        let _ = atomic::sync_directory(parent);
    }
    Ok(())
}

/// The names in a directory, in order. One that is not UTF-8 is none of ours.
fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let list = || fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().into_string().ok())).collect::<io::Result<Vec<_>>>();
    let mut names: Vec<_> = list().map_err(|error| Error::io("read", directory, error))?.into_iter().flatten().collect();
    names.sort_unstable();
    Ok(names)
}

/// Moves a file that is no record out of the way, over nothing.
fn set_aside(path: &Path) -> Option<PathBuf> {
    let free = (0..10).map(|n| {
        let mut aside = path.as_os_str().to_owned();
        aside.push(if n == 0 { ".corrupt".to_owned() } else { format!(".corrupt.{n}") });
        PathBuf::from(aside)
    });
    free.filter(|aside| aside.symlink_metadata().is_err()).find(|aside| fs::rename(path, aside).is_ok())
}

#[cfg(test)]
mod tests;
