//! The head of an answer in HTTP/1.1 -> status, fields, and where its body ends (pure; RFC 9112 sections 4 to 6).
//!
//! In: bytes. Out: [`Answer`]. Never: a length that can be read in two ways; more than 100 fields; a field that frames the body beside one
//! that does so differently.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// The longest head.
pub(super) const LONGEST: usize = 128 * 1024;
/// The most fields.
const FIELDS: usize = 100;
/// Fields that there is room for beside those that came: filters add some, and the server reads the client's next head into the same map.
/// Without it each map that grows is two allocations more.
const SPARE: usize = 4;

/// A head.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// Its words, where they are not the usual ones.
    pub(super) reason: Option<Bytes>,
    /// The fields, without `Transfer-Encoding`; `Content-Length` at most once.
    pub(super) headers: HeaderMap,
    /// Where the body ends.
    pub(super) framing: Framing,
    /// The connection may be used again behind the body.
    pub(super) keeps: bool,
    /// The length of the head in bytes.
    pub(super) length: usize,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Sized(u64),
    /// After the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// What the fields say of the connection and of the body.
#[derive(Default)]
struct Said<'b> {
    closes: bool,
    /// Values of `Transfer-Encoding`, and whether the only one is `chunked`.
    codings: usize,
    chunked: bool,
    lengths: usize,
    length: Option<u64>,
    /// The last of the lengths, as it came.
    text: &'b [u8],
    /// No length, or another one than before.
    unclear: bool,
}

/// Reads a head at the front; `None`: it is not whole. Values share the memory of `bytes`. `method`: what was asked by.
///
/// # Errors
/// What is no HTTP/1, or can be read in two ways.
pub(super) fn parse(bytes: &Bytes, method: &Method) -> Result<Option<Answer>, &'static str> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; FIELDS];
    let mut head = httparse::Response::new(&mut []);
    let read = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut head, bytes, &mut room);
    let length = match read {
        Ok(httparse::Status::Complete(length)) if length <= LONGEST => length,
        Ok(httparse::Status::Partial) if bytes.len() <= LONGEST => return Ok(None),
        Ok(_) => return Err("the head of its answer is too long"),
        Err(httparse::Error::TooManyHeaders) => return Err("its answer has too many fields"),
        Err(_) => return Err("the head of its answer is not HTTP"),
    };
    let status = head.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("the status of its answer is none")?;
    let is_1_0 = head.version != Some(1);
    let mut said = Said::default();
    let mut headers = HeaderMap::with_capacity(head.headers.len() + SPARE);
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "a field of its answer has an invalid name")?;
        if said.hear(&name, field.value) {
            let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
            headers.append(name, value.map_err(|_| "a field of its answer has an invalid value")?);
        }
    }
    let reason = head.reason.filter(|reason| Some(*reason) != status.canonical_reason());
    let reason = reason.map(|reason| bytes.slice_ref(reason.as_bytes()));
    let (framing, is_framed) = said.framing(status, method, is_1_0)?;
    if said.codings == 0
        && !said.unclear
        && let Some(length) = said.length
    {
        headers.insert(CONTENT_LENGTH, said.told(length, bytes));
    }
    let is_clear = said.codings == 0 || said.lengths == 0;
    let keeps = is_framed && is_clear && !is_1_0 && !said.closes;
    Ok(Some(Answer { status, reason, headers, framing, keeps, length }))
}

impl<'b> Said<'b> {
    /// Takes note of a field; `true`: it is one like any other.
    fn hear(&mut self, name: &HeaderName, value: &'b [u8]) -> bool {
        if *name == TRANSFER_ENCODING {
            self.codings += 1;
            self.chunked = self.codings == 1 && value.trim_ascii().eq_ignore_ascii_case(b"chunked");
        } else if *name == CONTENT_LENGTH {
            self.lengths += 1;
            self.text = value;
            for text in value.split(|byte| *byte == b',') {
                let length = number(text.trim_ascii());
                self.unclear |= length.is_none() || self.length.is_some_and(|known| Some(known) != length);
                self.length = length;
            }
        } else {
            if *name == CONNECTION {
                self.closes |= value.split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"));
            }
            return true;
        }
        false
    }

    /// What the client is told of the length: the bytes that came, if they are what we would write. That is two allocations less than a
    /// number that is written anew.
    fn told(&self, length: u64, bytes: &Bytes) -> HeaderValue {
        let is_plain = self.text.iter().all(u8::is_ascii_digit) && !(self.text.len() > 1 && self.text.starts_with(b"0"));
        let came = is_plain.then(|| HeaderValue::from_maybe_shared(bytes.slice_ref(self.text)).ok()).flatten();
        came.unwrap_or_else(|| length.into())
    }

