//! A body whose length nobody announced -> the same bytes, and their number, so that `CONTENT_LENGTH` can be told.
//!
//! In: a chunked request body. Out: memory up to [`MEMORY`], beyond that a temporary file without a name. Never: a file that outlives the
//! request, blocking I/O on a serving thread.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::backend::{Error, RequestBody};

/// Bytes of one body that stay in memory.
const MEMORY: usize = 1024 * 1024;

/// Bytes that are read back at once.
const CHUNK: usize = 64 * 1024;

/// Tells apart the names that a file may have for a moment.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A body that is all there.
#[derive(Debug)]
pub(super) enum Spooled {
    /// In memory.
    Memory(Bytes),
    /// In a file.
    File(SpoolFile),
}

/// A body in a temporary file, read once from its start.
#[derive(Debug)]
pub(super) struct SpoolFile {
    file: Arc<File>,
    at: u64,
    length: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// Reads a body to its end. Its own limits bound the file.
///
/// # Errors
/// The body's; [`Error::Local`] if there is no room.
pub(super) async fn spool(mut body: RequestBody) -> Result<Spooled, Error> {
    let mut memory = BytesMut::new();
    let mut file = None;
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        // Trailers mean nothing to an application.
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len() as u64;
        if !memory.is_empty() && memory.len() + data.len() > MEMORY {
            file = Some(append(file, memory.split().freeze()).await?);
        }
        memory.extend_from_slice(&data);
    }
    match file {
        None => Ok(Spooled::Memory(memory.freeze())),
        file => {
            let file = append(file, memory.freeze()).await?;
            Ok(Spooled::File(SpoolFile { file: Arc::new(file), at: 0, length, reading: None }))
        }
    }
}

impl Spooled {
    /// The number of bytes.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.length,
        }
    }
}

impl SpoolFile {
    /// The next bytes; `None` at the end.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let left = self.length - self.at;
        if left == 0 {
            return Poll::Ready(None);
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (file, at) = (self.file.clone(), self.at);
            let size = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            spawn_blocking(move || {
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, at)?;
                Ok(bytes.into())
            })
        });
        let result = ready!(Pin::new(reading).poll(cx)).unwrap_or_else(|error| Err(error.into()));
        self.reading = None;
        self.at += result.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Poll::Ready(Some(result.map_err(Error::Local)))
    }
}

/// Appends to the file, which is made first if there is none.
async fn append(file: Option<File>, bytes: Bytes) -> Result<File, Error> {
    let write = move || {
        let mut file = file.map_or_else(nameless_file, Ok)?;
        file.write_all(&bytes)?;
        Ok(file)
    };
    spawn_blocking(write).await.unwrap_or_else(|error| Err(error.into())).map_err(Error::Local)
}

/// A file that goes with its last descriptor, in the first directory that there is.
fn nameless_file() -> io::Result<File> {
    let mut problem = io::ErrorKind::NotFound.into();
    for directory in directories() {
        match nameless_file_in(&directory) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ReadOnlyFilesystem) => problem = error,
            made => return made,
        }
    }
    Err(problem)
}

/// What `TMPDIR` names; else those for temporary files, that for large ones first: `/tmp` is often memory (file-hierarchy(7)).
fn directories() -> Vec<PathBuf> {
    match std::env::var_os("TMPDIR").filter(|named| !named.is_empty()) {
        Some(named) => vec![named.into()],
        None => vec!["/var/tmp".into(), "/tmp".into()],
    }
}

#[allow(clippy::disallowed_methods, reason = "the system's own directories for temporary files, never a container's")]
fn nameless_file_in(directory: &Path) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::open(directory, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
        Ok(fd) => return Ok(fd.into()),
        // Not every file system can (overlayfs before Linux 6.3).
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let path = directory.join(format!(".lxcproxy-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, &path, flags, mode)?;
    rustix::fs::unlink(&path)?;
    Ok(fd.into())
}
