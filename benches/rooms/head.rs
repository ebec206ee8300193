//! The path of a request is checked, and its dot segments go.

use std::hint::black_box;

use criterion::Criterion;
use lxcproxy::route::path::normalise;

pub(crate) fn paths(criterion: &mut Criterion) {
    for (name, path) in [("plain", "/static/css/site.css"), ("encoded", "/a%20b/c%2Fd"), ("dots", "/a/./b/../c/%2e%2e/d")] {
        criterion.bench_function(&format!("path/{name}"), |bencher| bencher.iter(|| normalise(black_box(path)).is_ok()));
    }
}
