//! Bytes -> bytes in a content coding, by the libraries' own streams.
//!
//! In: parts of a body. Out: what can be sent of it. Never: a window that a client need not have (RFC 9659: 8 MiB for zstd), a large one
//! for a small body.
//!
//! Levels are chosen for speed. What one stream takes at most: gzip 0.4 MiB, zstd 1.7 MiB, br 2.8 MiB.

use std::io;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

use crate::route::Coding;

const GZIP_LEVEL: u32 = 5;
const BR_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

/// The least and the largest window of each, as a power of two.
const GZIP_WINDOW: (u8, u8) = (9, 15);
const BR_WINDOW: (u8, u8) = (10, 18);
const ZSTD_WINDOW: (u8, u8) = (10, 19);

/// Room for output, each time some is needed.
const ROOM: usize = 8 * 1024;

/// What is wanted of a coder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It may keep what it is given.
    Go,
    /// A client has to be able to read all that was given so far.
    Flush,
    /// There is no more.
    End,
}

/// One stream.
pub(super) enum Coder {
    Zstd(Encoder<'static>),
    Br(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    Gzip(Compress),
}

impl Coder {
    /// Begins. `length`: of all there will be, if that is known.
    pub(super) fn new(coding: Coding, length: Option<u64>) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = Encoder::new(ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(window(length, ZSTD_WINDOW).into()))?;
                Self::Zstd(encoder)
            }
            Coding::Br => {
                let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
                state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, BR_QUALITY);
                state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window(length, BR_WINDOW).into());
                Self::Br(Box::new(state))
            }
            Coding::Gzip => Self::Gzip(Compress::new_gzip(Compression::new(GZIP_LEVEL), window(length, GZIP_WINDOW))),
        })
    }

    /// Takes all of `input`; returns what is there to be sent.
    pub(super) fn step(&mut self, input: &[u8], step: Step) -> io::Result<Bytes> {
        let mut output = Vec::new();
        match self {
            Self::Zstd(encoder) => zstd_step(encoder, input, step, &mut output)?,
            Self::Br(state) => br_step(state, input, step, &mut output)?,
            Self::Gzip(compress) => gzip_step(compress, input, step, &mut output)?,
        }
        // What waits in hyper's buffers holds its capacity.
        output.shrink_to_fit();
        Ok(output.into())
    }
}

/// A window in which all of a body has its place, within limits: some bytes more, because no format can use all of its window.
fn window(length: Option<u64>, (least, largest): (u8, u8)) -> u8 {
    let bits = length.map_or(u64::BITS, |length| u64::BITS - length.saturating_add(512).leading_zeros());
    u8::try_from(bits).unwrap_or(largest).clamp(least, largest)
}

fn zstd_step(encoder: &mut Encoder<'static>, input: &[u8], step: Step, output: &mut Vec<u8>) -> io::Result<()> {
    let mut input = InBuffer::around(input);
    loop {
        output.reserve(ROOM);
        let filled = output.len();
        let mut room = OutBuffer::around_pos(output, filled);
        if input.pos() < input.src.len() {
            encoder.run(&mut input, &mut room)?;
            continue;
        }
        let left = match step {
            Step::Go => 0,
            Step::Flush => encoder.flush(&mut room)?,
            Step::End => encoder.finish(&mut room, true)?,
        };
        if left == 0 {
            return Ok(());
        }
    }
}

fn br_step(state: &mut BrotliEncoderStateStruct<StandardAlloc>, input: &[u8], step: Step, output: &mut Vec<u8>) -> io::Result<()> {
    let operation = match step {
        Step::Go => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        Step::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
        Step::End => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
    };
    let (mut left, mut taken) = (input.len(), 0);
    loop {
        let mut filled = output.len();
        output.resize(filled + ROOM, 0);
        let mut room = ROOM;
        let fine =
            state.compress_stream(operation, &mut left, input, &mut taken, &mut room, output, &mut filled, &mut None, &mut |_, _, _, _| ());
        output.truncate(filled);
        if !fine {
            return Err(io::Error::other("the brotli encoder failed"));
        }
        let over = if step == Step::End { state.is_finished() } else { left == 0 && !state.has_more_output() };
        if over {
            return Ok(());
        }
    }
}

fn gzip_step(compress: &mut Compress, mut input: &[u8], step: Step, output: &mut Vec<u8>) -> io::Result<()> {
    let flush = match step {
        Step::Go => FlushCompress::None,
        Step::Flush => FlushCompress::Sync,
        Step::End => FlushCompress::Finish,
    };
    loop {
        output.reserve(ROOM);
        let before = compress.total_in();
        let status = compress.compress_vec(input, output, flush).map_err(io::Error::other)?;
        let taken = usize::try_from(compress.total_in() - before).unwrap_or(usize::MAX);
        input = input.get(taken..).unwrap_or_default();
        // With room left it has said all that it can say (zlib.h, `deflate`).
        let over = if step == Step::End { status == Status::StreamEnd } else { input.is_empty() && output.len() < output.capacity() };
        if over {
            return Ok(());
        }
    }
}
