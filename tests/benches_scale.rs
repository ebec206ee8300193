//! The benches of many Apps and of changes under load, in small: they run, and what they print is sane. Never: how fast anything is.

use std::process::Command;

use crate::support::cli::repository;
use crate::support::daemon::LXCPROXY;
use crate::support::{needs, run, scratch};

/// Runs a bench with this program; returns what it printed, and what it wrote between its markers.
fn bench(name: &str, arguments: &[&str]) -> String {
    let dir = scratch();
    let page = dir.path().join("page.md");
    std::fs::write(&page, format!("before\n<!-- {name} -->\nold\n<!-- /{name} -->\nafter\n")).unwrap();
    let mut command = Command::new(repository().join("benches").join(name).join("run"));
    // Its files are removed with the directory, whatever becomes of it.
    command
        .args(arguments)
        .args(["--binary", LXCPROXY, "--write"])
        .arg(&page)
        .env("TMPDIR", dir.path())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let printed = run(&mut command);
    assert_eq!(
        std::fs::read_to_string(&page).unwrap(),
        format!("before\n<!-- {name} -->\n{printed}<!-- /{name} -->\nafter\n"),
        "the page has what was printed"
    );
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["page.md"], "nothing is left behind");
    printed
}

/// The cells of all rows of tables that begin with this one.
fn rows(printed: &str, first: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches(['|', ' ']).split(" | ").map(str::to_owned).collect::<Vec<_>>();
    printed.lines().filter(|line| line.starts_with('|')).map(cells).filter(|row| row[0] == first).collect()
}

#[test]
fn the_bench_of_many_apps_measures_every_size_beside_nginx() {
    needs!(python3, nginx, wrk, setpriv);
    let sizes = ["--sizes", "10,50", "--changes", "5", "--idle", "0", "--rounds", "1", "--seconds", "1"];
    let printed = bench("scale", &[&sizes[..], &["--peers", "nginx", "--peer-changes", "1"]].concat());
    for size in ["10", "50"] {
        let rows = rows(&printed, size);
        assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [15, 10, 10], "{printed}");
        assert_eq!((rows[1][1].as_str(), rows[2][1].as_str()), ("lxcproxy", "nginx, reload"), "{printed}");
        // Only what needs more Apps, or time, was not measured.
        let dashes: Vec<_> = rows.iter().flatten().filter(|cell| *cell == "-").collect();
        assert_eq!(dashes.len(), 2, "{printed}");
    }
    assert!(printed.contains("a change is live, p99, 10 Apps: "), "{printed}");
}

#[test]
fn the_bench_of_changes_under_load_sees_no_failed_request_and_no_dropped_stream() {
    needs!(python3, nginx, wrk, setpriv);
    let small = ["--apps", "10", "--sockets", "20", "--uploads", "3", "--connections", "8"];
    let printed = bench("swap", &[&small[..], &["--changes", "20", "--rounds", "1", "--seconds", "1"]].concat());
    assert_eq!(rows(&printed, "changes")[0][1..], ["0", "20, 2 of them of Apps under load"], "{printed}");
    assert_eq!(rows(&printed, "failed requests")[0][1..], ["0", "0"], "{printed}");
    let promised = ["failed requests, 20 changes", "dropped WebSockets, of 20", "failed uploads, of 3"];
    for what in [&promised[..], &["changed Apps that don't answer with their last revision"]].concat() {
        assert!(printed.contains(&format!("- pass: {what}: 0 (at most 0)\n")), "{what}\n{printed}");
    }
}
