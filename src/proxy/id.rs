//! Names for requests, for answers and logs.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Names one request: 16 hexadecimal digits. Unlike any other of this process, and hard to guess from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestId {
    /// Its digits.
    #[must_use]
    pub fn digits(self) -> [u8; 16] {
        let bytes = self.0.to_be_bytes();
        std::array::from_fn(|at| {
            let pair = bytes[at / 2];
            b"0123456789abcdef"[usize::from(if at % 2 == 0 { pair >> 4 } else { pair & 15 })]
        })
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

/// The names of one thread.
#[derive(Debug)]
pub(super) struct RequestIds(Cell<u64>);

impl RequestIds {
    pub(super) fn new() -> Self {
        Self(Cell::new(seed()))
    }

    pub(super) fn next(&self) -> RequestId {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        RequestId(mix(self.0.get()))
    }
}

/// A random number from the process's hash keys, other for each call.
pub(super) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// SplitMix64: a bijection, so that no two of a thread are equal.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
