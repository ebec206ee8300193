//! `benches/peers/run`: what it needs is there, and its tables have what they promise. Never how fast anything is.

use std::process::Command;

use crate::support::cli::repository;
use crate::support::daemon::LXCPROXY;
use crate::support::{needs, run};

fn bench(words: &[&str]) -> String {
    run(Command::new(repository().join("benches/peers/run")).args(words))
}

/// The cells of the line of a table that begins with this one.
fn cells<'a>(text: &'a str, first: &str) -> Vec<&'a str> {
    let lines = text.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    lines.into_iter().find(|cells| cells[0] == first).unwrap_or_else(|| panic!("no line {first}:\n{text}"))
}

/// The number in front of a unit and of a ratio in brackets.
fn number(cell: &str) -> f64 {
    let digits = cell.split_whitespace().next().unwrap_or_default().replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("no number: {cell}"))
}

#[test]
fn the_jobs_are_listed() {
    needs!(python3);
    let list = bench(&["--list"]);
    let names: Vec<_> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let asked = ["http-127-64", "http-1m-1000", "access-log", "rate-all", "fastcgi", "file-100m", "upload-100m", "websocket", "memory"];
    for name in asked {
        assert!(names.contains(&name), "{name}: {list}");
    }
}

#[test]
fn nginx_and_lxcproxy_stand_side_by_side_in_a_table() {
    needs!(python3, nginx, wrk, gcc, setpriv);
    let small = ["--rounds", "1", "--seconds", "1", "--only", "http-127-64", "--peers", "nginx", "--binary", LXCPROXY];
    let printed = bench(&small);
    let columns = cells(&printed, "proxy");
    assert_eq!(columns[1..3], ["requests/s", "CPU per request"], "{printed}");
    for (proxy, ratio) in [("nginx", Some("(1.00)")), ("lxcproxy", None)] {
        let line = cells(&printed, proxy);
        assert_eq!(line.len(), columns.len(), "{printed}");
        for cell in &line[1..] {
            assert!(number(cell) > 0.0, "{proxy}: {cell}\n{printed}");
            assert!(cell.ends_with(ratio.unwrap_or(")")), "{proxy}: {cell}\n{printed}");
        }
    }
    // Whether it is met depends on the machine and the build; that it is judged does not.
    let target = cells(&printed, "HTTP over a unix socket, CPU per request");
    assert_eq!(target[1], "0.9 x nginx", "{printed}");
    assert!(target[3] == "met" || target[3] == "**missed**", "{printed}");
}
