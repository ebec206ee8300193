//! Names and values -> the head of a FastCGI request: `BEGIN_REQUEST`, then `PARAMS` records (specification sections 3.4 and 5.2; pure).
//!
//! In: pairs, in order. Out: one run of bytes, for one write. Never: a record above 65,535 bytes, a length that is cut.

use crate::backend::fastcgi::record::{self, HEADER, MAX_CONTENT, Outgoing};

/// A length in four bytes has its highest bit set, so 31 bits are left.
const MAX_LENGTH: usize = 0x7fff_ffff;

/// The head of a request while it is written.
#[derive(Debug)]
pub struct Params {
    out: Vec<u8>,
    /// Where the header of the record in hand starts.
    header: usize,
}

impl Params {
    /// Starts a request that leaves the connection open (`keep`) or not.
    #[must_use]
    pub fn begin(keep: bool) -> Self {
        let mut out = Vec::with_capacity(2048);
        out.extend_from_slice(&record::header(Outgoing::Begin, 8));
        out.extend_from_slice(&record::begin(keep));
        let mut params = Self { out, header: 0 };
        params.open();
        params
    }

    /// Appends a pair; the value is the concatenation of its pieces. A pair that no length can tell (2 GiB) is left out.
    ///
    /// The specification lets a pair lie in several records, but php-fpm drops such a request: only a pair that is larger than a record
    /// does.
    pub fn pair(&mut self, name: &[u8], value: &[&[u8]]) {
        let length = value.iter().map(|piece| piece.len()).sum();
        if name.len() > MAX_LENGTH || length > MAX_LENGTH {
            return;
        }
        let size = size_of_length(name.len()) + size_of_length(length) + name.len() + length;
        if self.filled() > 0 && self.filled() + size > MAX_CONTENT {
            self.close();
            self.open();
        }
        if size > MAX_CONTENT {
            return self.spread(name, length, value);
        }
        // Nearly all are short. Put in place at once: 2,800 instructions for 21 pairs, 4,800 if each of their parts looks for its own.
        self.out.reserve(size);
        if let (Ok(in_name @ ..0x80), Ok(in_value @ ..0x80)) = (u8::try_from(name.len()), u8::try_from(length)) {
            self.out.extend_from_slice(&[in_name, in_value]);
        } else {
            self.length(name.len());
            self.length(length);
        }
        self.out.extend_from_slice(name);
        for piece in value {
            self.out.extend_from_slice(piece);
        }
    }

    /// Appends a pair that is larger than a record.
    fn spread(&mut self, name: &[u8], length: usize, value: &[&[u8]]) {
        self.length(name.len());
        self.length(length);
        self.push(name);
        for piece in value {
            self.push(piece);
        }
    }

    /// The whole head, its parameters ended.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        if self.filled() > 0 {
            self.close();
            self.open();
        }
        self.out
    }

    /// One byte up to 127, else four with the highest bit set.
    fn length(&mut self, length: usize) {
        match u8::try_from(length) {
            Ok(short) if short < 0x80 => self.push(&[short]),
            // At most `MAX_LENGTH`: it fits.
            _ => self.push(&(u32::try_from(length).unwrap_or(u32::MAX) | 0x8000_0000).to_be_bytes()),
        }
    }

    /// Appends content, opening a new record whenever one is full.
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled() == MAX_CONTENT {
                self.close();
                self.open();
            }
            let (now, later) = bytes.split_at(bytes.len().min(MAX_CONTENT - self.filled()));
            self.out.extend_from_slice(now);
            bytes = later;
        }
    }

    fn filled(&self) -> usize {
        self.out.len() - self.header - HEADER
    }

    fn open(&mut self) {
        self.header = self.out.len();
        self.out.extend_from_slice(&record::header(Outgoing::Params, 0));
    }

    fn close(&mut self) {
        // `push` never fills a record beyond 65,535 bytes.
        let length = u16::try_from(self.filled()).unwrap_or(u16::MAX);
        self.out[self.header..self.header + HEADER].copy_from_slice(&record::header(Outgoing::Params, length));
    }
}

/// Bytes that tell a length.
fn size_of_length(length: usize) -> usize {
    if length < 0x80 { 1 } else { 4 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(pairs: &[(String, String)]) -> Vec<u8> {
        let mut params = Params::begin(false);
        for (name, value) in pairs {
            let (first, second) = value.as_bytes().split_at(value.len() / 2);
            params.pair(name.as_bytes(), &[first, second]);
        }
        params.finish()
    }

    fn read_back(head: &[u8]) -> Vec<(String, String)> {
        super::super::read_back(head)
    }

    #[test]
    fn a_length_has_one_byte_up_to_127_and_four_from_128() {
        let head = encode(&[("A".into(), "x".repeat(127))]);
        assert_eq!(head[24..27], [1, 127, b'A']);
        let head = encode(&[("A".into(), "x".repeat(128))]);
        assert_eq!(head[24..30], [1, 0x80, 0, 0, 128, b'A']);
    }

    #[test]
    fn no_parameters_are_one_empty_record() {
        assert_eq!(encode(&[])[16..], [1, 4, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn names_and_values_around_every_length_come_back_whole() {
        let lengths = [0, 1, 126, 127, 128, 129, 65_520, 65_526, 65_527, 65_528, 65_529, 65_530, 65_535, 65_536, 131_070, 200_000];
        for name in lengths {
            for value in lengths {
                let pairs = [("A".to_owned(), "x".to_owned()), ("N".repeat(name), "v".repeat(value)), ("B".to_owned(), "y".to_owned())];
                assert!(read_back(&encode(&pairs)) == pairs, "a name of {name} bytes, a value of {value}");
            }
        }
    }

    #[test]
    fn a_record_is_filled_to_its_last_byte_and_not_beyond() {
        // The lengths take five bytes, the name one.
        for (value, records) in
            [(65_528, vec![65_534]), (65_529, vec![65_535]), (65_530, vec![65_535, 1]), (131_065, vec![65_535, 65_535, 1])]
        {
            let head = encode(&[("A".to_owned(), "x".repeat(value))]);
            let (mut rest, mut seen) = (&head[16..], Vec::new());
            while !rest.is_empty() {
                let length = usize::from(u16::from_be_bytes([rest[4], rest[5]]));
                seen.push(length);
                rest = &rest[HEADER + length..];
            }
            assert_eq!(seen.pop(), Some(0), "the stream ends");
            assert_eq!(seen, records, "{value}");
        }
    }

    #[test]
    fn a_pair_that_fits_into_a_record_lies_in_one() {
        let head = encode(&[("A".to_owned(), "x".repeat(60_000)), ("B".to_owned(), "y".repeat(6_000))]);
        assert_eq!(head[16..24], [1, 4, 0, 1, 0xea, 0x66, 0, 0], "60,006 bytes");
        assert_eq!(head[24 + 60_006..][..8], [1, 4, 0, 1, 0x17, 0x76, 0, 0], "6,006 bytes");
    }

    proptest! {
        #[test]
        fn pairs_come_back_as_they_were(pairs in prop::collection::vec(("[A-Z_]{1,200}", "[ -~]{0,300}"), 0..20)) {
            prop_assert_eq!(read_back(&encode(&pairs)), pairs);
        }
    }
}
