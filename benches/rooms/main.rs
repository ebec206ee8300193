//! How long the pure rooms take: `cargo bench --bench rooms`.

#![allow(clippy::unwrap_used, reason = "a bench that can't go on fails")]

mod apps;
mod fastcgi;
mod head;
mod route;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for bench in [route::hosts, route::paths, route::rules, route::change, head::paths, fastcgi::encode, fastcgi::decode] {
        bench(&mut criterion);
    }
    criterion.final_summary();
}
