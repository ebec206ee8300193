//! `FCGI_STDOUT` -> the body of an answer, as it comes.
//!
//! In: a [`Transfer`] whose head was read. Out: frames. Never: a collected body, a byte beyond the announced length, an early end that
//! looks like an end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::super::pool::Home;
use super::transfer::{Output, Transfer};
use crate::backend::Error;

/// The body of a FastCGI answer. It reads from the backend only when it is polled; dropped early, it closes the connection.
#[derive(Debug)]
pub struct StdoutBody {
    /// Pieces that came with the head.
    ready: [Bytes; 2],
    /// Bytes that `Content-Length` announced and that are still to come.
    left: Option<u64>,
    /// `None`: it is over.
    transfer: Option<Transfer>,
    home: Option<Home>,
}

impl StdoutBody {
    pub(super) fn new(ready: [Bytes; 2], length: Option<u64>, transfer: Transfer, home: Option<Home>) -> Self {
        Self { ready, left: length, transfer: Some(transfer), home }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let [first, second] = &mut self.ready;
        let mut piece = std::mem::replace(first, std::mem::take(second));
        if piece.is_empty() {
            let Some(transfer) = &mut self.transfer else { return Poll::Ready(None) };
            match ready!(transfer.poll_output(cx)) {
                Ok(Output::Data(bytes)) => piece = bytes,
                Ok(Output::End) => {
                    self.go_home();
                    let short = self.left.is_some_and(|left| left > 0);
                    return Poll::Ready(short.then_some(Err(Error::Closed(None))));
                }
                Err(error) => {
                    self.transfer = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        if let Some(left) = &mut self.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
            if *left == 0 {
                self.finish();
            }
        }
        Poll::Ready(Some(Ok(piece)))
    }

    /// All that was announced is here. The backend's end of the request is seldom a read away, but nobody waits for it.
    fn finish(&mut self) {
        self.ready = [Bytes::new(), Bytes::new()];
        if let Some(transfer) = &mut self.transfer
            && let Ok(Some(Output::End)) = transfer.output_in_hand()
        {
            self.go_home();
        }
        self.transfer = None;
    }

    fn go_home(&mut self) {
        if let (Some(transfer), Some(home)) = (self.transfer.take(), self.home.take()) {
            home.take_back(transfer);
        }
    }
}

impl Body for StdoutBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.left == Some(0) {
            return Poll::Ready(None);
        }
        this.poll_piece(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0) || (self.transfer.is_none() && self.ready.iter().all(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
