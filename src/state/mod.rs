//! What has to outlive a restart: each App's identity and its last good manifest.
//!
//! In: [`Record`]s. Out: the same records after a restart, whatever happened in between. Never: a record older than the last one
//! that was saved; a crash over what is found on disk. All calls block: an async caller wraps them in `spawn_blocking`.

#![allow(clippy::disallowed_methods, reason = "files of the host, by path, are what this room is for")]

mod atomic;
mod file;
mod uid;

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub use uid::new_uid;

use crate::api::v1::{App, AppSpec};
use crate::names::AppName;

/// What is remembered of an App.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// `metadata.name`; also the name of the file.
    pub name: AppName,
    /// Stays with the App for its life.
    pub uid: String,
    /// When it was first seen, in nanoseconds since the epoch: decides which of two Apps is the older.
    pub first_seen: u64,
    /// The manifest's file, relative to the manifest directory.
    pub file: String,
    /// Of the newest valid manifest; rises when its defaulted spec changes.
    pub generation: u64,
    /// The spec of `generation`, while that is not the one of `good`: it is what the next change is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<AppSpec>,
    /// What was served last; none if nothing ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<Good>,
}

/// A manifest that was served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Good {
    /// Its generation.
    pub generation: u64,
    /// The directory that a relative `rootfs` starts from.
    pub base: PathBuf,
    /// The manifest, defaults filled in.
    pub app: App,
}

impl Record {
    /// The spec of the newest valid manifest, which may not be served yet.
    #[must_use]
    pub fn spec(&self) -> Option<&AppSpec> {
        self.newer.as_ref().or(self.good.as_ref().map(|good| &good.app.spec))
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

/// The records on disk: one file per App, `<state-dir>/apps/NAME.json`.
#[derive(Debug)]
pub struct Store {
    apps: PathBuf,
    /// Checksums of what is on disk, to save only what has changed. Its lock also keeps two savers apart.
    saved: Mutex<HashMap<AppName, u64>>,
}

impl Store {
    /// The store in this directory. Nothing is touched: a directory that can't be used shows in the calls below, and each
    /// of them tries again.
    #[must_use]
    pub fn open(state_dir: &Path) -> Self {
        Self { apps: state_dir.join("apps"), saved: Mutex::default() }
    }

    /// All records, by name, and what is wrong with the rest: that is set aside as `NAME.json.corrupt`, never deleted.
    /// Makes the directory (0700), and removes what a killed [`save`](Self::save) left half-written.
    #[must_use]
    pub fn load(&self) -> (Vec<Record>, Vec<Error>) {
        let mut saved = self.saved();
        saved.clear();
        let names = match self.make_directory().and_then(|()| self.names()) {
            Ok(names) => names,
            Err(error) => return (Vec::new(), vec![error]),
        };
        let (mut records, mut problems) = (Vec::new(), Vec::new());
        for name in names {
            let path = self.apps.join(&name);
            if atomic::is_leftover(&name) {
                // It stays if it must: the next save of this App overwrites it.
                let _ = fs::remove_file(&path);
            } else if let Some(stem) = name.strip_suffix(".json") {
                match file::read(&path, stem) {
                    Ok((record, checksum)) => {
                        saved.insert(record.name.clone(), checksum);
                        records.push(record);
                    }
                    Err(file::Failed::Io(error)) => problems.push(Error::io("read", &path, error)),
                    Err(file::Failed::Corrupt(why)) => {
                        let aside = set_aside(&path);
                        problems.push(Error::Corrupt { path, why, aside });
                    }
                }
            }
        }
        (records, problems)
    }

    /// Saves a record, unless it is what was saved last. When this returns, it survives a power cut.
    ///
    /// # Errors
    /// [`Error::Io`]; the record that was there before is untouched then.
    pub fn save(&self, record: &Record) -> Result<(), Error> {
        let path = self.path(&record.name);
        let (text, checksum) = file::encode(record).map_err(|error| Error::io("write", &path, error))?;
        let mut saved = self.saved();
        if saved.get(&record.name) == Some(&checksum) && path.exists() {
            return Ok(());
        }
        saved.remove(&record.name);
        self.make_directory()?;
        atomic::replace(&self.apps, &path, text.as_bytes()).map_err(|error| Error::io("write", &path, error))?;
        saved.insert(record.name.clone(), checksum);
        Ok(())
    }

    /// Forgets an App. One that is not there is forgotten already.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn remove(&self, name: &AppName) -> Result<(), Error> {
        let path = self.path(name);
        let mut saved = self.saved();
        saved.remove(name);
        match fs::remove_file(&path).and_then(|()| atomic::sync_directory(&self.apps)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, error)),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &AppName) -> PathBuf {
        self.apps.join(format!("{name}.json"))
    }

    fn saved(&self) -> MutexGuard<'_, HashMap<AppName, u64>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_directory(&self) -> Result<(), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.apps);
        made.map_err(|error| Error::io("make", &self.apps, error))
    }

    /// The names in the directory, in order. One that is not UTF-8 is none of ours.
    fn names(&self) -> Result<Vec<String>, Error> {
        let list = || fs::read_dir(&self.apps)?.map(|entry| Ok(entry?.file_name().into_string().ok())).collect::<io::Result<Vec<_>>>();
        let mut names: Vec<_> = list().map_err(|error| Error::io("read", &self.apps, error))?.into_iter().flatten().collect();
        names.sort_unstable();
        Ok(names)
    }
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
