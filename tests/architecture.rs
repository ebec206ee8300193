//! The laws of the house, read off its source: which room may name which, and what a file looks like.
//!
//! In: `src/` and `tests/`. Out: one line per breach: where, and against which law. Never: a rule that nobody wrote down; the laws are
//! those of the crate's documentation (`src/lib.rs`).

mod source;

use source::{Name, Source};

/// Every room, from the vocabulary down. A room names only rooms above it.
const ROOMS: [&str; 23] = [
    "names",
    "api",
    "metrics",
    "container",
    "dial",
    "listen",
    "route",
    "snapshot",
    "source",
    "manifest",
    "state",
    "resolve",
    "compile",
    "reconcile",
    "backend",
    "health",
    "proxy",
    "server",
    "admin",
    "telemetry",
    "config",
    "daemon",
    "cli",
];

/// What should be, what is, what to serve.
const CONTROL_PLANE: [&str; 6] = ["source", "manifest", "resolve", "compile", "reconcile", "state"];

/// The life of a request.
const SERVING_PLANE: [&str; 4] = ["server", "proxy", "health", "backend"];

/// Rooms and files that know no runtime, clock, file or socket.
const PURE: [&str; 7] = ["names", "api", "route", "manifest", "compile", "reconcile/step", "backend/fastcgi/record"];

/// What a pure room never names: the start of a path.
const IMPURE: [&str; 15] = [
    "tokio",
    "rustix",
    "socket2",
    "notify",
    "hyper",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os::unix::net",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::io::std",
];

const MOST_LINES: usize = 400;
const MOST_LINES_OF_MAIN: usize = 30;

#[test]
fn a_room_names_only_rooms_above_it() {
    let files = source::read_all("src");
    assert!(files.iter().any(|file| !file.names.is_empty()), "nothing was read");
    hold("a room names only rooms above it (ROOMS in tests/architecture.rs)", files.iter().flat_map(closed_doors));
}

#[test]
fn the_planes_meet_in_the_snapshot_only() {
    hold("the serving plane and the control plane never name each other", source::read_all("src").iter().flat_map(between_planes));
}

#[test]
fn a_pure_room_knows_no_runtime_clock_file_or_socket() {
    hold("this room is pure", source::read_all("src").iter().flat_map(impurities));
}

#[test]
fn there_is_one_arc_swap_and_one_publisher() {
    hold("the swap is owned by `snapshot`, the publisher by `reconcile`", source::read_all("src").iter().flat_map(second_owners));
}

#[test]
fn every_path_says_its_room() {
    let files = source::read_all("src");
    let root = files.iter().find(|file| file.path == "src/lib.rs").expect("there is a crate root");
    hold("no `pub use` at the crate root", root.public_uses.iter().map(|line| format!("src/lib.rs:{line}")));
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    let mut files = source::read_all("src");
    files.extend(source::read_all("tests"));
    let undocumented = files.iter().filter(|file| !file.first_line.starts_with("//! "));
    hold("the first line of a file says what it turns into what (`//! ...`)", undocumented.map(|file| format!("{}:1", file.path)));
    let most = |file: &Source| if file.path == "src/main.rs" { MOST_LINES_OF_MAIN } else { MOST_LINES };
    let long = files.iter().filter(|file| file.lines > most(file));
    hold(
        "a file is short: split it by the question it answers",
        long.map(|file| format!("{}: {} lines, {} at most", file.path, file.lines, most(file))),
    );
}

