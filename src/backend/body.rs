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

use super::{Error, Phase, fastcgi, files, http};

/// The body of a request, on its way to a backend: counted, and with a limit on silence.
#[derive(Debug)]
pub struct RequestBody {
    inner: Option<Incoming>,
    left: Option<u64>,
    limit: u64,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    counter: Option<Rc<Cell<u64>>>,
}

impl RequestBody {
    /// A body with a limit in bytes (`None`: none) and a limit on the client's silence (`Duration::MAX`: none).
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`] if its announced length is over the limit.
    pub fn new(inner: Incoming, limit: Option<u64>, idle: Duration) -> Result<Self, Error> {
        match (limit, inner.size_hint().lower()) {
            (Some(limit), announced) if announced > limit => Err(Error::BodyTooLarge(limit)),
            _ => Ok(Self { inner: Some(inner), left: limit, limit: limit.unwrap_or(u64::MAX), idle, timer: None, counter: None }),
        }
    }

    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self { inner: None, left: None, limit: u64::MAX, idle: Duration::ZERO, timer: None, counter: None }
    }

    /// The same, with its bytes added to `counter` as they come.
    #[must_use]
    pub fn counted(self, counter: Rc<Cell<u64>>) -> Self {
        Self { counter: Some(counter), ..self }
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
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) else {
            ready!(this.poll_idle(cx));
            return Poll::Ready(Some(Err(Error::Timeout(Phase::Client))));
        };
        this.timer = None;
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(Error::Downstream)?;
        if let (Some(counter), Some(data)) = (&this.counter, frame.data_ref()) {
            counter.set(counter.get() + data.len() as u64);
        }
        if let (Some(left), Some(data)) = (&mut this.left, frame.data_ref()) {
            *left = left.checked_sub(data.len() as u64).ok_or(Error::BodyTooLarge(this.limit))?;
        }
        // Trailers are dropped unless they are allowed, and no rule allows them yet.
        if frame.is_trailers() { Poll::Ready(None) } else { Poll::Ready(Some(Ok(frame))) }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
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
    /// From an HTTP backend.
    Http(http::UpstreamBody),
    /// From a FastCGI backend.
    Fastcgi(Box<fastcgi::StdoutBody>),
    /// Any of these, up to a deadline.
    Until(Box<Until>),
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
            Self::Http(body) => Pin::new(body).poll_frame(cx),
            Self::Fastcgi(body) => Pin::new(body.as_mut()).poll_frame(cx),
            Self::Until(until) => match until.deadline.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Error::Timeout(Phase::Request)))),
                Poll::Pending => Pin::new(&mut until.body).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::File(body) => body.is_end_stream(),
            Self::Http(body) => body.is_end_stream(),
            Self::Fastcgi(body) => body.is_end_stream(),
            Self::Until(until) => until.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File(body) => body.size_hint(),
            Self::Http(body) => body.size_hint(),
            Self::Fastcgi(body) => body.size_hint(),
            Self::Until(until) => until.body.size_hint(),
        }
    }
}
