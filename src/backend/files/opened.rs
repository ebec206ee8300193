//! A file that was opened -> what is told about it.
//!
//! In: an open regular file and its media type. Out: size, entity tag, time, media type, all of the same moment. Never: a look at the name again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::conditional::Validators;
use super::{body, field};
use crate::backend::{Error, ResponseBody};
use crate::container::rootfs::{Content, Facts};
use crate::route::Coding;

/// A regular file, opened, with what is told about it.
#[derive(Debug)]
pub struct Opened {
    pub(super) file: Arc<Content>,
    size: u64,
    pub(super) etag: HeaderValue,
    modified: Option<SystemTime>,
    pub(super) content_type: HeaderValue,
    /// What its bytes are in; `None`: as they are.
    pub(super) coding: Option<Coding>,
}

impl Opened {
    pub(super) fn new((file, facts): (Arc<Content>, Facts), content_type: HeaderValue) -> Self {
        let Facts { size, modified: seconds, nanos, inode, .. } = facts;
        // Strong: a change of the content changes its time, another file has another inode.
        let etag = field::value(format_args!("\"{inode:x}-{size:x}-{seconds:x}{nanos:08x}\""));
        // Digits between quotes are a value.
        let etag = etag.unwrap_or(HeaderValue::from_static(""));
        let since_epoch = u64::try_from(seconds).ok().map(Duration::from_secs);
        let modified = since_epoch.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        Self { file, size, etag, modified, content_type, coding: None }
    }

    /// Its size in bytes when it was opened.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The same, of another media type than its name says.
    #[must_use]
    pub fn of_type(self, content_type: HeaderValue) -> Self {
        Self { content_type, ..self }
    }

    /// All of it, as the body of an answer.
    ///
    /// # Errors
    /// [`Error::File`] if it is small and can't be read.
    pub fn into_body(self) -> Result<ResponseBody, Error> {
        body::body(self.file, 0, self.size)
    }

    /// What clients compare. A time in the future, or before 1970, is none (RFC 9110 section 8.8.2.1).
    pub(super) fn validators(&self, now: SystemTime) -> Validators<'_> {
        Validators { etag: self.etag.as_bytes(), modified: self.modified.filter(|modified| *modified <= now) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Tree;
    use super::*;

    fn opened(tree: &Tree, name: &str) -> Opened {
        let entry = tree.root.far().entry(&format!("/{name}").parse().unwrap()).unwrap();
        Opened::new(entry.open().unwrap(), HeaderValue::from_static("text/plain"))
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_tag_changes_with_time_size_and_file_and_with_nothing_else() {
        let tree = Tree::new(&[("a", "1"), ("b", "1"), ("c", "22")]);
        for name in ["a", "b", "c"] {
            tree.open(name).set_modified(at(1_000)).unwrap();
        }
        let first = opened(&tree, "a").etag;
        let text = first.to_str().unwrap();
        assert!(text.starts_with('"') && text.ends_with('"') && text.len() > 2);
        assert_eq!(opened(&tree, "a").etag, first);
        assert_ne!(opened(&tree, "b").etag, first);
        tree.open("a").set_modified(at(1_000) + Duration::from_nanos(1)).unwrap();
        assert_ne!(opened(&tree, "a").etag, first);
        tree.write("a", b"22");
        tree.open("a").set_modified(at(1_000)).unwrap();
        assert_ne!(opened(&tree, "a").etag, first);
        tree.write("a", b"2");
        tree.open("a").set_modified(at(1_000)).unwrap();
        assert_eq!(opened(&tree, "a").etag, first, "size, time and inode are all that there is");
    }

    #[test]
    fn a_time_that_can_not_be_is_not_told() {
        let tree = Tree::new(&[("a", "")]);
        for (time, told) in [
            (at(1_000), Some(at(1_000))),
            (at(1_000) + Duration::from_millis(999), Some(at(1_000))),
            (SystemTime::UNIX_EPOCH - Duration::from_secs(5), None),
            (at(3_000), None),
            (at(253_402_300_800), None),
        ] {
            tree.open("a").set_modified(time).unwrap();
            assert_eq!(opened(&tree, "a").validators(at(2_000)).modified, told, "{time:?}");
        }
    }
}
