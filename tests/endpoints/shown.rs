//! Who is told how endpoints are: conditions, `get backends`, `describe`, metrics.

use super::House;
use super::peer::{Mode, Peer};
use crate::support::daemon::PATIENCE;
use crate::support::needs;

#[test]
fn each_endpoint_is_a_reference_of_its_own() {
    needs!(curl);
    let mut house = House::unready(&["a", "b", "c"], &["a"], "", "");
    let message = house.daemon.wait_reason("blog", "ResolvedRefs", "SocketNotFound", PATIENCE);
    let lines: Vec<_> = message.lines().collect();
    let expected = ["b", "c"].map(|name| format!("endpoint `/run/{name}.sock` of backend `web`: there is no socket at /run/{name}.sock"));
    assert_eq!(lines, expected);
    let (status, _, partly) = house.daemon.condition("blog", "PartiallyResolved").unwrap();
    assert_eq!((status.as_str(), partly.as_str()), ("True", "2 of 3 references are not there"));
    let run = house.dir.path().join("run");
    house.peers.extend(["b", "c"].map(|name| Peer::start(&run, name)));
    house.daemon.wait_condition("blog", "Ready", PATIENCE);
}

#[test]
fn an_update_is_served_while_one_endpoint_is_there_and_waits_while_none_is() {
    needs!(curl);
    let mut house = House::new(&["a"], "", "");
    house.rewrite(&[("web", &["a", "b"])], "", "");
    assert!(house.daemon.condition("blog", "PartiallyResolved").is_some());
    let served = house.generation();
    house.daemon.manifest("blog.yaml", &super::manifest(&house.dir, &[("web", &["c", "d"])], "", ""));
    house.daemon.wait_reason("blog", "Programmed", "LastKnownGood", PATIENCE);
    assert_eq!(house.generation(), served);
    let run = house.dir.path().join("run");
    house.peers.push(Peer::start(&run, "d"));
    house.daemon.wait_condition("blog", "Programmed", PATIENCE);
    assert!(house.generation() > served);
}

#[test]
fn every_endpoint_has_its_line_and_an_app_its_table() {
    needs!(curl);
    let house = House::new(&["a", "b"], "healthCheck: {passive: {consecutiveErrors: 1, baseEjectionTime: 1h}}", "");
    house.peers[0].does(Mode::Status(503));
    house.daemon.eventually(PATIENCE, || if house.daemon.get("/").status == 503 { Ok(()) } else { Err("a gets no request".to_owned()) });
    let said = |args: &[&str]| crate::support::run(&mut house.daemon.cli(args));
    let table = said(&["get", "backends"]);
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "PROTOCOL", "ENDPOINT", "STATE", "IN-FLIGHT", "ERRORS"]);
    assert_eq!(lines[1], ["blog.web", "HTTP", "/run/a.sock", "Ejected", "0", "0"]);
    assert_eq!(lines[2], ["blog.web", "HTTP", "/run/b.sock", "Ready", "0", "0"]);
    assert!(said(&["get", "be", "blog.web", "-o", "wide"]).contains("RoundRobin"));
    assert_eq!(said(&["get", "backend/blog.web", "-o", "name"]), "backend.lxcproxy.dev/blog.web\n");
    let sheet = said(&["describe", "app/blog"]);
    assert!(sheet.contains("Endpoints:\n") && sheet.contains("/run/a.sock   Ejected"), "{sheet}");
    let watch = house.daemon.cli(&["get", "backends", "--watch"]).output().unwrap();
    let error = String::from_utf8_lossy(&watch.stderr).into_owned();
    assert!(!watch.status.success() && error.contains("can't be watched"), "{error}");
    let missing = house.daemon.cli(&["get", "backend/blog.none"]).output().unwrap();
    assert!(String::from_utf8_lossy(&missing.stderr).contains("NotFound"), "{missing:?}");
    let metrics = crate::support::run(std::process::Command::new("curl").args([
        "-sS",
        "--unix-socket",
        house.daemon.admin().to_str().unwrap(),
        "http://lxcproxy/metrics",
    ]));
    for (state, count) in [("ready", 1), ("ejected", 1), ("unhealthy", 0), ("unavailable", 0)] {
        let series = format!("lxcproxy_backend_endpoints{{app=\"blog\",backend=\"web\",state=\"{state}\"}} {count}");
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
}
