//! The body of a request, once more: for a backend that gets a copy.
//!
//! In: data as the first backend takes it from the client. Out: the same, to another backend of this thread, as far as that keeps up.
//! Never: a wait of the first for the second; more than [`HELD`] bytes in hand.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

/// Bytes that a copy may be behind. They are copied: a piece of the client's buffer would keep all of it.
const HELD: usize = 256 * 1024;

/// Where a body is copied to. Dropped before its end it breaks the copy off.
#[derive(Debug)]
pub(super) struct Tee(Rc<Pipe>);

/// All copies of one body. They are boxed: few bodies have any.
#[derive(Debug, Default)]
pub(super) struct Copies(Vec<Tee>);

/// The copy, on its way to a backend.
#[derive(Debug)]
pub(super) struct Copied {
    pipe: Rc<Pipe>,
    /// Its length in bytes, if it is known.
    pub(super) length: Option<u64>,
}

/// What became of a copy.
#[derive(Debug, Default)]
pub struct Fate(Option<Rc<Pipe>>);

#[derive(Debug, Default)]
struct Pipe {
    state: Cell<State>,
    held: RefCell<BytesMut>,
    reader: RefCell<Option<Waker>>,
    /// Who waits for its fate.
    watcher: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// All of it is there.
    Whole,
    /// The reader was too slow.
    Behind,
    /// The body itself broke off, or nobody reads the copy any more.
    BrokenOff,
}

/// A body of this length, to be written and to be read.
pub(super) fn pipe(length: Option<u64>) -> (Tee, Copied) {
    let pipe = Rc::<Pipe>::default();
    (Tee(pipe.clone()), Copied { pipe, length })
}

impl Copies {
    /// One more.
    pub(super) fn add(&mut self, tee: Tee) {
        self.0.push(tee);
    }

    /// Copies the next piece.
    pub(super) fn push(&self, data: &[u8]) {
        self.0.iter().for_each(|tee| tee.push(data));
    }

    /// That was all.
    pub(super) fn finish(&self) {
        self.0.iter().for_each(Tee::finish);
    }
}

impl Tee {
    fn push(&self, data: &[u8]) {
        if self.0.state.get() != State::Open {
            return;
        }
        let mut held = self.0.held.borrow_mut();
        if held.len() + data.len() > HELD {
            *held = BytesMut::new();
            self.0.end(State::Behind);
        } else {
            held.extend_from_slice(data);
            self.0.wake();
        }
    }

    fn finish(&self) {
        self.0.end(State::Whole);
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.0.end(State::BrokenOff);
    }
}

impl Copied {
    /// The next bytes; none: that was all. An error: the copy is not whole, and never will be.
    pub(super) fn poll_data(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, std::io::Error>>> {
        let bytes = self.pipe.held.borrow_mut().split().freeze();
        if !bytes.is_empty() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        match self.pipe.state.get() {
            State::Open => {
                self.pipe.reader.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
            State::Whole => Poll::Ready(None),
            State::Behind | State::BrokenOff => Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into()))),
        }
    }

    /// Whether there is nothing more to come.
    pub(super) fn is_over(&self) -> bool {
        self.length == Some(0) || (self.pipe.state.get() == State::Whole && self.pipe.held.borrow().is_empty())
    }

    /// What becomes of it, to be asked later.
    pub(super) fn fate(&self) -> Fate {
        Fate(Some(self.pipe.clone()))
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.pipe.held.replace(BytesMut::new());
        self.pipe.end(State::BrokenOff);
    }
}

impl Fate {
    /// Its backend took it too slowly.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.0.as_ref().is_some_and(|pipe| pipe.state.get() == State::Behind)
    }

    /// Waits until it is clear that the backend will not get all of it. It may sit there with full buffers, and never ask for more.
    pub async fn lost(&self) {
        poll_fn(|cx| match &self.0 {
            Some(_) if self.is_behind() || self.is_broken_off() => Poll::Ready(()),
            Some(pipe) => {
                pipe.watcher.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
            None => Poll::Pending,
        })
        .await;
    }

    /// The body itself broke off: no fault of its backend.
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        self.0.as_ref().is_some_and(|pipe| pipe.state.get() == State::BrokenOff)
    }
}

impl Pipe {
    /// The first end counts.
    fn end(&self, state: State) {
        if self.state.get() == State::Open {
            self.state.set(state);
            self.wake();
            if let Some(watcher) = self.watcher.take() {
                watcher.wake();
            }
        }
    }

    fn wake(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(copied: &Copied) -> Poll<Option<Result<Bytes, std::io::Error>>> {
        copied.poll_data(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_copy_that_keeps_up_is_whole() {
        let (tee, copied) = pipe(Some(4));
        let fate = copied.fate();
        assert!(read(&copied).is_pending());
        tee.push(b"ab");
        tee.push(b"cd");
        tee.finish();
        drop(tee);
        assert!(!copied.is_over());
        assert!(matches!(read(&copied), Poll::Ready(Some(Ok(bytes))) if bytes == "abcd"));
        assert!(matches!(read(&copied), Poll::Ready(None)) && copied.is_over());
        drop(copied);
        assert!(!fate.is_behind() && !fate.is_broken_off());
    }

    #[test]
    fn a_copy_that_falls_behind_is_broken_off_and_holds_nothing() {
        let (tee, copied) = pipe(None);
        for _ in 0..HELD / 1024 {
            tee.push(&[0; 1024]);
        }
        assert!(!copied.fate().is_behind());
        tee.push(b"x");
        tee.finish();
        assert!(copied.fate().is_behind() && !copied.fate().is_broken_off());
        assert!(matches!(read(&copied), Poll::Ready(Some(Err(_)))));
    }

    #[test]
    fn a_body_that_breaks_off_breaks_its_copy_off() {
        let (tee, copied) = pipe(Some(4));
        tee.push(b"ab");
        drop(tee);
        assert!(matches!(read(&copied), Poll::Ready(Some(Ok(_)))));
        assert!(matches!(read(&copied), Poll::Ready(Some(Err(_)))) && copied.fate().is_broken_off());
    }

    #[test]
    fn what_nobody_reads_any_more_is_not_held() {
        let (tee, copied) = pipe(None);
        let fate = copied.fate();
        tee.push(b"ab");
        drop(copied);
        tee.push(b"cd");
        assert!(tee.0.held.borrow().is_empty() && fate.is_broken_off());
    }
}
