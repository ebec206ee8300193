//! An open file -> its bytes, and where they may be read.
//!
//! In: a regular file that was opened inside a root. Out: a file; the lane that it is read on, if that may hang. Never: a close of such a
//! file on a thread that may not wait (FUSE asks its program about each).

use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};

use crate::container::lane::Lane;

/// A regular file of a container, opened for reading.
#[derive(Debug)]
pub struct Content {
    /// `None` only while it is dropped.
    file: Option<File>,
    lane: Option<Lane>,
}

impl Content {
    pub(super) fn new(file: File, lane: Option<Lane>) -> Self {
        Self { file: Some(file), lane }
    }

    /// Where it is read and asked about; `None`: it is on a disk of this machine, and any pool does.
    #[must_use]
    pub fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }
}

impl From<File> for Content {
    /// A file of our own.
    fn from(file: File) -> Self {
        Self::new(file, None)
    }
}

impl Deref for Content {
    type Target = File;

    fn deref(&self) -> &File {
        match &self.file {
            Some(file) => file,
            None => unreachable!("it is taken in `drop` only"),
        }
    }
}

impl AsFd for Content {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (**self).as_fd()
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let (Some(lane), Some(file)) = (&self.lane, self.file.take()) {
            lane.spare(move || drop(file));
        }
    }
}
