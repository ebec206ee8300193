//! FastCGI records (specification 1.0, section 3.3): bytes from a backend into events, and the headers of what is sent to it (pure).
//!
//! In: bytes, cut anywhere. Out: [`Event`]s that share the buffer's memory. Never: I/O, a collected record, a length that is cut.

use bytes::{Buf, Bytes, BytesMut};

/// The most content that one record holds: its length has 16 bits.
pub const MAX_CONTENT: usize = 65_535;

/// Length of a record's header.
pub const HEADER: usize = 8;

const VERSION: u8 = 1;
/// The one request of a connection. 0 is for management records.
const REQUEST_ID: u16 = 1;
const ROLE_RESPONDER: u8 = 1;
const KEEP_CONN: u8 = 1;

/// Records that a web server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Outgoing {
    /// `FCGI_BEGIN_REQUEST`
    Begin = 1,
    /// `FCGI_PARAMS`; one without content ends the stream.
    Params = 4,
    /// `FCGI_STDIN`; one without content ends the stream.
    Stdin = 5,
}

/// What a backend says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A piece of the answer; never empty.
    Stdout(Bytes),
    /// A piece of what the application complains about; never empty.
    Stderr(Bytes),
    /// The request is done; nothing follows.
    EndRequest {
        /// The application's exit status.
        app_status: u32,
        /// 0: done; 1 to 3: refused (specification section 5.5).
        protocol_status: u8,
    },
}

/// How a backend broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecordError(pub &'static str);

/// Takes bytes in any split and yields events.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// What the content in hand is.
    content: Content,
    /// Content bytes of this record that are still to come.
    left: u16,
    padding: u8,
    ended: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Content {
    #[default]
    Skipped,
    Stdout,
    Stderr,
    End,
}

/// The header of a record without padding, for the one request.
#[must_use]
pub const fn header(kind: Outgoing, length: u16) -> [u8; HEADER] {
    let ([id_high, id_low], [high, low]) = (REQUEST_ID.to_be_bytes(), length.to_be_bytes());
    [VERSION, kind as u8, id_high, id_low, high, low, 0, 0]
}

/// The content of `FCGI_BEGIN_REQUEST`: a responder, that may close the connection afterwards or keep it.
#[must_use]
pub const fn begin(keep: bool) -> [u8; 8] {
    [0, ROLE_RESPONDER, if keep { KEEP_CONN } else { 0 }, 0, 0, 0, 0, 0]
}

impl Decoder {
    /// Where bytes from the backend are appended.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes bytes from the backend; not copied unless some are left of those before.
    pub fn add(&mut self, bytes: Bytes) {
        if self.buffer.is_empty() {
            self.buffer = bytes.into();
        } else {
            self.buffer.extend_from_slice(&bytes);
        }
    }

    /// The next event; `None`: more bytes are needed, or the request has ended.
    ///
    /// # Errors
    /// Another version, another request, a record that only a web server sends, an end without its status.
    pub fn event(&mut self) -> Result<Option<Event>, RecordError> {
        loop {
            if self.left > 0 {
                if let Some(event) = self.content() {
                    return Ok(Some(event));
                }
                if self.left > 0 {
                    return Ok(None);
                }
            }
            let padding = usize::from(self.padding).min(self.buffer.len());
            self.buffer.advance(padding);
            // Not more than the padding, which is one byte: the conversion never fails.
            self.padding -= u8::try_from(padding).unwrap_or(self.padding);
            if self.padding > 0 || self.ended {
                return Ok(None);
            }
            let Some(header) = self.buffer.first_chunk().copied() else { return Ok(None) };
            self.buffer.advance(HEADER);
            self.header(header)?;
        }
    }

