//! Any bytes, cut anywhere -> the decoder of FastCGI records and a simple reading of them say the same.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run fastcgi_records -- -dict=fuzz/fastcgi.dict -max_len=2048`; the same comparison with generated records
//! is among the unit tests.

#![no_main]
#![allow(dead_code, reason = "the program asks for more")]

#[path = "../../src/backend/fastcgi/record/agree.rs"]
mod agree;
#[path = "../../src/backend/fastcgi/record.rs"]
mod record;

use libfuzzer_sys::fuzz_target;
use record::{Decoder, Event};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (bytes, sizes) = input;
    if let Some(difference) = agree::disagreement(bytes, if sizes.is_empty() { &[1] } else { sizes }) {
        panic!("{difference}\n{bytes:?}");
    }
});
