//! Records of a FastCGI backend become events.

use criterion::{BatchSize, Criterion};
use lxcproxy::backend::fastcgi::record::{Decoder, Event};

/// An answer of 10 KB in two records, and its end.
pub(crate) fn decode(criterion: &mut Criterion) {
    let mut bytes = Vec::new();
    for content in [[b'x'; 5000], [b'y'; 5000]] {
        bytes.extend([1, 6, 0, 1, 0x13, 0x88, 0, 0]);
        bytes.extend(content);
    }
    bytes.extend([1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let filled = || {
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(&bytes);
        decoder
    };
    criterion.bench_function("fastcgi/decode 10 KB", |bencher| bencher.iter_batched(filled, end, BatchSize::SmallInput));
}

/// How many events there are until the end.
fn end(mut decoder: Decoder) -> usize {
    let mut count = 0;
    while let Some(event) = decoder.event().unwrap() {
        count += 1;
        if matches!(event, Event::EndRequest { .. }) {
            break;
        }
    }
    count
}