#[test]
fn the_laws_are_seen_to_be_broken() {
    let read = |path: &str, text: &str| Source::read(path.to_owned(), text);
    let breaches = |path: &str, text: &str| closed_doors(&read(path, text));
    assert_eq!(
        breaches("src/dial.rs", "use crate::names;\n\nuse crate::{container::netns, proxy::{self, hop}};"),
        ["src/dial.rs:3: `dial` names `proxy`", "src/dial.rs:3: `dial` names `proxy`"]
    );
    assert_eq!(
        breaches("src/route/a/b.rs", "fn f() { super::super::super::server::run() }"),
        ["src/route/a/b.rs:1: `route` names `server`"]
    );
    assert_eq!(
        breaches("src/route/mod.rs", "type T = Vec<crate::cli::Cli>; const A: char = '\"'; // \"\nuse crate::daemon as names;"),
        ["src/route/mod.rs:1: `route` names `cli`", "src/route/mod.rs:2: `route` names `daemon`"]
    );
    assert_eq!(breaches("src/shed.rs", ""), ["src/shed.rs: `shed` is no room on the list"]);
    let silent = "//! [`crate::cli`]\n/* crate::cli /* crate::cli */ crate::cli */\nconst A: &str = r#\"crate::cli\"#; const B: &[u8] = b\"\\\"crate::cli\";\n\
        fn f<'a>(_: &'a str) -> char { '\\'' }\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n#[cfg(test)]\n#[path = \"x\"]\nmod other;\nuse self::below::X;";
    assert_eq!(breaches("src/names.rs", silent), Vec::<String>::new());
    assert_eq!(breaches("src/names.rs", "#[cfg(not(test))]\nuse crate::cli;").len(), 1);
    assert_eq!(
        between_planes(&read("src/proxy/mod.rs", "use crate::{route, state::Store};")),
        ["src/proxy/mod.rs:1: `proxy` names `state`"]
    );
    assert_eq!(between_planes(&read("src/compile.rs", "use crate::backend::Error;")), ["src/compile.rs:1: `compile` names `backend`"]);
    assert_eq!(
        impurities(&read("src/reconcile/step.rs", "use std::time::{Duration, Instant};")),
        ["src/reconcile/step.rs:1: names `std::time::Instant`"]
    );
    assert_eq!(impurities(&read("src/manifest/mod.rs", "use std::time;\nfn f() { time::SystemTime::now(); tokio::spawn(x) }")).len(), 2);
    assert_eq!(impurities(&read("src/reconcile/mod.rs", "use tokio::time::Instant;")), Vec::<String>::new());
    assert_eq!(second_owners(&read("src/proxy/mod.rs", "use arc_swap::ArcSwap;\nuse crate::snapshot::{Publisher, Reader};")).len(), 2);
}

fn closed_doors(file: &Source) -> Vec<String> {
    let Some(room) = room(&file.path) else { return Vec::new() };
    let Some(floor) = ROOMS.iter().position(|known| *known == room) else {
        return vec![format!("{}: `{room}` is no room on the list", file.path)];
    };
    let below = |name: &&Name| ROOMS[floor + 1..].iter().any(|lower| names_room(name, lower));
    file.names.iter().filter(below).map(|name| format!("{}:{}: `{room}` names `{}`", file.path, name.line, name.segments[1])).collect()
}

fn between_planes(file: &Source) -> Vec<String> {
    let Some(room) = room(&file.path) else { return Vec::new() };
    let other: &[&str] = match room {
        room if CONTROL_PLANE.contains(&room) => &SERVING_PLANE,
        room if SERVING_PLANE.contains(&room) => &CONTROL_PLANE,
        _ => return Vec::new(),
    };
    let over = file.names.iter().filter(|name| other.iter().any(|room| names_room(name, room)));
    over.map(|name| format!("{}:{}: `{room}` names `{}`", file.path, name.line, name.segments[1])).collect()
}

fn impurities(file: &Source) -> Vec<String> {
    let place = file.path.trim_start_matches("src/").trim_end_matches(".rs");
    if !PURE.iter().any(|pure| place == *pure || place.starts_with(&format!("{pure}/"))) {
        return Vec::new();
    }
    let impure = |name: &&Name| {
        let path = name.segments.join("::");
        let starts = IMPURE
            .iter()
            .any(|start| path.strip_prefix(start).is_some_and(|rest| start.contains("::") || rest.is_empty() || rest.starts_with(':')));
        starts || name.segments.iter().any(|segment| matches!(segment.as_str(), "Instant" | "SystemTime"))
    };
    file.names.iter().filter(impure).map(|name| format!("{}:{}: names `{}`", file.path, name.line, name.segments.join("::"))).collect()
}

fn second_owners(file: &Source) -> Vec<String> {
    let room = room(&file.path).unwrap_or_default();
    let foreign = |name: &&Name| {
        let swap = name.segments[0] == "arc_swap" && room != "snapshot";
        let publisher = name.segments.iter().any(|segment| segment == "Publisher") && !["snapshot", "reconcile", "daemon"].contains(&room);
        swap || publisher
    };
    file.names.iter().filter(foreign).map(|name| format!("{}:{}: names `{}`", file.path, name.line, name.segments.join("::"))).collect()
}

/// `src/route/table.rs` -> `route`; none for the crate's roots.
fn room(path: &str) -> Option<&str> {
    let name = path.strip_prefix("src/")?.split('/').next()?.trim_end_matches(".rs");
    (!matches!(name, "lib" | "main")).then_some(name)
}

fn names_room(name: &Name, room: &str) -> bool {
    matches!(name.segments.as_slice(), [first, second, ..] if matches!(first.as_str(), "crate" | "lxcproxy") && second == room)
}

/// Fails with every breach, one a line.
fn hold(law: &str, breaches: impl Iterator<Item = String>) {
    let breaches: Vec<String> = breaches.collect();
    assert!(breaches.is_empty(), "\nlaw: {law}\n{}\n", breaches.join("\n"));
}
