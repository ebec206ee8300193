//! A file, or a range of it -> frames.
//!
//! In: an open regular file, a first byte, a length; stand-ins, if the connection has them. Out: exactly so many bytes, or an error. Never:
//! a read that blocks the thread; more than was announced, though the file grows; a silent end, though it shrinks.

use std::borrow::Borrow;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::stand_in::{self, StandIns};
use crate::backend::{Error, ResponseBody};
use crate::container::rootfs::Content;

/// Up to this length a body is one frame, read at once if the page cache has it.
const SMALL: u64 = 64 << 10;

/// The longest frame of a body. What fits into one is read: here that is faster than to have the kernel send it (at 100 KB 26.6 us and
/// 27.9), and slower for what is longer (at 256 KB 61 us and 46, at 1 MB 310 us and 114).
const CHUNK: u64 = 128 << 10;

/// How far it is from one byte that the page cache is asked for to the next.
const NEIGHBOURS: usize = 256 << 10;

/// How long a file system that may hang has for a frame.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body of an answer: `length` bytes from `first`.
///
/// # Errors
/// [`Error::File`] if a small file can't be read: nothing has been sent yet.
pub(super) fn body(file: impl Into<Arc<Content>> + Borrow<Content>, first: u64, length: u64) -> Result<ResponseBody, Error> {
    if length == 0 {
        return Ok(ResponseBody::Empty);
    }
    // Where a read may hang, only its lane is asked.
    let mut cached_reads = file.borrow().lane().is_none();
    if length <= SMALL && cached_reads {
        // Before the file is shared with reads elsewhere: a small one seldom has any (an allocation).
        match read_cached(file.borrow(), first, portion(length)).map_err(Error::File)? {
            Cached::Bytes(bytes) if bytes.len() as u64 == length => return Ok(ResponseBody::Full(bytes)),
            Cached::Bytes(_) | Cached::Nothing => {}
            Cached::Unknown => cached_reads = false,
        }
    }
    Ok(ResponseBody::File(FileBody { cached_reads, ..FileBody::new(file, first, length) }))
}

/// What the page cache has.
enum Cached {
    /// These bytes, if not all.
    Bytes(Bytes),
    /// None of them.
    Nothing,
    /// The file system can't tell.
    Unknown,
}

/// A read under way.
type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>>>>;

/// A file's bytes, or a range of them; never more than was announced.
pub struct FileBody {
    file: Arc<Content>,
    offset: u64,
    left: u64,
    /// The file system can tell whether a read would block.
    cached_reads: bool,
    /// A read on another thread; at most one for each body.
    reading: Option<Reading>,
    /// The connection's, and whether this body has used them.
    stand_ins: Option<(StandIns, bool)>,
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBody").field("file", &self.file).field("offset", &self.offset).field("left", &self.left).finish_non_exhaustive()
    }
}

impl FileBody {
    fn new(file: impl Into<Arc<Content>>, offset: u64, left: u64) -> Self {
        let file = file.into();
        // Where a read may hang, only its lane is asked.
        let cached_reads = file.lane().is_none();
        Self { file, offset, left, cached_reads, reading: None, stand_ins: None }
    }

    /// From here on frames of a long body may be stand-ins: only for who writes them by the same `stand_ins`, in the order in which they come.
    pub(in crate::backend) fn stand_in(&mut self, stand_ins: &StandIns) {
        if self.left > CHUNK {
            self.stand_ins = Some((stand_ins.clone(), false));
        }
    }

    /// What stands for the next bytes, if the page cache has them. It may lose them again before a slow client takes them: then the
    /// thread waits for the disk, as any server does that sends files so.
    fn next_stand_in(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(stand_in::LONGEST);
        let is_cached = |at| preadv2(&*self.file, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT) == Ok(1);
        let (stand_ins, used) = self.stand_ins.as_mut().filter(|_| self.cached_reads)?;
        // Neighbours come and go together, mostly.
        if !(0..length).step_by(NEIGHBOURS).chain([length - 1]).all(|at| is_cached(self.offset + at as u64)) {
            return None;
        }
        // hyper begins an answer when all of the one before is written.
        if !std::mem::replace(used, true) {
            stand_ins.forget();
        }
        Some(stand_ins.stand_in(&self.file, self.offset, length))
    }

    /// The next bytes, or what stands for them, if the page cache has them.
    fn next_at_hand(&mut self) -> Option<io::Result<Bytes>> {
        self.next_stand_in().map(Ok).or_else(|| self.read_cached().transpose())
    }

    /// What the page cache has of the next bytes; `None`: it has none, or can't tell.
    fn read_cached(&mut self) -> io::Result<Option<Bytes>> {
        if !self.cached_reads {
            return Ok(None);
        }
        Ok(match read_cached(&self.file, self.offset, portion(self.left))? {
            Cached::Bytes(bytes) => Some(bytes),
            Cached::Nothing => None,
            Cached::Unknown => {
                self.cached_reads = false;
                None
            }
        })
    }