    /// The end has come, and nothing after it: the connection can take another request.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.ended && self.left == 0 && usize::from(self.padding) == self.buffer.len()
    }

    /// Reads a header. As a whole: taken from the buffer field by field, those of an answer cost 350 instructions more.
    fn header(&mut self, header: [u8; HEADER]) -> Result<(), RecordError> {
        let [version, kind, id_high, id_low, high, low, padding, _] = header;
        let id = u16::from_be_bytes([id_high, id_low]);
        self.left = u16::from_be_bytes([high, low]);
        self.padding = padding;
        if version != VERSION {
            return Err(RecordError("a record of another FastCGI version"));
        }
        self.content = match kind {
            3 => Content::End,
            6 => Content::Stdout,
            7 => Content::Stderr,
            1 | 2 | 4 | 5 | 8 => return Err(RecordError("a record that only a web server sends")),
            _ => Content::Skipped,
        };
        if self.content != Content::Skipped && id != REQUEST_ID {
            return Err(RecordError("a record of another request"));
        }
        if self.content == Content::End && self.left < 8 {
            return Err(RecordError("an end of the request without its status"));
        }
        Ok(())
    }

    /// Takes what is there of the record's content.
    fn content(&mut self) -> Option<Event> {
        let there = self.left.min(u16::try_from(self.buffer.len()).unwrap_or(u16::MAX));
        match self.content {
            _ if there == 0 => None,
            Content::Skipped => {
                self.take(there);
                None
            }
            Content::Stdout => Some(Event::Stdout(self.take(there))),
            Content::Stderr => Some(Event::Stderr(self.take(there))),
            Content::End if there < 8 => None,
            Content::End => {
                let (app_status, protocol_status) = (self.buffer.get_u32(), self.buffer.get_u8());
                self.buffer.advance(3);
                self.left -= 8;
                // Content beyond the status means nothing (specification section 5.5).
                self.content = Content::Skipped;
                self.ended = true;
                Some(Event::EndRequest { app_status, protocol_status })
            }
        }
    }

    fn take(&mut self, length: u16) -> Bytes {
        self.left -= length;
        self.buffer.split_to(usize::from(length)).freeze()
    }
}

