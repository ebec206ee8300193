//! A request finds its rule, among few and among many; a table takes a change.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use http::{HeaderMap, Method};
use lxcproxy::api::v1::App;
use lxcproxy::route::{Listeners, Request};

use crate::apps;

/// Apps, each with an exact host, and as many with a wildcard.
pub(crate) fn hosts(criterion: &mut Criterion) {
    let app = apps::app("{path: {value: /}}");
    for count in [10, 1_000, 100_000] {
        let exact = (0..count).map(|number| apps::on(&app, &format!("h{number}.example.org"), number));
        let wild = (0..count).map(|number| apps::on(&app, &format!("*.w{number}.example.org"), count + number));
        let listeners = apps::listeners(exact.chain(wild));
        for (kind, host) in [("exact", "h7.example.org"), ("wildcard", "a.b.w7.example.org")] {
            look_up(criterion, &format!("match/{kind} host of {count}"), &listeners, host, "/a/b", &HeaderMap::new());
        }
    }
}

/// One rule with so many matches.
pub(crate) fn paths(criterion: &mut Criterion) {
    for count in [1, 10, 60] {
        for (kind, one) in [
            ("prefix", &(|number: usize| format!("{{path: {{value: /p{number}/q}}}}")) as &dyn Fn(usize) -> String),
            ("regex", &|number| format!("{{path: {{type: RegularExpression, value: \"/p{number}/.*\"}}}}")),
            ("header", &|number| format!("{{path: {{value: /p0}}, headers: [{{name: X-A, value: \"{number}\"}}]}}")),
        ] {
            let matches: Vec<_> = (0..count).map(one).collect();
            let app = App::clone(&apps::app(&matches.join(", ")));
            let listeners = apps::listeners([apps::compiled(app)]);
            let headers = HeaderMap::from_iter([("x-a".parse().unwrap(), "0".parse().unwrap())]);
            look_up(criterion, &format!("match/{kind} of {count}"), &listeners, "h", "/p0/q/r", &headers);
        }
    }
}

/// One host with so many rules: the first, the last, and one of the same beginning that nobody has.
pub(crate) fn rules(criterion: &mut Criterion) {
    for count in [10, 1_000] {
        for (kind, path) in [("first", "/p0/q/r"), ("last", &*format!("/p{}/q/r", count - 1)), ("rest", "/p0/x")] {
            let rules = (0..count).map(|number| format!("{{path: {{value: /p{number}/q}}}}"));
            let app = App::clone(&apps::app_with(rules.chain(["{path: {value: /}}".to_owned()])));
            let listeners = apps::listeners([apps::compiled(app)]);
            look_up(criterion, &format!("match/{kind} of {count} rules"), &listeners, "h", path, &HeaderMap::new());
        }
    }
}

/// One App is another, beside so many.
pub(crate) fn change(criterion: &mut Criterion) {
    let app = apps::app("{path: {value: /}}");
    for count in [10, 10_000, 100_000] {
        let listeners = apps::listeners((0..count).map(|number| apps::on(&app, &format!("h{number}.example.org"), number)));
        criterion.bench_function(&format!("compile and insert one of {count}"), |bencher| {
            bencher.iter_batched(
                || listeners.clone(),
                |mut listeners| {
                    listeners.insert(&apps::on(&app, "h7.example.org", 7));
                    listeners
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn look_up(criterion: &mut Criterion, name: &str, listeners: &Listeners, host: &str, path: &str, headers: &HeaderMap) {
    let request = Request { host, path, query: None, method: &Method::GET, headers };
    assert!(listeners.find(apps::socket(), &request).is_ok(), "{name}");
    criterion.bench_function(name, |bencher| bencher.iter(|| listeners.find(apps::socket(), black_box(&request)).is_ok()));
}
