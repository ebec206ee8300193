//! Any names and values -> another reader of the specification finds the same in the head of a FastCGI request.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run fastcgi_params`; the same comparison at every boundary is among the unit tests.

#![no_main]
#![allow(dead_code, reason = "the program asks for more")]

#[path = "../../src/backend/fastcgi/params/pairs.rs"]
mod pairs;
#[path = "../../src/backend/fastcgi/params/read_back.rs"]
mod read_back;
#[path = "../../src/backend/fastcgi/record.rs"]
mod record;

/// Where the files under test look for each other.
mod backend {
    pub(crate) mod fastcgi {
        pub(crate) use crate::record;
    }
}

use libfuzzer_sys::fuzz_target;

/// Lengths near which something changes; a fuzzer finds none of 65,535 bytes by itself.
const LENGTHS: [usize; 8] = [0, 127, 255, 4_096, 65_522, 65_529, 65_535, 131_064];

fuzz_target!(|input: (bool, Vec<(u8, u8, u8)>)| {
    let (keep, sizes) = input;
    let mut params = pairs::Params::begin(keep);
    let mut expected = Vec::new();
    for (name, value, cut) in sizes.into_iter().take(12) {
        // The upper three bits choose a length, the others go beyond it.
        let bytes = |size: u8, fill: u8| vec![fill; LENGTHS[usize::from(size >> 5)] + usize::from(size & 31)];
        let (name, value) = (bytes(name, b'N'), bytes(value, cut));
        let (first, second) = value.split_at(value.len() * usize::from(cut) / 256);
        params.pair(&name, &[first, second]);
        expected.push((name, value));
    }
    assert!(read_back::read_back(&params.finish()) == Ok(expected));
});
