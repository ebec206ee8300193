//! Variables become records for a FastCGI backend; its records become events.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use lxcproxy::backend::fastcgi::params::Params;
use lxcproxy::backend::fastcgi::record::{Decoder, Event};

/// What a script is told of a browser's request, about.
const VARIABLES: [(&str, &str); 28] = [
    ("QUERY_STRING", "id=7&lang=en"),
    ("REQUEST_METHOD", "GET"),
    ("REQUEST_URI", "/wiki/index.php?id=7&lang=en"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REQUEST_SCHEME", "https"),
    ("HTTPS", "on"),
    ("GATEWAY_INTERFACE", "CGI/1.1"),
    ("SERVER_SOFTWARE", "lxcproxy/0.1.0"),
    ("REDIRECT_STATUS", "200"),
    ("CONTENT_TYPE", ""),
    ("CONTENT_LENGTH", ""),
    ("SCRIPT_NAME", "/wiki/index.php"),
    ("SCRIPT_FILENAME", "/var/www/wiki/index.php"),
    ("DOCUMENT_URI", "/wiki/index.php"),
    ("DOCUMENT_ROOT", "/var/www"),
    ("REMOTE_ADDR", "192.0.2.1"),
    ("REMOTE_PORT", "47110"),
    ("SERVER_ADDR", "198.51.100.1"),
    ("SERVER_PORT", "443"),
    ("SERVER_NAME", "wiki.example.org"),
    ("HTTP_HOST", "wiki.example.org"),
    ("HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("HTTP_ACCEPT_LANGUAGE", "en-GB,en;q=0.7,de;q=0.3"),
    ("HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd"),
    ("HTTP_REFERER", "https://wiki.example.org/wiki/"),
    ("HTTP_COOKIE", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ("HTTP_UPGRADE_INSECURE_REQUESTS", "1"),
];

/// The head of a request; with one variable that is longer than a record, too.
pub(crate) fn encode(criterion: &mut Criterion) {
    let cookie = "x".repeat(70_000);
    for (name, more) in [("usual", None), ("longer than a record", Some(&cookie))] {
        let variables: Vec<_> = VARIABLES.into_iter().chain(more.map(|cookie| ("HTTP_X_LONG", cookie.as_str()))).collect();
        criterion.bench_function(&format!("fastcgi/encode {name}"), |bencher| bencher.iter(|| head(black_box(&variables))));
    }
}

fn head(variables: &[(&str, &str)]) -> Vec<u8> {
    let mut params = Params::begin(true);
    for (name, value) in variables {
        params.pair(name.as_bytes(), &[value.as_bytes()]);
    }
    params.finish()
}

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
