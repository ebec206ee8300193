//! An update never makes a working application worse: at run time, after `kill -9`, and whatever else lies in the directory.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::site::Site;

const HOST: &str = "site.example.org";

fn version(daemon: &Daemon) -> String {
    let answer = daemon.request("/").host(HOST).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("x-version").to_owned()
}

/// Ways to break a manifest, and what the one line has to say.
fn mistakes(good: &str) -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("syntax", format!("{good}oops: [\n"), "site.yaml:"),
        ("unknown field", good.replace("backendRefs:", "backendRef:"), "backendRefs"),
        ("wrong type", good.replace("hostnames: [site.example.org]", "hostnames: 5"), "spec.hostnames"),
        ("bad reference", good.replace("[{name: web}]", "[{name: wob}]"), "wob"),
        ("half a file", good[..good.len() / 2].to_owned(), "site.yaml:"),
        ("empty", String::new(), "site.yaml"),
    ]
}

#[test]
fn a_broken_manifest_keeps_the_site_as_it_was_and_one_line_says_why() {
    let site = Site::new("hello");
    let good = site.version("site", HOST, "1");
    let daemon = Daemon::builder().manifest("site.yaml", &good).start();
    daemon.wait_condition("site", "Ready", PATIENCE);
    for (what, broken, said) in mistakes(&good) {
        daemon.manifest("site.yaml", &broken);
        let message = daemon.wait_reason("site", "Accepted", "Invalid", PATIENCE);
        assert!(message.contains("site.yaml") && message.contains(said), "{what}: {message}");
        assert_eq!(version(&daemon), "1", "{what}");
        let table = daemon.cli(&["get", "apps"]).output().unwrap();
        let table = String::from_utf8(table.stdout).unwrap();
        let row = table.lines().find(|line| line.starts_with("site ")).unwrap_or_else(|| panic!("{table}"));
        assert!(row.contains("site.yaml") && row.contains("False"), "{what}: {table}");
        daemon.manifest("site.yaml", &good);
        daemon.wait_condition("site", "Ready", PATIENCE);
    }
}

#[test]
fn line_and_column_of_a_mistake_are_told() {
    let site = Site::new("hello");
    let good = site.version("site", HOST, "1");
    let line = 1 + good.lines().position(|line| line.contains("hostnames")).unwrap();
    let daemon = Daemon::builder().manifest("site.yaml", &good.replace("hostnames", "hostname")).start();
    let message = daemon.wait_reason("site", "Accepted", "Invalid", PATIENCE);
    assert!(message.starts_with(&format!("site.yaml:{line}:3: spec.hostname")), "{message}");
    assert!(message.contains("did you mean `hostnames`"), "{message}");
}

#[test]
fn an_update_whose_socket_is_not_there_waits_until_it_is() {
    let site = Site::new("hello");
    let good = site.version("site", HOST, "1");
    let daemon = Daemon::builder().manifest("site.yaml", &good).start();
    daemon.wait_condition("site", "Ready", PATIENCE);
    daemon.manifest("site.yaml", &site.version("site", HOST, "2").replace("/run/app.sock", "/run/new.sock"));
    let message = daemon.wait_reason("site", "Programmed", "LastKnownGood", PATIENCE);
    assert!(message.contains("generation 1") && message.contains("generation 2") && message.contains("/run/new.sock"), "{message}");
    assert_eq!(version(&daemon), "1");
    fs::rename(site.rootfs().join("run/app.sock"), site.rootfs().join("run/new.sock")).unwrap();
    daemon.wait_condition("site", "Ready", PATIENCE);
    assert_eq!(version(&daemon), "2");
}

#[test]
fn a_manifest_broken_while_the_daemon_was_killed_is_served_as_it_was() {
    let site = Site::new("hello");
    let good = site.version("site", HOST, "1");
    let mut daemon = Daemon::builder().manifest("site.yaml", &good).start();
    daemon.wait_condition("site", "Ready", PATIENCE);
    let uid = daemon.apps()["site"]["metadata"]["uid"].clone();
    for (what, broken, _) in mistakes(&good) {
        // The first generation was served and kept before the daemon said that it is ready.
        daemon.kill9();
        daemon.manifest("site.yaml", &broken);
        daemon.restart();
        assert_eq!(version(&daemon), "1", "{what}");
        daemon.wait_reason("site", "Programmed", "LastKnownGood", PATIENCE);
        assert_eq!(daemon.apps()["site"]["metadata"]["uid"], uid, "{what}");
    }
    daemon.manifest("site.yaml", &site.version("site", HOST, "2"));
    daemon.wait_condition("site", "Ready", PATIENCE);
    assert_eq!(version(&daemon), "2");
    assert_eq!(daemon.apps()["site"]["metadata"]["generation"], 2);
}

