//! The bytes behind an answer's head -> its body (pure; RFC 9112 section 7.1).
//!
//! In: bytes as they come. Out: data without a copy, and where it ends. Never: a bare line feed, trailers, an extension or a trailer without
//! an end.

use bytes::{Buf, Bytes};

use super::answer::Framing;

/// Bytes of extensions in one body, and of trailers.
const EXTRAS: u32 = 16 * 1024;
/// Digits of a chunk's size.
const DIGITS: u8 = 16;

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Decoder {
    place: Place,
    /// Bytes of extensions and trailers so far.
    extras: u32,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Data of a body that is in one piece.
    Whole(u64),
    /// Data, up to the end of the connection.
    Open,
    /// The size of a chunk: so far, and its digits.
    Size(u64, u8),
    Space(u64),
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataReturn,
    DataEnd,
    /// The begin of a trailer, or of the last line.
    Trailer,
    Name,
    Value,
    TrailerEnd,
    LastEnd,
}

/// What has been read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A piece.
    Data(Bytes),
    /// More bytes are wanted.
    More,
    /// The body is over; what is left belongs to nothing.
    End,
}

impl Decoder {
    /// For a body that ends there.
    pub(super) fn new(framing: Framing) -> Self {
        let place = match framing {
            Framing::Sized(length) => Place::Whole(length),
            Framing::Chunked => Place::Size(0, 0),
            Framing::Close => Place::Open,
        };
        Self { place, extras: 0 }
    }

    /// The bytes of data that are still to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        if let Place::Whole(left) = self.place { Some(left) } else { None }
    }

    /// Whether a body that has come so far is whole when the connection ends.
    pub(super) fn may_end(&self) -> bool {
        matches!(self.place, Place::Open | Place::Whole(0))
    }

    /// The next piece; it is taken off the front of `bytes`.
    ///
    /// # Errors
    /// What is no chunk.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Result<Step, &'static str> {
        if self.is_over(bytes)? {
            return Ok(Step::End);
        }
        let wanted = match self.place {
            Place::Whole(left) | Place::Data(left) => left,
            Place::Open => u64::MAX,
            _ => return Ok(Step::More),
        };
        let count = usize::try_from(wanted).map_or(bytes.len(), |wanted| wanted.min(bytes.len()));
        if count == 0 {
            return Ok(Step::More);
        }
        let left = wanted - count as u64;
        self.place = match self.place {
            Place::Whole(_) => Place::Whole(left),
            Place::Data(_) if left == 0 => Place::DataReturn,
            Place::Data(_) => Place::Data(left),
            place => place,
        };
        Ok(Step::Data(bytes.split_to(count)))
    }

    /// Reads what is between two pieces, and says whether there is no further one.
    ///
    /// # Errors
    /// What is no chunk.
    pub(super) fn is_over(&mut self, bytes: &mut Bytes) -> Result<bool, &'static str> {
        let mut at = 0;
        let over = loop {
            match self.place {
                Place::Whole(left) => break left == 0,
                Place::Open | Place::Data(_) => break false,
                place => {
                    let Some(byte) = bytes.get(at) else { break false };
                    at += 1;
                    let Some(next) = self.step(place, *byte)? else {
                        self.place = Place::Whole(0);
                        break true;
                    };
                    self.place = next;
                }
            }
        };
        if at > 0 {
            bytes.advance(at);
        }
        Ok(over)
    }

    /// One byte of what is around the data; `None`: that was the last.
    fn step(&mut self, place: Place, byte: u8) -> Result<Option<Place>, &'static str> {
        Ok(Some(match (place, byte) {
            (Place::Size(size, 1..) | Place::Space(size), b' ' | b'\t') => self.extra(Place::Space(size))?,
            (Place::Size(size, 1..) | Place::Space(size), b';') => self.extra(Place::Extension(size))?,
            (Place::Size(size, 1..) | Place::Space(size) | Place::Extension(size), b'\r') => Place::SizeEnd(size),
            (Place::Size(size, digits), _) => {
                let digit = char::from(byte).to_digit(16).filter(|_| digits < DIGITS).ok_or(NO_CHUNK)?;
                // Sixteen digits fit.
                Place::Size(size << 4 | u64::from(digit), digits + 1)
            }
            (Place::Extension(size), byte) if byte == b'\t' || !byte.is_ascii_control() => self.extra(Place::Extension(size))?,
            (Place::SizeEnd(0) | Place::TrailerEnd, b'\n') => Place::Trailer,
            (Place::SizeEnd(size), b'\n') => Place::Data(size),
            (Place::DataReturn, b'\r') => Place::DataEnd,
            (Place::DataEnd, b'\n') => Place::Size(0, 0),
            (Place::Trailer, b'\r') => Place::LastEnd,
            (Place::LastEnd, b'\n') => return Ok(None),
            (Place::Trailer | Place::Name, byte) if is_token(byte) => self.extra(Place::Name)?,
            (Place::Name, b':') => self.extra(Place::Value)?,
            (Place::Value, b'\r') => Place::TrailerEnd,
            (Place::Value, byte) if byte == b'\t' || !byte.is_ascii_control() => self.extra(Place::Value)?,
            _ => return Err(NO_CHUNK),
        }))
    }

    fn extra(&mut self, place: Place) -> Result<Place, &'static str> {
        self.extras += 1;
        if self.extras > EXTRAS { Err("its answer has too many extensions or trailers") } else { Ok(place) }
    }
}