#[cfg(test)]
mod agree;

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record as a backend sends it.
    pub(in super::super) fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
        let mut out = vec![VERSION, kind];
        out.extend(id.to_be_bytes());
        out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        out.extend([padding, 0]);
        out.extend(content);
        out.extend(vec![0xaa; usize::from(padding)]);
        out
    }

    /// All events of bytes that come in these pieces, with neighbours of one stream joined.
    fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<(Vec<Event>, bool), RecordError> {
        let mut decoder = Decoder::default();
        let mut all: Vec<Event> = Vec::new();
        for piece in pieces {
            decoder.buffer().extend_from_slice(piece);
            while let Some(event) = decoder.event()? {
                match (all.last_mut(), event) {
                    (Some(Event::Stdout(old)), Event::Stdout(new)) | (Some(Event::Stderr(old)), Event::Stderr(new)) => {
                        *old = [&old[..], &new].concat().into();
                    }
                    (_, event) => all.push(event),
                }
            }
        }
        Ok((all, decoder.is_spent()))
    }

    fn answer() -> Vec<u8> {
        let mut bytes = record(6, 1, b"one", 5);
        bytes.extend(record(99, 7, b"unknown", 1));
        bytes.extend(record(10, 0, b"", 0));
        bytes.extend(record(7, 1, b"oops", 0));
        bytes.extend(record(6, 1, &vec![b'x'; MAX_CONTENT], 255));
        bytes.extend(record(6, 1, b"", 0));
        bytes.extend(record(3, 1, &[0, 0, 1, 2, 0, 0, 0, 0], 3));
        bytes
    }

    #[test]
    fn an_answer_becomes_events_and_unknown_records_are_skipped() {
        let (events, spent) = events(std::iter::once(&answer()[..])).unwrap();
        assert_eq!(events.len(), 4);
        assert_eq!(events[0], Event::Stdout(Bytes::from_static(b"one")));
        assert_eq!(events[1], Event::Stderr(Bytes::from_static(b"oops")));
        assert_eq!(events[2], Event::Stdout(Bytes::from(vec![b'x'; MAX_CONTENT])));
        assert_eq!(events[3], Event::EndRequest { app_status: 258, protocol_status: 0 });
        assert!(spent);
    }

    #[test]
    fn an_answer_byte_by_byte_becomes_the_same_events() {
        let bytes = answer();
        assert_eq!(events(bytes.chunks(1)), events(std::iter::once(&bytes[..])));
    }

    #[test]
    fn content_and_padding_of_every_length_come_through_whole_or_byte_by_byte() {
        for length in [0, 1, 127, 128, 255, 256, 65_534, MAX_CONTENT] {
            for padding in [0, 1, 7, 8, 127, 128, 255] {
                let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
                let mut bytes = record(6, 1, &content, padding);
                bytes.extend(record(7, 1, &content, padding));
                bytes.extend(record(3, 1, &[0; 8], padding));
                // Byte by byte costs the test the square of the length.
                for size in if length > 1000 { [200, 255] } else { [1, 255] } {
                    assert_eq!(agree::disagreement(&bytes, &[size]), None, "{length} and {padding}, in pieces of {size}");
                }
                let (events, spent) = events(bytes.chunks(4096)).unwrap();
                assert_eq!((events.len(), spent), (if length == 0 { 1 } else { 3 }, true), "{length} and {padding}");
                assert!(length == 0 || events[..2] == [Event::Stdout(content.clone().into()), Event::Stderr(content.into())]);
            }
        }
    }

    #[test]
    fn what_a_backend_says_of_the_connection_is_passed_over() {
        // FCGI_GET_VALUES_RESULT and FCGI_UNKNOWN_TYPE (sections 4.1 and 4.2).
        let mut bytes = record(10, 0, b"\x0f\x01FCGI_MPXS_CONNS1", 0);
        bytes.extend(record(11, 0, &[77, 0, 0, 0, 0, 0, 0, 0], 0));
        bytes.extend(record(6, 1, b"one", 0));
        bytes.extend(record(3, 1, &[0; 8], 0));
        let (events, spent) = events(bytes.chunks(5)).unwrap();
        assert_eq!((events[0].clone(), events.len(), spent), (Event::Stdout(Bytes::from_static(b"one")), 2, true));
    }

    #[test]
    fn an_end_with_more_content_than_its_status_is_an_end_all_the_same() {
        let mut bytes = record(3, 1, &[0, 0, 0, 7, 2, 0, 0, 0, 1, 2, 3], 2);
        let end = Event::EndRequest { app_status: 7, protocol_status: 2 };
        assert_eq!(events(bytes.chunks(3)), Ok((vec![end.clone()], true)));
        bytes.extend(record(6, 1, b"late", 0));
        assert_eq!(events(bytes.chunks(3)), Ok((vec![end], false)), "what follows is nobody's");
    }

    #[test]
    fn content_is_not_copied() {
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(&record(6, 1, b"content", 0));
        let there = decoder.buffer()[HEADER..].as_ptr();
        assert!(matches!(decoder.event(), Ok(Some(Event::Stdout(bytes))) if bytes.as_ptr() == there));
    }

    #[test]
    fn bytes_after_the_end_make_a_connection_unfit_for_another_request() {
        let end = record(3, 1, &[0; 8], 0);
        assert_eq!(events(std::iter::once(&end[..])).map(|(_, spent)| spent), Ok(true));
        assert_eq!(events([&end[..], b"x"].into_iter()).map(|(_, spent)| spent), Ok(false));
    }

    #[test]
    fn a_breach_of_the_protocol_is_an_error() {
        let mut version = record(6, 1, b"x", 0);
        version[0] = 2;
        for bytes in [version, record(6, 2, b"x", 0), record(3, 0, &[0; 8], 0), record(5, 1, b"x", 0), record(3, 1, &[0; 7], 0)] {
            assert!(events(std::iter::once(&bytes[..])).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_sent_has_the_form_of_the_specification() {
        assert_eq!(header(Outgoing::Stdin, 0x1234), [1, 5, 0, 1, 0x12, 0x34, 0, 0]);
        assert_eq!(begin(false), [0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(begin(true), [0, 1, 1, 0, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            records in prop::collection::vec((0u8..12, 0u16..2, prop::collection::vec(any::<u8>(), 0..40), any::<u8>()), 0..8),
            cut in 1usize..50,
        ) {
            let bytes: Vec<u8> = records.iter().flat_map(|(kind, id, content, padding)| record(*kind, *id, content, *padding)).collect();
            prop_assert_eq!(events(bytes.chunks(cut)), events(std::iter::once(&bytes[..])));
        }

        #[test]
        fn arbitrary_bytes_mean_what_a_simple_reader_takes_them_for(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1u8..20) {
            prop_assert_eq!(agree::disagreement(&bytes, &[size]), None);
        }

        #[test]
        fn arbitrary_records_mean_what_a_simple_reader_takes_them_for(
            records in prop::collection::vec((0u8..13, 0u16..3, prop::collection::vec(any::<u8>(), 0..40), any::<u8>()), 0..8),
            sizes in prop::collection::vec(any::<u8>(), 1..5),
            cut in 0usize..60,
        ) {
            let mut bytes: Vec<u8> = records.iter().flat_map(|(kind, id, content, padding)| record(*kind, *id, content, *padding)).collect();
            bytes.truncate(bytes.len().saturating_sub(cut));
            prop_assert_eq!(agree::disagreement(&bytes, &sizes), None);
        }
    }
}
