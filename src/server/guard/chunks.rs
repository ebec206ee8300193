//! A chunked body -> where it ends (RFC 9112 section 7.1).
//!
//! In: its bytes, in pieces of any size. Out: how many of them are in order. Never: a trailer that is not whole.

use super::Limits;
use super::field;
use super::refusal::Refusal;

/// A body that is being read.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// Bytes of extensions, and of the space before them, of all chunks.
    extensions: usize,
    trailers: usize,
    /// Bytes of trailers that were let through.
    trailed: usize,
    /// Bytes of a trailer that is not whole, which hold no line feed.
    searched: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// The size of a chunk: so far, and its digits.
    Size(u64, u8),
    /// White space after a size: an extension has to follow.
    Space(u64),
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataReturn,
    DataEnd,
    Trailer,
}

/// Bytes of extensions in one body: hyper bears twice as many.
const EXTENSIONS: usize = 8 * 1024;
/// The empty line behind the trailers.
const END: usize = 2;
/// Digits of a size.
const DIGITS: u8 = 16;
/// No body is larger, and no reader takes it for a negative number.
const LARGEST: u64 = u64::MAX >> 1;

impl Default for Place {
    fn default() -> Self {
        Self::Size(0, 0)
    }
}

impl Chunks {
    /// Reads on: so many bytes are in order, and whether they end the body, or why it can't go on.
    pub(super) fn read(&mut self, bytes: &[u8], limits: &Limits) -> (usize, Result<bool, Refusal>) {
        let mut at = 0;
        while at < bytes.len() {
            match self.place {
                Place::Data(left) => {
                    let rest = bytes.len() - at;
                    let count = usize::try_from(left).map_or(rest, |left| left.min(rest));
                    at += count;
                    self.place = match left - count as u64 {
                        0 => Place::DataReturn,
                        left => Place::Data(left),
                    };
                }
                Place::Trailer => {
                    let (count, end) = self.trailers(&bytes[at..], limits);
                    return (at + count, end);
                }
                place => match self.step(place, bytes[at]) {
                    Ok(place) => {
                        self.place = place;
                        at += 1;
                    }
                    Err(refusal) => return (at, Err(refusal)),
                },
            }
        }
        (at, Ok(false))
    }

    /// One byte of what is around the data.
    fn step(&mut self, place: Place, byte: u8) -> Result<Place, Refusal> {
        match (place, byte) {
            (Place::Size(_, 1..), b';' | b' ' | b'\t') | (Place::Space(_) | Place::Extension(_), _) => self.extension(place, byte),
            (Place::Size(size, 1..), b'\r') => Ok(Place::SizeEnd(size)),
            (Place::Size(size, digits), _) => {
                let digit = char::from(byte).to_digit(16).ok_or(Refusal::Chunk)?;
                // Sixteen digits fit.
                let size = size << 4 | u64::from(digit);
                if digits == DIGITS || size > LARGEST { Err(Refusal::Chunk) } else { Ok(Place::Size(size, digits + 1)) }
            }
            (Place::SizeEnd(0), b'\n') => Ok(Place::Trailer),
            (Place::SizeEnd(size), b'\n') => Ok(Place::Data(size)),
            (Place::DataReturn, b'\r') => Ok(Place::DataEnd),
            (Place::DataEnd, b'\n') => Ok(Place::default()),
            _ => Err(Refusal::Chunk),
        }
    }

    /// RFC 9112 section 7.1.1: ignored, but not without an end.
    fn extension(&mut self, place: Place, byte: u8) -> Result<Place, Refusal> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS {
            return Err(Refusal::Extensions);
        }
        match (place, byte) {
            (Place::Extension(size), b'\r') => Ok(Place::SizeEnd(size)),
            (Place::Extension(size), byte) if byte == b'\t' || !byte.is_ascii_control() => Ok(Place::Extension(size)),
            (Place::Size(size, _) | Place::Space(size), b' ' | b'\t') => Ok(Place::Space(size)),
            (Place::Size(size, _) | Place::Space(size), b';') => Ok(Place::Extension(size)),
            _ => Err(Refusal::Chunk),
        }
    }

    /// Fields up to the empty line (RFC 9112 section 7.1.2): whole lines only.
    fn trailers(&mut self, bytes: &[u8], limits: &Limits) -> (usize, Result<bool, Refusal>) {
        let mut at = 0;
        while self.searched <= at || bytes[self.searched..].contains(&b'\n') {
            match field::read(&bytes[at..]) {
                Ok(field::Read::Part) => break,
                Ok(field::Read::End) => return (at + END, Ok(true)),
                Ok(field::Read::Field(_, length)) => {
                    self.trailers += 1;
                    self.trailed += length;
                    if self.trailers > limits.fields || self.trailed + END > limits.line {
                        return (at, Err(Refusal::Trailers));
                    }
                    at += length;
                    self.searched = 0;
                }
                Err(refusal) => return (at, Err(refusal)),
            }
        }
        self.searched = bytes.len() - at;
        let end = if self.trailed + self.searched > limits.line { Err(Refusal::Trailers) } else { Ok(false) };
        (at, end)
    }
}