    /// Where the body ends (RFC 9112 section 6.3), and whether the connection goes on behind it.
    fn framing(&self, status: StatusCode, method: &Method, is_1_0: bool) -> Result<(Framing, bool), &'static str> {
        if *method == Method::CONNECT && status.is_success() {
            return Ok((Framing::Sized(0), false));
        }
        if *method == Method::HEAD || status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok((Framing::Sized(0), true));
        }
        match self.codings {
            0 if self.unclear => Err("the length of its answer is unclear"),
            0 => Ok(self.length.map_or((Framing::Close, false), |length| (Framing::Sized(length), true))),
            _ if is_1_0 || !self.chunked => Err("its answer has a transfer coding that is not known here"),
            _ => Ok((Framing::Chunked, true)),
        }
    }
}

/// Digits, and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|number| *number <= u64::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(fields: &str) -> Result<Option<Answer>, &'static str> {
        parse(&Bytes::from(format!("HTTP/1.1 200 OK\r\n{fields}\r\n")), &Method::GET)
    }

    fn framing(fields: &str) -> Option<(Framing, bool)> {
        read(fields).ok().map(|answer| answer.map(|answer| (answer.framing, answer.keeps)).unwrap())
    }

    #[test]
    fn a_body_ends_where_its_fields_agree() {
        for (fields, expected) in [
            ("content-length: 7\r\n", Some((Framing::Sized(7), true))),
            ("content-length: 7\r\ncontent-length: 7\r\n", Some((Framing::Sized(7), true))),
            ("content-length: 7, 7\r\n", Some((Framing::Sized(7), true))),
            ("content-length: 7\r\nconnection: x, Close\r\n", Some((Framing::Sized(7), false))),
            ("transfer-encoding: Chunked\r\n", Some((Framing::Chunked, true))),
            ("transfer-encoding: chunked\r\ncontent-length: 7\r\n", Some((Framing::Chunked, false))),
            ("", Some((Framing::Close, false))),
            ("content-length: 7\r\ncontent-length: 8\r\n", None),
            ("content-length: 7, 8\r\n", None),
            ("content-length: +7\r\n", None),
            ("content-length: \r\n", None),
            ("content-length: 99999999999999999999\r\n", None),
            ("transfer-encoding: gzip, chunked\r\n", None),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", None),
            ("transfer-encoding: xchunked\r\n", None),
            ("x: 1\r\n folded\r\n", None),
            ("x : 1\r\n", None),
        ] {
            assert_eq!(framing(fields), expected, "{fields:?}");
        }
        assert!(parse(&Bytes::from_static(b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"), &Method::GET).is_err());
    }

    #[test]
    fn a_length_is_told_as_one_plain_number_however_it_came() {
        for (fields, told) in [
            ("content-length: 7\r\n", "7"),
            ("content-length: 0\r\n", "0"),
            ("content-length:  7\t\r\n", "7"),
            ("content-length: 007\r\n", "7"),
            ("content-length: 00\r\n", "0"),
            ("content-length: 7, 7\r\n", "7"),
            ("content-length: 7\r\ncontent-length: 07\r\n", "7"),
            ("content-length: 07\r\ncontent-length: 7\r\n", "7"),
        ] {
            let headers = read(fields).unwrap().unwrap().headers;
            assert_eq!(headers.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), [told], "{fields:?}");
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        let text = |status: u16| Bytes::from(format!("HTTP/1.1 {status} X\r\ncontent-length: 7, 7\r\n\r\n"));
        for (status, method) in [(204, Method::GET), (304, Method::GET), (200, Method::HEAD), (100, Method::GET)] {
            let answer = parse(&text(status), &method).unwrap().unwrap();
            assert_eq!((answer.framing, answer.keeps, &answer.headers[CONTENT_LENGTH]), (Framing::Sized(0), true, &HeaderValue::from(7)));
            assert_eq!(answer.reason.as_deref(), Some(&b"X"[..]));
        }
    }

    #[test]
    fn a_head_that_is_too_long_or_no_head_is_refused() {
        assert!(parse(&Bytes::from(vec![b'a'; 9]), &Method::GET).is_err());
        assert!(read(&"x: 1\r\n".repeat(FIELDS)).is_ok() && read(&"x: 1\r\n".repeat(FIELDS + 1)).is_err());
        assert!(read(&format!("x: {}\r\n", "a".repeat(LONGEST))).is_err());
        assert!(read("x: \u{e4}\r\n").is_ok(), "obs-text");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes.into(), &Method::GET);
        }

        #[test]
        fn a_head_is_whole_only_behind_its_last_byte(fields in "(X-A: [a-z]{0,9}\r\n){0,5}", cut in 0usize..80) {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            let whole = parse(&Bytes::from(text.clone()), &Method::GET).unwrap().unwrap();
            prop_assert_eq!(whole.length, text.len());
            let cut = cut.min(text.len() - 1);
            prop_assert!(parse(&Bytes::from(text[..cut].to_owned()), &Method::GET).unwrap().is_none());
        }
    }
}
