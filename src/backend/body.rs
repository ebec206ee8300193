//! Bodies, both ways: concrete types, so that no frame costs an allocation or a virtual call.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::copy::{Copied, Copies, Fate, pipe};
use super::replay::Reading;
use super::{EncodedBody, Error, Phase, fastcgi, files, http};
use crate::route::Coding;

/// The body of a request, on its way to a backend: counted, and with a limit on silence.
#[derive(Debug)]
pub struct RequestBody {
    inner: Option<Source>,
    left: Option<u64>,
    limit: u64,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    counter: Option<Rc<Cell<u64>>>,
    copies: Option<Box<Copies>>,
}

/// Where a body comes from.
#[derive(Debug)]
enum Source {
    /// The client.
    Client(Incoming),
    /// What another body has passed on.
    Copy(Box<Copied>),
    /// What is kept of it, then the client: limits and counter are those of the body behind.
    Kept(Reading),
}

impl RequestBody {
    /// A body with a limit in bytes (`None`: none) and a limit on the client's silence (`Duration::MAX`: none).
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`] if its announced length is over the limit.
    pub fn new(inner: Incoming, limit: Option<u64>, idle: Duration) -> Result<Self, Error> {
        match (limit, inner.size_hint().lower()) {
            (Some(limit), announced) if announced > limit => Err(Error::BodyTooLarge(limit)),
            _ => {
                let inner = Some(Source::Client(inner));
                Ok(Self { inner, left: limit, limit: limit.unwrap_or(u64::MAX), idle, ..Self::empty() })
            }
        }
    }

    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self { inner: None, left: None, limit: u64::MAX, idle: Duration::ZERO, timer: None, counter: None, copies: None }
    }

    /// One that was kept.
    pub(super) fn again(reading: Reading) -> Self {
        Self { limit: reading.limit(), inner: Some(Source::Kept(reading)), ..Self::empty() }
    }

    /// The same, with its bytes added to `counter` as they come.
    #[must_use]
    pub fn counted(self, counter: Rc<Cell<u64>>) -> Self {
        Self { counter: Some(counter), ..self }
    }

    /// The same body once more, for another backend of this thread; it never holds this one up. To be called before the first byte.
    #[must_use]
    pub fn copied(&mut self) -> (Self, Fate) {
        let length = self.length();
        if length == Some(0) {
            return (Self::empty(), Fate::default());
        }
        let (tee, copied) = pipe(length);
        self.copies.get_or_insert_default().add(tee);
        let fate = copied.fate();
        (Self { inner: Some(Source::Copy(Box::new(copied))), idle: self.idle, ..Self::empty() }, fate)
    }

    /// Its length in bytes, if the client announced one; `Some(0)` for none.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.inner.as_ref().map_or(Some(0), |inner| inner.size_hint().exact())
    }

    /// The limit in bytes; `u64::MAX`: none.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle = self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        timer.as_mut().poll(cx)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let inner = match &mut this.inner {
            None => return Poll::Ready(None),
            Some(Source::Kept(reading)) => return reading.poll_frame(cx),
            Some(inner) => inner,
        };
        let Poll::Ready(frame) = inner.poll_frame(cx) else {
            ready!(this.poll_idle(cx));
            return Poll::Ready(Some(Err(Error::Timeout(Phase::Client))));
        };
        this.timer = None;
        let Some(frame) = frame.transpose()?.filter(Frame::is_data) else {
            // Trailers are dropped unless they are allowed, and no rule allows them yet.
            if let Some(copies) = &this.copies {
                copies.finish();
            }
            return Poll::Ready(None);
        };
        if let (Some(counter), Some(data)) = (&this.counter, frame.data_ref()) {
            counter.set(counter.get() + data.len() as u64);
        }
        if let (Some(left), Some(data)) = (&mut this.left, frame.data_ref()) {
            *left = left.checked_sub(data.len() as u64).ok_or(Error::BodyTooLarge(this.limit))?;
        }
        if let (Some(copies), Some(data)) = (&this.copies, frame.data_ref()) {
            copies.push(data);
            // Nobody may ask for another piece after the last.
            if this.is_end_stream() {
                copies.finish();
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Source::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Source::size_hint)
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self {
            Self::Client(body) => Pin::new(body).poll_frame(cx).map_err(Error::Downstream),
            Self::Copy(copy) => copy.poll_data(cx).map_ok(Frame::data).map_err(Error::Local),
            Self::Kept(reading) => reading.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Client(body) => body.is_end_stream(),
            Self::Copy(copy) => copy.is_over(),
            Self::Kept(reading) => reading.is_over(),
        }
    }

    /// hyper counts a body of known length down as it is read.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Client(body) => body.size_hint(),
            Self::Copy(copy) => copy.length.map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::Kept(reading) => reading.length().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// The body of an answer.
#[derive(Debug, Default)]
pub enum ResponseBody {
    /// None.
    #[default]
    Empty,
    /// A few bytes that are there.
    Full(Bytes),
    /// From a file.
    File(files::FileBody),
    /// Several ranges of a file.
    Multipart(Box<files::MultipartBody>),
    /// From an HTTP backend.
    Http(http::UpstreamBody),
    /// From a FastCGI backend.
    Fastcgi(Box<fastcgi::StdoutBody>),
    /// Any of these, up to a deadline.
    Until(Box<Until>),
    /// Any of these, in a content coding.
    Encoded(Box<EncodedBody>),
}

/// A body that breaks off at a deadline.
#[derive(Debug)]
pub struct Until {
    body: ResponseBody,
    deadline: Pin<Box<Sleep>>,
}

impl ResponseBody {
    /// The same, broken off at a deadline unless it is whole already.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        match self {
            Self::Empty | Self::Full(_) => self,
            body => Self::Until(Box::new(Until { body, deadline: Box::pin(tokio::time::sleep_until(deadline)) })),
        }
    }

    /// Lets a file's bytes be stood in for, if nothing looks at them on their way: only for who writes frames by the same `stand_ins`.
    pub fn stand_in(&mut self, stand_ins: &files::StandIns) {
        match self {
            Self::File(body) => body.stand_in(stand_ins),
            Self::Until(until) => until.body.stand_in(stand_ins),
            Self::Empty | Self::Full(_) | Self::Http(_) | Self::Fastcgi(_) | Self::Encoded(_) | Self::Multipart(_) => {}
        }
    }

    /// The backend's connection, if this stands for one: the answer is a 101.
    pub fn switched(&mut self) -> Option<http::Switched> {
        if let Self::Http(body) = self { body.take_switched() } else { None }
    }

    /// The same in a content coding. `length`: how long it is in bytes, if that is known.
    ///
    /// # Errors
    /// The body as it was, if there is no memory for the coding.
    pub fn encoded(self, coding: Coding, length: Option<u64>) -> Result<Self, Self> {
        EncodedBody::new(self, coding, length).map(|body| Self::Encoded(Box::new(body)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::File(body) => Pin::new(body).poll_frame(cx),
            Self::Multipart(body) => Pin::new(body.as_mut()).poll_frame(cx),
            Self::Http(body) => Pin::new(body).poll_frame(cx),
            Self::Fastcgi(body) => Pin::new(body.as_mut()).poll_frame(cx),
            Self::Until(until) => match until.deadline.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Error::Timeout(Phase::Request)))),
                Poll::Pending => Pin::new(&mut until.body).poll_frame(cx),
            },
            Self::Encoded(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::File(body) => body.is_end_stream(),
            Self::Multipart(body) => body.is_end_stream(),
            Self::Http(body) => body.is_end_stream(),
            Self::Fastcgi(body) => body.is_end_stream(),
            Self::Until(until) => until.body.is_end_stream(),
            Self::Encoded(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File(body) => body.size_hint(),
            Self::Multipart(body) => body.size_hint(),
            Self::Http(body) => body.size_hint(),
            Self::Fastcgi(body) => body.size_hint(),
            Self::Until(until) => until.body.size_hint(),
            Self::Encoded(body) => body.size_hint(),
        }
    }
}
