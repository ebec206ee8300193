//! PATH arguments -> the manifest files that they stand for.
//!
//! In: files, directories, `-` for standard input. Out: [`Input`]. Never: a file of a directory that a daemon would not read; more of a file
//! than a manifest may have.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::render;
use crate::source;

/// What standard input is called in messages.
pub(super) const STDIN: &str = "<stdin>";

/// A file that was named, or is in a directory that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// As it is called in messages.
    pub file: String,
    pub text: Arc<[u8]>,
    /// Which of the arguments it belongs to.
    pub argument: usize,
}

/// Something that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    pub file: String,
    /// Why, as the end of a sentence.
    pub why: String,
}

/// All that the arguments stand for.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub manifests: Vec<Manifest>,
    pub unread: Vec<Unread>,
    /// One of them is a directory.
    pub directory: bool,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", render::plain(&self.file), self.why)
    }
}

impl Input {
    /// Reads all of it.
    pub(super) fn read(paths: &[PathBuf]) -> Self {
        let mut input = Self::default();
        for (argument, path) in paths.iter().enumerate() {
            input.add(path, argument);
        }
        input
    }

    #[allow(clippy::disallowed_methods, reason = "a path that the user named, on the user's own rights")]
    fn add(&mut self, path: &Path, argument: usize) {
        let read = if path == Path::new("-") {
            bounded(io::stdin().lock()).map(|text| (STDIN.to_owned(), text))
        } else if path.is_dir() {
            return self.add_directory(path, argument);
        } else {
            File::open(path).and_then(bounded).map(|text| (path.display().to_string(), text))
        };
        match read {
            Ok((file, text)) => self.manifests.push(Manifest { file, text: text.into(), argument }),
            Err(error) => self.cannot(path, error.to_string()),
        }
    }

    fn add_directory(&mut self, path: &Path, argument: usize) {
        self.directory = true;
        let listing = source::list(path);
        for content in listing.files.values() {
            match &content.bytes {
                Ok(text) => {
                    self.manifests.push(Manifest { file: content.path.display().to_string(), text: Arc::clone(text), argument });
                }
                Err(why) => self.cannot(&content.path, why.clone()),
            }
        }
        for (directory, why) in &listing.unread {
            self.cannot(&path.join(directory), why.clone());
        }
        if let Some(problem) = &listing.problem {
            self.cannot(path, problem.to_string());
        } else if listing.files.is_empty() && listing.unread.is_empty() {
            self.cannot(path, "holds no manifest (*.yaml, *.yml, *.json)".to_owned());
        }
    }

    fn cannot(&mut self, path: &Path, why: String) {
        self.unread.push(Unread { file: path.display().to_string(), why });
    }
}

/// All that a manifest may have, and a byte more: enough to know that it is too long.
fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.take(source::MAX_FILE + 1).read_to_end(&mut text)?;
    Ok(text)
}
