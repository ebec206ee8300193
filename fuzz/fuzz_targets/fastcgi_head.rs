//! Any bytes -> the head of a CGI answer says what its lines say, wherever it is cut, and nothing that could split an answer of ours.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run fastcgi_head -- -dict=fuzz/fastcgi.dict -max_len=1024`; the same comparison with generated heads is
//! among the unit tests.

#![no_main]
#![allow(dead_code, reason = "the program asks for more")]

#[path = "../../src/backend/fastcgi/exchange/head/agree.rs"]
mod agree;
#[path = "../../src/backend/fastcgi/exchange/head.rs"]
mod head;

use head::{find_end, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    if let Some(difference) = agree::disagreement(bytes, cut.into()) {
        panic!("{difference}\n{:?}", String::from_utf8_lossy(bytes));
    }
});
