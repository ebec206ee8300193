//! Bodies that come in pieces, pause and break off, and what a client can read of them by then.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;

const ALL: [Coding; 3] = [Coding::Zstd, Coding::Br, Coding::Gzip];

/// What a body does when it is polled next.
enum Next {
    Data(Vec<u8>),
    Pause,
    Fail,
}

/// A body by the script; at its end it is over.
struct Scripted(VecDeque<Next>);

impl Body for Scripted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.0.pop_front() {
            Some(Next::Data(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
            Some(Next::Pause) => Poll::Pending,
            Some(Next::Fail) => Poll::Ready(Some(Err(Error::Closed(None)))),
            None => Poll::Ready(None),
        }
    }
}

/// Counts how often the body wanted another turn.
#[derive(Default)]
struct Turns(AtomicUsize);

impl Wake for Turns {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client that gathers what it is sent.
struct Client {
    body: EncodedBody<Scripted>,
    coding: Coding,
    received: Vec<u8>,
    turns: Arc<Turns>,
    frames: usize,
}

impl Client {
    fn new(coding: Coding, length: Option<u64>, script: impl IntoIterator<Item = Next>) -> Self {
        let Ok(body) = EncodedBody::new(Scripted(script.into_iter().collect()), coding, length) else { panic!("no coder") };
        Self { body, coding, received: Vec::new(), turns: Arc::default(), frames: 0 }
    }

    /// Polls until the body waits for its peer (`Pending` without a wake), fails, or is over.
    fn poll(&mut self) -> Poll<Option<Error>> {
        let waker = Waker::from(self.turns.clone());
        loop {
            let turns = self.turns.0.load(Ordering::Relaxed);
            match Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.frames += 1;
                    self.received.extend_from_slice(&frame.into_data().unwrap());
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(error)),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if self.turns.0.load(Ordering::Relaxed) > turns => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Polls; whether the body has ended as it should.
    fn is_over(&mut self) -> bool {
        matches!(self.poll(), Poll::Ready(None))
    }

    /// What it can read of what it has.
    fn text(&self) -> Vec<u8> {
        let mut decoder: Box<dyn Read> = match self.coding {
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(&*self.received).unwrap()),
            Coding::Br => Box::new(brotli::Decompressor::new(&*self.received, 4096)),
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(&*self.received)),
        };
        let mut text = Vec::new();
        let mut part = [0; 512];
        // A stream that goes on ends in an error here.
        while let Ok(length @ 1..) = decoder.read(&mut part) {
            text.extend_from_slice(&part[..length]);
        }
        text
    }
}

/// Text that compresses, but not to nothing.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{} ", state >> 20)
    });
    words.flat_map(String::into_bytes).take(length).collect()
}

#[test]
fn whatever_the_size_and_the_pieces_the_content_is_the_same() {
    for coding in ALL {
        for (length, piece) in [(0, 1), (1, 1), (100, 1), (1_000, 7), (70_000, 70_000), (150_000, 131_072), (150_000, 999)] {
            let text = sample(length);
            for known in [None, Some(length as u64)] {
                let mut client = Client::new(coding, known, text.chunks(piece).map(|part| Next::Data(part.to_vec())));
                assert!(client.is_over(), "{coding:?} {length} {piece}");
                assert!(client.text() == text, "{coding:?} {length} {piece}");
                assert!(client.body.is_end_stream() && client.is_over());
            }
        }
    }
}

#[test]
fn whenever_the_body_pauses_the_client_can_read_all_of_it_so_far() {
    for coding in ALL {
        let parts = [b"data: one\n\n".to_vec(), sample(50_000), b"x".to_vec(), sample(100_000)];
        // Each pause is seen twice: after the first, the peer gets a turn.
        let script = parts.iter().flat_map(|part| [Next::Data(part.clone()), Next::Pause, Next::Pause, Next::Pause]);
        let mut client = Client::new(coding, None, script);
        let mut sent = Vec::new();
        for part in &parts {
            sent.extend_from_slice(part);
            assert!(client.poll().is_pending());
            assert!(client.text() == sent, "{coding:?}: {} of {}", client.text().len(), sent.len());
        }
        assert!(client.is_over());
        assert!(client.text() == sent);
    }
}

#[test]
fn what_comes_a_turn_later_is_not_flushed_apart() {
    for coding in ALL {
        let script = (0..100).flat_map(|_| [Next::Data(b"some words ".to_vec()), Next::Pause]);
        let mut client = Client::new(coding, None, script);
        assert!(client.is_over());
        assert_eq!(client.text().len(), 1100);
        assert!(client.frames <= 2 && client.received.len() < 100, "{coding:?}: {} frames, {} bytes", client.frames, client.received.len());
    }
}

#[test]
fn a_large_frame_takes_many_turns() {
    for coding in ALL {
        let text = sample(1 << 18);
        let mut client = Client::new(coding, None, [Next::Data(text.clone())]);
        assert!(client.is_over());
        assert!(client.text() == text);
        assert!(client.turns.0.load(Ordering::Relaxed) >= text.len() / TURN - 1, "{coding:?}");
    }
}

#[test]
fn a_body_that_breaks_off_does_not_look_whole() {
    for coding in ALL {
        let mut client = Client::new(coding, None, [Next::Data(sample(1000)), Next::Fail]);
        assert!(matches!(client.poll(), Poll::Ready(Some(Error::Closed(None)))));
        assert!(client.body.is_end_stream());
        assert!(client.text().len() < 1000, "{coding:?}");
    }
}
