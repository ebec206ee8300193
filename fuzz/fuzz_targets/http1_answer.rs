//! Any bytes -> an HTTP/1.1 answer is read alike wherever it is cut, and nothing in it could split an answer of ours.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run http1_answer -- -max_len=2048`; generated chunks and heads are among the unit tests.

#![no_main]
#![allow(dead_code, reason = "the program asks for more")]

#[path = "../../src/backend/http/answer.rs"]
mod answer;
#[path = "../../src/backend/http/decoder.rs"]
mod decoder;

use bytes::Bytes;
use decoder::{Decoder, Step};
use http::Method;
use libfuzzer_sys::fuzz_target;

/// The body, whether it is whole, and how much belongs to nothing; `None`: it is refused. `piece`: how many bytes come at once.
fn read(framing: answer::Framing, bytes: &Bytes, piece: usize) -> Option<(Vec<u8>, bool, usize)> {
    let (mut decoder, mut body, mut came, mut at) = (Decoder::new(framing), Vec::new(), Bytes::new(), 0);
    loop {
        match decoder.next(&mut came).ok()? {
            Step::Data(data) => body.extend_from_slice(&data),
            Step::End => return Some((body, true, came.len() + bytes.len() - at)),
            Step::More if at == bytes.len() => return Some((body, decoder.may_end(), 0)),
            Step::More => {
                assert!(came.is_empty(), "bytes are left over");
                let end = bytes.len().min(at + piece);
                came = bytes.slice(at..end);
                at = end;
            }
        }
    }
}

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (piece, asks_head, bytes) = input;
    let method = if asks_head { Method::HEAD } else { Method::GET };
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(Some(head)) = answer::parse(&bytes, &method) else { return };
    assert!(matches!(answer::parse(&bytes.slice(..head.length - 1), &method), Ok(None)), "a head without its last byte is whole");
    for (name, value) in &head.headers {
        assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name} would split an answer: {value:?}");
    }
    assert!(head.headers.get_all("content-length").iter().count() <= 1 && !head.headers.contains_key("transfer-encoding"));
    let body = bytes.slice(head.length..);
    assert_eq!(read(head.framing, &body, body.len().max(1)), read(head.framing, &body, usize::from(piece).max(1)));
});
