//! Random sequences of changes below the real daemon: after each, it has the Apps that a daemon has that starts then.

use std::collections::BTreeMap;

use lxcproxy::source::list;
use serde_json::Value;

use super::dice::{Dice, seed};
use super::tree::{LAYOUTS, Tree};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::site::Site;

/// Sequences, each with a daemon that starts after it.
const SEQUENCES: usize = 12;

#[test]
fn a_daemon_that_has_seen_all_changes_has_the_apps_of_one_that_starts_now() {
    needs!(rsync, git);
    let (site, seed) = (Site::new("hello"), seed());
    eprintln!("LXCPROXY_TEST_SEED={seed}");
    let mut dice = Dice::new(seed);
    for layout in LAYOUTS {
        let warm = Daemon::builder().arg("--allow-empty").start();
        std::fs::remove_dir(warm.manifests()).unwrap();
        let template = site.version("NAME", "NAME.example.org", "COUNT");
        let text = move |name: &str, count: u64| {
            let name = name.replace(['/', '.'], "-");
            template.replace("NAME", &name).replace("COUNT", &count.to_string())
        };
        let mut tree = Tree::new(warm.scratch(), "manifests", layout, dice.roll(), Box::new(text));
        for _ in 0..SEQUENCES / LAYOUTS.len() {
            let mut ways = Vec::new();
            while ways.len() < 4 || !tree.root.is_dir() {
                ways.push(tree.draw());
                tree.change(ways[ways.len() - 1]);
            }
            compare(&warm, &cold(&tree), &format!("{layout:?}, {ways:?}"));
        }
    }
}

/// A daemon over a copy of what is there.
fn cold(tree: &Tree) -> Daemon {
    let mut daemon = Daemon::builder().arg("--allow-empty");
    for (name, file) in &list(&tree.root).files {
        if let Some(text) = file.bytes.as_deref().ok().and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            daemon = daemon.manifest(name, text);
        }
    }
    daemon.start()
}

fn compare(warm: &Daemon, cold: &Daemon, what: &str) {
    cold.eventually(PATIENCE, || {
        let (warm, cold) = (accepted(warm), accepted(cold));
        // Who of two with one name is older, only one of the daemons knows.
        let names = warm.keys().chain(cold.keys());
        let clear = |name: &&String| [&warm, &cold].iter().all(|apps| apps.get(*name).is_none_or(|claims| claims.len() == 1));
        for name in names.filter(clear) {
            if warm.get(name) != cold.get(name) {
                return Err(format!("{what}: {name} is\n{:?}\nnot\n{:?}", warm.get(name), cold.get(name)));
            }
        }
        Ok(())
    });
}

/// The specs of all manifests that could be served, by the name that they claim.
fn accepted(daemon: &Daemon) -> BTreeMap<String, Vec<Value>> {
    let output = daemon.cli(&["get", "apps", "-o", "json"]).output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut apps: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for item in list["items"].as_array().unwrap() {
        let conditions = item["status"]["conditions"].as_array().unwrap();
        let accepted = conditions.iter().find(|condition| condition["type"] == "Accepted").unwrap();
        if accepted["status"] == "True" || accepted["reason"] == "NameConflict" {
            apps.entry(item["metadata"]["name"].as_str().unwrap().to_owned()).or_default().push(item["spec"].clone());
        }
    }
    apps
}