    /// The next bytes, from the disk if need be.
    fn read_elsewhere(&self) -> Reading {
        let (file, offset, length) = (self.file.clone(), self.offset, portion(self.left));
        let read = move || {
            let mut buffer = vec![0; length];
            let length = loop {
                match file.read_at(&mut buffer, offset) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result?,
                }
            };
            buffer.truncate(length);
            Ok(buffer.into())
        };
        if let Some(lane) = self.file.lane().cloned() {
            return Box::pin(async move { lane.run(PATIENCE, read).await });
        }
        let reading = tokio::task::spawn_blocking(read);
        Box::pin(async { reading.await.unwrap_or_else(|error| Err(io::Error::other(error))) })
    }

    /// Accounts for what was read. An end before the announced one closes the connection, instead of a client that waits.
    fn account(&mut self, read: io::Result<Bytes>) -> Result<Frame<Bytes>, Error> {
        match read {
            Ok(bytes) if !bytes.is_empty() => {
                self.offset += bytes.len() as u64;
                self.left -= bytes.len() as u64;
                Ok(Frame::data(bytes))
            }
            broken => {
                self.left = 0;
                Err(Error::File(broken.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())))
            }
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let mut reading = match this.reading.take() {
            Some(reading) => reading,
            None => match this.next_at_hand() {
                Some(read) => return Poll::Ready(Some(this.account(read))),
                None => this.read_elsewhere(),
            },
        };
        let Poll::Ready(read) = reading.as_mut().poll(cx) else {
            this.reading = Some(reading);
            return Poll::Pending;
        };
        Poll::Ready(Some(this.account(read)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What is read at once of so many bytes.
fn portion(left: u64) -> usize {
    usize::try_from(left.min(CHUNK)).unwrap_or(usize::MAX)
}

fn read_cached(file: &Content, offset: u64, length: usize) -> io::Result<Cached> {
    let mut buffer = vec![0; length];
    match preadv2(file, &mut [IoSliceMut::new(&mut buffer)], offset, ReadWriteFlags::NOWAIT) {
        // Some kernels (5.9, 5.10) say 0 for what is not cached: the blocking read knows whether it is the end.
        Ok(0) | Err(Errno::AGAIN | Errno::INTR) => Ok(Cached::Nothing),
        Ok(length) => {
            buffer.truncate(length);
            Ok(Cached::Bytes(buffer.into()))
        }
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(Cached::Unknown),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use http_body_util::BodyExt;

    use super::super::fixture::Tree;
    use super::*;

    const LONG: usize = 300_000;

    fn content() -> Vec<u8> {
        (0..LONG).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn collect(body: impl Body<Data = Bytes, Error = Error> + Unpin) -> Result<Vec<u8>, Error> {
        run(async { Ok(body.collect().await?.to_bytes().to_vec()) })
    }

    fn stream(tree: &Tree, cached_reads: bool) -> FileBody {
        FileBody { cached_reads, ..FileBody::new(Content::from(tree.open("a")), 0, LONG as u64) }
    }

    #[test]
    fn a_body_has_exactly_the_bytes_that_were_asked_for() {
        let tree = Tree::new(&[]);
        tree.write("a", &content());
        for (first, length) in [(0, 0), (0, 1), (5, 1000), (0, LONG), (LONG - 1, 1), (1, LONG - 1), (100_000, 150_000)] {
            let body = body(Content::from(tree.open("a")), first as u64, length as u64).unwrap();
            assert_eq!(body.size_hint().exact(), Some(length as u64));
            assert_eq!(body.is_end_stream(), length == 0);
            assert!(collect(body).unwrap() == content()[first..first + length], "{length} from {first}");
        }
    }

    #[test]
    fn a_file_system_that_can_not_tell_what_is_cached_gives_the_same_bytes() {
        let tree = Tree::new(&[]);
        tree.write("a", &content());
        assert!(collect(stream(&tree, false)).unwrap() == content());
        assert!(collect(stream(&tree, true)).unwrap() == content());
    }

    #[test]
    fn a_file_that_shrinks_breaks_off_instead_of_hanging() {
        for cached_reads in [true, false] {
            let tree = Tree::new(&[]);
            tree.write("a", &content());
            run(async {
                let mut body = stream(&tree, cached_reads);
                let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
                tree.open("a").set_len(first.len() as u64 / 2).unwrap();
                let error = body.frame().await.unwrap().unwrap_err();
                assert!(matches!(&error, Error::File(source) if source.kind() == io::ErrorKind::UnexpectedEof), "{error:?}");
                assert!(body.is_end_stream() && body.frame().await.is_none());
            });
        }
    }

    #[test]
    fn a_file_that_grows_sends_what_was_announced() {
        let tree = Tree::new(&[("a", "short")]);
        let body = FileBody { left: 5, ..stream(&tree, false) };
        tree.write("a", b"short and longer");
        assert_eq!(collect(body).unwrap(), b"short");
    }

    #[test]
    fn a_body_that_is_dropped_while_it_reads_leaves_nothing_behind() {
        let tree = Tree::new(&[]);
        tree.write("a", &content());
        // The only thread for reads is busy: this one is not over before it is looked at.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (go, busy) = std::sync::mpsc::channel::<()>();
            let _busy = tokio::task::spawn_blocking(move || busy.recv());
            let mut body = stream(&tree, false);
            let pending = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending())).await;
            assert!(pending && body.size_hint().exact() == Some(LONG as u64));
            let file = Arc::downgrade(&body.file);
            drop(body);
            drop(go);
            let deadline = Instant::now() + Duration::from_secs(20);
            while file.strong_count() > 0 {
                assert!(Instant::now() < deadline, "the file is still open");
                tokio::task::yield_now().await;
            }
        });
    }
}