#[test]
fn a_hopeless_manifest_beside_it_changes_nothing_at_run_time_or_at_start() {
    let site = Site::new("hello");
    let mut daemon = Daemon::builder().manifest("site.yaml", &site.version("site", HOST, "1")).start();
    daemon.wait_condition("site", "Ready", PATIENCE);
    let transition = daemon.apps()["site"]["status"]["conditions"].clone();
    for (name, text) in [("a-hopeless.yaml", "{{{{ %\t"), ("z-hopeless.yaml", "kind: App\nmetadata: {name: site}\n"), ("n.yaml", "5")] {
        daemon.manifest(name, text);
        daemon.eventually(PATIENCE, || {
            let log = daemon.log();
            if log.contains(name) { Ok(()) } else { Err(format!("nothing is said about {name}")) }
        });
        assert_eq!(version(&daemon), "1", "{name}");
        assert_eq!(daemon.apps()["site"]["status"]["conditions"], transition, "{name}");
    }
    daemon.restart();
    daemon.wait_condition("site", "Ready", PATIENCE);
    assert_eq!(version(&daemon), "1");
}

#[test]
fn a_manifest_directory_that_is_empty_or_gone_is_no_deletion() {
    let site = Site::new("hello");
    let mut daemon = Daemon::builder().manifest("site.yaml", &site.version("site", HOST, "1")).start();
    daemon.wait_condition("site", "Ready", PATIENCE);
    daemon.remove_manifest("site.yaml");
    daemon.wait_log(PATIENCE, |line| line.contains("directory is empty"));
    assert_eq!(version(&daemon), "1");
    fs::remove_dir(daemon.manifests()).unwrap();
    daemon.wait_log(PATIENCE, |line| line.contains("what is served stays") && !line.contains("is empty"));
    assert_eq!(version(&daemon), "1");
    daemon.restart();
    assert_eq!(version(&daemon), "1");
    fs::create_dir(daemon.manifests()).unwrap();
    daemon.manifest("site.yaml", &site.version("site", HOST, "2"));
    daemon.eventually(PATIENCE, || if version(&daemon) == "2" { Ok(()) } else { Err("still the old one".to_owned()) });
}

#[test]
fn a_manifest_that_is_taken_away_takes_its_routes_along() {
    let site = Site::new("hello");
    let daemon = Daemon::builder()
        .manifest("site.yaml", &site.version("site", HOST, "1"))
        .manifest("other.yaml", &site.version("other", "other.example.org", "1"))
        .start();
    daemon.wait_condition("other", "Ready", PATIENCE);
    daemon.remove_manifest("other.yaml");
    daemon.eventually(PATIENCE, || match daemon.request("/").host("other.example.org").send().status {
        404 => Ok(()),
        status => Err(format!("still {status}")),
    });
    assert!(!daemon.apps().contains_key("other"));
    assert_eq!(version(&daemon), "1");
}

#[test]
fn a_missing_backend_answers_503_and_heals_when_its_socket_appears() {
    let mut site = Site::new("hello");
    site.stop();
    let daemon = Daemon::builder().manifest("site.yaml", &site.version("site", HOST, "1")).start();
    daemon.wait_reason("site", "ResolvedRefs", "SocketNotFound", PATIENCE);
    let answer = daemon.request("/").host(HOST).send();
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(answer.text().contains("app: site"), "{}", answer.text());
    assert!(!answer.text().contains("app.sock"), "no path is told: {}", answer.text());
    // Looks without an event come 5, 15, 35... ms after the first, one of them after 5 s, the next after 10 s: it would hide a missing event.
    let began = Instant::now();
    daemon.eventually(PATIENCE, || if began.elapsed() > Duration::from_millis(5500) { Ok(()) } else { Err("too early".to_owned()) });
    site.start("back");
    let appeared = Instant::now();
    daemon.wait_condition("site", "Ready", PATIENCE);
    // Some milliseconds, and what `lxcproxy get` itself takes on a machine that is busy with other tests.
    assert!(appeared.elapsed() < Duration::from_secs(2), "{:?}", appeared.elapsed());
    assert_eq!(daemon.request("/").host(HOST).send().text(), "back\n");
}

