//! One candidate, decoded -> what stands there in a rule's document root.
//!
//! In: bytes that start with `/`. Out: [`Found`]. Never: a joined path, a name that is hidden, bytes of something that looks like a script.
//!
//! The *name* decides what a file is: with `symlinks: Follow` a link `a.txt -> b.php` is text, because the container says so.

use std::io;

use http::HeaderValue;
use rustix::io::Errno;

use super::{Opened, name};
use crate::backend::Error;
use crate::container::rootfs::{Entry, Kind, View};
use crate::route::{Coding, Codings, Files};

/// What a look-up found.
#[derive(Debug)]
pub enum Found {
    /// A regular file that may be sent.
    File(Opened),
    /// A script: it goes to a backend, never out as bytes.
    Script {
        /// Index in `Files::scripts`.
        script: usize,
        /// The script's part of the path, decoded, beneath the document root, without empty segments: `/ttrss/index.php`.
        name: String,
        /// What follows it, decoded: `/a/b`; empty if nothing does.
        path_info: String,
    },
    /// A directory without its `/` at the end: the client is sent there, see [`super::redirect`].
    Directory,
    /// A directory without an index, which shows what is in it: its path, decoded, beneath the document root. See [`super::list`].
    Listing(Box<[u8]>),
    /// A FIFO, a device or a socket: it is never opened, and nobody answers in its place.
    Special,
    /// Nothing that may be served.
    Nothing,
}

/// A rule's document root.
pub(super) struct Docroot<'a> {
    pub(super) root: View<'a>,
    pub(super) files: &'a Files,
    /// A directory without its `/` redirects.
    pub(super) redirects: bool,
    /// The client takes a sibling in one of these.
    pub(super) codings: Codings,
}

impl Docroot<'_> {
    /// One candidate, decoded. It is walked from the left, because a script ends the path that the file system sees.
    pub(super) fn find(&self, decoded: &[u8]) -> Result<Found, Error> {
        let path = decoded.strip_prefix(b"/").unwrap_or(decoded);
        // A path without empty segments is read where it stands, any other one put together (an allocation).
        let mut together = decoded.windows(2).any(|two| two == b"//").then(|| Vec::with_capacity(path.len()));
        let mut end = 0;
        for segment in path.split_inclusive(|byte| *byte == b'/') {
            let name = segment.strip_suffix(b"/").unwrap_or(segment);
            let (so_far, rest) = path.split_at(end + name.len());
            end += segment.len();
            if name.is_empty() {
                continue;
            }
            if !name::may_be_seen(name, self.files.hidden) {
                return Ok(Found::Nothing);
            }
            let relative = match &mut together {
                None => so_far,
                Some(names) => {
                    push(names, name);
                    &*names
                }
            };
            if let Some(script) = name::script(name, &self.files.scripts) {
                match self.entry(relative)?.map(|entry| entry.kind) {
                    Some(Kind::File) => return Ok(script_found(script, relative, rest)),
                    Some(Kind::Directory) => {}
                    Some(Kind::Socket | Kind::Other) => return Ok(Found::Special),
                    None => return Ok(Found::Nothing),
                }
            }
        }
        let relative = together.as_deref().unwrap_or(path.strip_suffix(b"/").unwrap_or(path));
        if decoded.ends_with(b"/") { self.index(relative) } else { self.plain(relative) }
    }

    /// A candidate without `/` at its end, and no script.
    fn plain(&self, relative: &[u8]) -> Result<Found, Error> {
        let Some(entry) = self.entry(relative)? else { return Ok(Found::Nothing) };
        match entry.kind {
            Kind::File => self.file(&entry, relative),
            Kind::Directory if self.redirects => Ok(Found::Directory),
            Kind::Directory => Ok(Found::Nothing),
            Kind::Socket | Kind::Other => Ok(Found::Special),
        }
    }

    /// The first of the index names that is a regular file of the directory; else the directory, if the rule shows those.
    fn index(&self, directory: &[u8]) -> Result<Found, Error> {
        for name in &self.files.index {
            let mut relative = Vec::with_capacity(directory.len() + 1 + name.len());
            relative.extend_from_slice(directory);
            push(&mut relative, name.as_bytes());
            let Some(entry) = self.entry(&relative)?.filter(|entry| entry.kind == Kind::File) else { continue };
            let found = match name::script(name.as_bytes(), &self.files.scripts) {
                Some(script) => script_found(script, &relative, b""),
                None => self.file(&entry, &relative)?,
            };
            if !matches!(found, Found::Nothing) {
                return Ok(found);
            }
        }
        if self.files.listing && self.entry(directory)?.is_some_and(|entry| entry.kind == Kind::Directory) {
            return Ok(Found::Listing(directory.into()));
        }
        Ok(Found::Nothing)
    }

    fn file(&self, entry: &Entry, relative: &[u8]) -> Result<Found, Error> {
        let name = relative.rsplit(|byte| *byte == b'/').next().unwrap_or(relative);
        if name::resembles_script(name, &self.files.scripts) {
            return Ok(Found::Nothing);
        }
        if let Some(sibling) = self.sibling(entry, relative, name)? {
            return Ok(Found::File(sibling));
        }
        match entry.open().map(|file| Opened::new(file, self.files.media.content_type(name))) {
            Ok(opened) => Ok(Found::File(opened)),
            Err(error) => absent(error).map(|()| Found::Nothing),
        }
    }

    /// The first sibling of a file that may be sent in its place, under the file's own name.
    fn sibling(&self, entry: &Entry, relative: &[u8], name: &[u8]) -> Result<Option<Opened>, Error> {
        for coding in self.codings.iter() {
            let ending = coding.ending().as_bytes();
            // Where `.gz` is a script's extension, a sibling is a script.
            if name::resembles_script(&[name, ending].concat(), &self.files.scripts) {
                continue;
            }
            let Some(sibling) = self.entry(&[relative, ending].concat())?.filter(|sibling| sibling.kind == Kind::File) else { continue };
            match precompressed(entry, &sibling, self.files.media.content_type(name), coding) {
                Ok(Some(opened)) => return Ok(Some(opened)),
                Ok(None) => {}
                Err(error) => absent(error)?,
            }
        }
        Ok(None)
    }

    fn entry(&self, relative: &[u8]) -> Result<Option<Entry>, Error> {
        match self.root.entry_beneath(&self.files.root, relative, self.files.symlinks) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) => absent(error).map(|()| None),
        }
    }
}

