//! Any bytes -> the guard and hyper alone read the same requests in them, or the guard has refused what they read differently.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run guard -- -dict=fuzz/guard.dict -max_len=2048`; the same comparison with generated requests is among
//! the unit tests. The files are built as they are, without the rest of the program: it knows nothing of a fuzzer.

#![no_main]
#![allow(dead_code, reason = "the program asks the guard for more than it lets through")]

#[path = "../../src/server/guard/tests/agree.rs"]
mod agree;
#[path = "../../src/server/guard/mod.rs"]
mod guard;

use guard::{Guard, Limits, Then};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(difference) = agree::disagreement(bytes) {
        panic!("{difference}\n{:?}", String::from_utf8_lossy(bytes));
    }
});
