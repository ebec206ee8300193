//! The hand-written nginx that lxcproxy replaces, and lxcproxy with the sample manifests: the same request to both, in one network, in
//! front of the same containers. Both answer alike and tell the applications the same, but for what `table.rs` and `wanted.rs` name.

mod application;
mod compare;
mod peers;
mod table;
mod tree;
mod wanted;

use std::borrow::Borrow;

use compare::{Pair, compare};
use peers::House;
pub use peers::SAMPLES;
use table::Case;
use wanted::Difference;

use crate::support::needs;

/// Sends every request of the tables to both. Fails with all that differs, and with wanted differences that do not show any more.
fn hold<C: Borrow<Case>>(house: &impl Pair, tables: &[(&[C], &[Difference])]) {
    let mut problems = Vec::new();
    for (cases, differences) in tables {
        let mut used = vec![false; differences.len()];
        problems.extend(cases.iter().flat_map(|case| compare(house, case.borrow(), differences, &mut used)));
        let idle = differences.iter().zip(used).filter(|(_, used)| !used);
        problems.extend(idle.map(|(difference, _)| format!("no request shows {} ({})", difference.name, difference.why)));
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn ttrss_answers_as_the_reference_does() {
    needs!(lxc, root, php_fpm, nginx, curl, ip, python3);
    hold(&House::new(), &[(table::TTRSS, wanted::PHP)]);
}

#[test]
fn seafile_answers_as_the_reference_does() {
    needs!(lxc, root, php_fpm, nginx, curl, ip, python3);
    let tables = [(table::SEAHUB, wanted::SEAHUB), (table::SEAFHTTP, wanted::SEAFHTTP), (table::SEAFMEDIA, &[])];
    hold(&House::new(), &tables);
}

#[test]
fn gitlab_answers_as_the_reference_does() {
    needs!(lxc, root, php_fpm, nginx, curl, ip, python3);
    hold(&House::new(), &[(table::GITLAB, wanted::GITLAB)]);
}

#[test]
fn a_tag_of_each_is_known_again_by_it() {
    needs!(lxc, root, php_fpm, nginx, curl, ip, python3);
    let house = House::new();
    for path in ["/ttrss/style.css", "/seafmedia/css/seahub.css", "/gitlab/robots.txt"] {
        for server in ["reference", "lxcproxy"] {
            let ask = |field: &str, value: &str| {
                let request = if server == "lxcproxy" { house.ours(path) } else { house.theirs(path) };
                request.header(field, value).send()
            };
            let tag = ask("X-First", "1").header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.len() > 2, "{server} {path}: {tag}");
            for (field, value, status) in [
                ("If-None-Match", tag.as_str(), 304),
                ("If-None-Match", &format!("\"x\", {tag}"), 304),
                ("If-None-Match", &format!("W/{tag}"), 304),
                ("If-None-Match", "\"x\"", 200),
                ("If-Match", &tag, 200),
                ("If-Match", "\"x\"", 412),
            ] {
                assert_eq!(ask(field, value).status, status, "{server} {path}: {field}: {value}");
            }
        }
    }
}