fn push(relative: &mut Vec<u8>, name: &[u8]) {
    if !relative.is_empty() {
        relative.push(b'/');
    }
    relative.extend_from_slice(name);
}

/// A sibling, opened. `None`: it is older than its file, so that it is of another content; or it is empty, which no coding is. Tools that
/// copy a file's time to its sibling often keep whole seconds only.
fn precompressed(entry: &Entry, sibling: &Entry, content_type: HeaderValue, coding: Coding) -> io::Result<Option<Opened>> {
    let (file, other) = (entry.facts()?, sibling.facts()?);
    if other.modified < file.modified || other.size == 0 {
        return Ok(None);
    }
    let mut opened = Opened::new(sibling.open()?, content_type);
    opened.coding = Some(coding);
    Ok(Some(opened))
}

/// Parameters of FastCGI are text here: a script or a rest that is not UTF-8 is nothing.
fn script_found(script: usize, relative: &[u8], rest: &[u8]) -> Found {
    match (str::from_utf8(relative), str::from_utf8(rest)) {
        (Ok(name), Ok(rest)) => Found::Script { script, name: format!("/{name}"), path_info: rest.to_owned() },
        _ => Found::Nothing,
    }
}

/// Errors that mean "nothing that may be served" pass; the others are ours to answer for.
pub(super) fn absent(error: io::Error) -> Result<(), Error> {
    match Errno::from_io_error(&error) {
        Some(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::ACCESS
            | Errno::PERM
            | Errno::LOOP
            | Errno::XDEV
            | Errno::NAMETOOLONG
            | Errno::INVAL
            | Errno::NXIO,
        ) => Ok(()),
        // EAGAIN: it is not at hand; if it was looked for elsewhere: renames that never stop, or a lease on the file.
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::INTR) => Err(Error::Local(error)),
        _ => Err(Error::File(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Tree, rule};
    use super::*;
    use crate::api::v1::Hidden;

    #[test]
    fn a_decoded_name_is_never_decoded_or_walked_up_again() {
        let tree = Tree::new(&[("secret", "1"), ("www/a", "22")]);
        let files = Files { hidden: Hidden::Allow, ..rule("/www") };
        let docroot = Docroot { root: tree.root.far(), files: &files, redirects: true, codings: Codings::default() };
        for decoded in [&b"/../secret"[..], b"/./a", b"/.."] {
            assert!(matches!(docroot.find(decoded).unwrap(), Found::Nothing), "{}", decoded.escape_ascii());
        }
    }

    #[test]
    fn a_shortage_of_ours_is_no_answer_about_files() {
        let sorted = |errno: Errno| absent(errno.into());
        assert!(sorted(Errno::NOENT).is_ok() && sorted(Errno::ACCESS).is_ok() && sorted(Errno::LOOP).is_ok());
        assert!(matches!(sorted(Errno::MFILE), Err(Error::Local(_))));
        assert!(matches!(sorted(Errno::IO), Err(Error::File(_))));
    }
}