const NO_CHUNK: &str = "a chunk of its answer is not valid";

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, whether it has ended, and what is left; the bytes come in pieces of this size.
    fn read(framing: Framing, text: &[u8], piece: usize) -> Result<(Vec<u8>, bool, Vec<u8>), &'static str> {
        let (mut decoder, mut body) = (Decoder::new(framing), Vec::new());
        let mut pieces = text.chunks(piece);
        let mut bytes = Bytes::new();
        loop {
            match decoder.next(&mut bytes)? {
                Step::Data(data) => body.extend_from_slice(&data),
                Step::End => return Ok((body, true, [&bytes[..], &pieces.collect::<Vec<_>>().concat()].concat())),
                Step::More => match pieces.next() {
                    Some(piece) => bytes = [&bytes[..], piece].concat().into(),
                    None => return Ok((body, decoder.may_end(), bytes.to_vec())),
                },
            }
        }
    }

    #[test]
    fn a_body_ends_where_it_should_wherever_it_is_cut() {
        let chunked = b"2\r\nhi\r\nA;x=\"y\" \r\n0123456789\r\n1  \r\n!\r\n0\r\nx-t: 1\r\ny:\r\n\r\nrest";
        for piece in 1..chunked.len() {
            let expected = (b"hi0123456789!".to_vec(), true, b"rest".to_vec());
            assert_eq!(read(Framing::Chunked, chunked, piece), Ok(expected), "{piece}");
            assert_eq!(read(Framing::Sized(4), b"bodyrest", piece), Ok((b"body".to_vec(), true, b"rest".to_vec())));
            assert_eq!(read(Framing::Close, b"body", piece), Ok((b"body".to_vec(), true, Vec::new())));
            assert_eq!(read(Framing::Sized(9), b"body", piece), Ok((b"body".to_vec(), false, Vec::new())));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in [
            "2\nhi\r\n0\r\n\r\n",
            "\r\n",
            "2\r\nhi\n0\r\n\r\n",
            "2\r\nhixx",
            "g\r\n",
            "-1\r\n",
            "+2\r\n",
            "0x2\r\n",
            " 2\r\n",
            "2 3\r\n",
            "2;a\n",
            "11111111111111111\r\n",
            "0\r\n\n",
            "0\r\n x: 1\r\n",
            "0\r\nx\r\n",
            "0\r\nx: 1\n",
            "0\r\n: 1\r\n",
            "2;\0\r\n",
            "2\r\r\n",
        ] {
            for piece in [1, 99] {
                assert!(read(Framing::Chunked, bad.as_bytes(), piece).is_err(), "{bad:?}");
            }
        }
        for endless in ["2;", "0\r\nx:", "1 "] {
            let filler = if endless == "1 " { " " } else { "a" };
            assert!(read(Framing::Chunked, format!("{endless}{}", filler.repeat(20_000)).as_bytes(), 999).is_err());
        }
    }

    proptest! {
        #[test]
        fn chunks_are_joined(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..9), piece in 1usize..50) {
            let mut text: Vec<u8> = chunks.iter().flat_map(|data| [format!("{:X}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()).collect();
            text.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(Framing::Chunked, &text, piece), Ok((chunks.concat(), true, Vec::new())));
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_are_read_alike_however_they_are_cut(text in "[0-9a-f;: x\r\n]{0,60}", piece in 1usize..9) {
            let (whole, cut) = (read(Framing::Chunked, text.as_bytes(), 99), read(Framing::Chunked, text.as_bytes(), piece));
            prop_assert_eq!(whole, cut);
        }
    }
}
