//! The same bytes read in pieces by the decoder and at once by a simple reading of the specification -> where the two differ.
//!
//! In: any bytes, cut anywhere. Out: what differs. Never: a word on whose fault it is. `fuzz/` builds this file, too.

use bytes::Bytes;

use super::{Decoder, Event};

/// What an answer says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reading {
    /// Neighbours of one stream are joined: where they are cut means nothing.
    events: Vec<Event>,
    /// It broke the protocol behind these events.
    broken: bool,
    /// It has ended, and nothing follows.
    spent: bool,
}

/// How the decoder reads these bytes when they come in pieces of these sizes, again and again, and how it should.
pub(crate) fn disagreement(bytes: &[u8], sizes: &[u8]) -> Option<String> {
    let (decoded, meant) = (decode(bytes, sizes), reread(bytes));
    (decoded != meant).then(|| format!("decoded, in pieces of {sizes:?}: {decoded:?}\nmeant: {meant:?}"))
}

fn decode(bytes: &[u8], sizes: &[u8]) -> Reading {
    let (mut decoder, mut reading, mut rest) = (Decoder::default(), Reading::default(), bytes);
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(sizes.next().unwrap_or(usize::MAX).min(rest.len()));
        decoder.buffer().extend_from_slice(piece);
        rest = later;
        loop {
            match decoder.event() {
                Ok(Some(event)) => reading.add(event),
                Ok(None) => break,
                Err(_) => {
                    reading.broken = true;
                    return reading;
                }
            }
        }
    }
    reading.spent = decoder.is_spent();
    reading
}

/// Record by record (specification section 3.3), from bytes that are all there.
fn reread(bytes: &[u8]) -> Reading {
    let (mut reading, mut at) = (Reading::default(), 0);
    while let Some(header) = bytes.get(at..at + 8) {
        let (kind, id) = (header[1], u16::from_be_bytes([header[2], header[3]]));
        let (length, padding) = (usize::from(u16::from_be_bytes([header[4], header[5]])), usize::from(header[6]));
        let of_us = matches!(kind, 1 | 2 | 4 | 5 | 8);
        let of_another = matches!(kind, 3 | 6 | 7) && id != 1;
        if header[0] != 1 || of_us || of_another || (kind == 3 && length < 8) {
            reading.broken = true;
            return reading;
        }
        let content = &bytes[at + 8..bytes.len().min(at + 8 + length)];
        match kind {
            6 if !content.is_empty() => reading.add(Event::Stdout(Bytes::copy_from_slice(content))),
            7 if !content.is_empty() => reading.add(Event::Stderr(Bytes::copy_from_slice(content))),
            3 if content.len() >= 8 => {
                let app_status = u32::from_be_bytes([content[0], content[1], content[2], content[3]]);
                reading.add(Event::EndRequest { app_status, protocol_status: content[4] });
                reading.spent = bytes.len() == at + 8 + length + padding;
                return reading;
            }
            _ => {}
        }
        at += 8 + length + padding;
    }
    reading
}

impl Reading {
    fn add(&mut self, event: Event) {
        match (self.events.last_mut(), event) {
            (Some(Event::Stdout(old)), Event::Stdout(new)) | (Some(Event::Stderr(old)), Event::Stderr(new)) => {
                *old = [&old[..], &new].concat().into();
            }
            (_, event) => self.events.push(event),
        }
    }
}