#[test]
fn a_claim_whose_backend_is_away_answers_503_itself_and_never_falls_through() {
    let (site, mut other) = (Site::new("site"), Site::new("other"));
    let below =
        other.version("below", HOST, "below").replace("  - backendRefs:", "  - matches: [{path: {value: /below}}]\n    backendRefs:");
    let daemon = Daemon::builder().manifest("site.yaml", &site.version("site", HOST, "1")).manifest("below.yaml", &below).start();
    daemon.wait_condition("below", "Ready", PATIENCE);
    assert_eq!(daemon.request("/below/x").host(HOST).send().header("x-version"), "below");
    other.stop();
    let answer = daemon.request("/below/x").host(HOST).send();
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("app: below"), "{}", answer.text());
    daemon.manifest("below.yaml", &below.replace("spec:", "spec: ["));
    daemon.wait_reason("below", "Accepted", "Invalid", PATIENCE);
    assert_eq!(daemon.request("/below/x").host(HOST).send().status, 503, "a broken manifest keeps its claim");
    assert_eq!(version(&daemon), "1");
}

#[test]
fn the_manifest_directory_is_read_and_never_written() {
    let site = Site::new("hello");
    let mut daemon = Daemon::builder().manifest("site.yaml", &site.version("site", HOST, "1")).start();
    let look = |daemon: &Daemon| {
        let stamp = |path: &std::path::Path| fs::metadata(path).unwrap().modified().unwrap();
        let mut names: Vec<_> = fs::read_dir(daemon.manifests()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let stamps: Vec<_> = names.iter().map(|name| stamp(name)).collect();
        (stamp(&daemon.manifests()), names, stamps)
    };
    let before = look(&daemon);
    daemon.wait_condition("site", "Ready", PATIENCE);
    daemon.restart();
    daemon.wait_condition("site", "Ready", PATIENCE);
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_exit(PATIENCE);
    assert_eq!(look(&daemon), before);
}

#[test]
fn events_lead_to_what_a_cold_start_finds() {
    let site = Site::new("hello");
    let manifest = |name: &str, version: &str| site.version(name, &format!("{name}.example.org"), version);
    let mut daemon = Daemon::builder().manifest("site.yaml", &manifest("site", "1")).start();
    let dir = daemon.manifests();
    let place = |name: &str| dir.join(name);
    let sub = place("team/deep");
    let steps: [&dyn Fn(); 6] = [
        &|| fs::write(place("site.yaml"), manifest("site", "2")).unwrap(),
        &|| fs::write(place("both.yml"), [manifest("one", "1"), manifest("two", "1")].join("---\n")).unwrap(),
        &|| fs::create_dir_all(&sub).and_then(|()| fs::write(sub.join("below.yaml"), manifest("below", "1"))).unwrap(),
        &|| fs::write(place("both.yml"), manifest("two", "2")).unwrap(),
        &|| fs::rename(sub.join("below.yaml"), place("moved.yaml")).unwrap(),
        &|| fs::write(place(".hidden.yaml"), manifest("hidden", "1")).and_then(|()| fs::write(place("x.yaml~"), "[")).unwrap(),
    ];
    let seen = |daemon: &Daemon| {
        let shown = |app: &serde_json::Value| (app["spec"].clone(), app["status"]["file"].clone(), reasons(app));
        daemon.apps().iter().map(|(name, app)| (name.clone(), shown(app))).collect::<Vec<_>>()
    };
    for (number, step) in steps.iter().enumerate() {
        step();
        let mut copy = Daemon::builder();
        for file in files_below(&dir) {
            let name = file.strip_prefix(&dir).unwrap().to_str().unwrap().to_owned();
            copy = copy.manifest(&name, &fs::read_to_string(&file).unwrap());
        }
        let cold = copy.start();
        daemon.eventually(PATIENCE, || {
            let (warm, cold) = (seen(&daemon), seen(&cold));
            if warm == cold { Ok(()) } else { Err(format!("after step {number}:\n{warm:?}\nnot\n{cold:?}")) }
        });
    }
    // Who is older is known from the state only: two files with one name, the later one first by path.
    fs::copy(place("moved.yaml"), place("again.yaml")).unwrap();
    daemon.wait_log(PATIENCE, |line| line.contains("again.yaml") && line.contains("NameConflict"));
    let before = seen(&daemon);
    daemon.restart();
    assert_eq!(seen(&daemon), before);
    assert_eq!(daemon.apps()["below"]["status"]["file"], "moved.yaml");
}

fn reasons(app: &serde_json::Value) -> Vec<String> {
    let conditions = app["status"]["conditions"].as_array().unwrap();
    conditions.iter().map(|condition| format!("{} {}", condition["type"], condition["reason"])).collect()
}

fn files_below(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
