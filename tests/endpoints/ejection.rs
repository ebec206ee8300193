//! What fails requests gets none for a while.

use std::io::Write;
use std::net::TcpStream;

use super::House;
use super::peer::Mode;
use crate::support::daemon::PATIENCE;
use crate::support::needs;

fn passive(fields: &str) -> String {
    format!("healthCheck: {{passive: {{{fields}}}}}")
}

/// Asks until a request has failed so often.
fn fail(house: &House, times: usize, status: u16) {
    let mut failures = 0;
    for _ in 0..10 * times {
        let answer = house.daemon.get("/");
        failures += usize::from(answer.status == status);
        assert!(matches!(answer.status, 200) || answer.status == status, "{answer:?}");
        if failures == times {
            return;
        }
    }
    panic!("{failures} of {times} failures");
}

#[test]
fn three_failures_in_a_row_take_an_endpoint_out_whatever_they_are() {
    needs!(curl);
    let house = House::new(&["a", "b"], &passive("baseEjectionTime: 1h"), "");
    house.peers[0].does(Mode::Status(503));
    fail(&house, 2, 503);
    assert_eq!(house.endpoints()["a"]["consecutiveErrors"], 2);
    house.peers[0].does(Mode::Close);
    fail(&house, 1, 502);
    let out = house.wait_state("a", "Ejected");
    assert!(out["ejectedUntil"].is_string(), "{out}");
    let before = house.peers[0].requests();
    assert_eq!((house.ask_often(6)["b"], house.peers[0].requests()), (6, before));
    let told = |words: &str| house.daemon.log().lines().filter(|line| line.contains(words)).count();
    assert_eq!((told("the endpoint is out for 3600s"), told("/run/a.sock")), (1, 1), "{}", house.daemon.log());
}

#[test]
fn an_endpoint_that_was_out_is_tried_again_and_stays_if_it_answers() {
    needs!(curl);
    let house = House::new(&["a", "b"], &passive("consecutiveErrors: 1, baseEjectionTime: 200ms"), "");
    house.peers[0].does(Mode::Status(502));
    fail(&house, 1, 502);
    house.peers[0].does(Mode::Well);
    house.daemon.eventually(PATIENCE, || if house.ask() == "a" { Ok(()) } else { Err("a gets no request".to_owned()) });
    house.wait_state("a", "Ready");
    house.daemon.wait_log(PATIENCE, |line| line.contains("the endpoint answers again"));
    assert_eq!(house.ask_often(6)["a"], 3);
}

#[test]
fn an_endpoint_that_is_killed_and_comes_back_costs_no_request() {
    needs!(curl);
    let mut house = House::new(&["a", "b", "c"], &passive("baseEjectionTime: 300ms"), "");
    house.peers[1].stop();
    // What could not be sent goes to another endpoint at once.
    let mut asked = 0;
    house.daemon.eventually(PATIENCE, || {
        asked += 1;
        assert_ne!(house.ask(), "b");
        let out = |line: &str| line.contains("the endpoint is out for 300ms") && line.contains("/run/b.sock");
        if house.daemon.log().lines().any(out) { Ok(()) } else { Err(format!("{:?}", house.endpoints())) }
    });
    assert!(asked >= 3, "one failure takes it out");
    house.peers[1].restart();
    house.daemon.eventually(PATIENCE, || match house.ask().as_str() {
        "b" => Ok(()),
        other => Err(format!("{other} answers")),
    });
    assert_eq!(house.ask_often(9).len(), 3);
}

#[test]
fn one_that_hangs_until_the_rules_time_is_over_is_out_as_well() {
    needs!(curl);
    let house = House::new(&["a", "b"], &passive("consecutiveErrors: 2, baseEjectionTime: 1h"), "timeouts: {request: 1s}");
    house.peers[0].does(Mode::Hang);
    house.daemon.eventually(PATIENCE, || {
        house.daemon.get("/");
        if house.endpoints()["a"]["state"] == "Ejected" { Ok(()) } else { Err(format!("{:?}", house.endpoints())) }
    });
}

#[test]
fn a_client_that_leaves_is_no_failure_of_the_endpoint() {
    needs!(curl);
    let house = House::new(&["a", "b"], &passive("consecutiveErrors: 1, baseEjectionTime: 1h"), "");
    house.peers.iter().for_each(|peer| peer.does(Mode::Hang));
    for expected in 1..=4 {
        let mut client = TcpStream::connect(house.daemon.address()).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let requests = || house.peers.iter().map(super::Peer::requests).sum::<usize>();
        house.daemon.eventually(PATIENCE, || if requests() == expected { Ok(()) } else { Err("no request".to_owned()) });
    }
    house.daemon.eventually(PATIENCE, || {
        let idle = house.endpoints().values().all(|endpoint| endpoint["inFlight"] == 0);
        idle.then_some(()).ok_or_else(|| "it is not noticed that they left".to_owned())
    });
    assert!(house.endpoints().values().all(|endpoint| endpoint["state"] == "Ready" && endpoint["consecutiveErrors"] == 0));
}

#[test]
fn the_last_endpoint_is_never_taken_out_and_none_is_if_nobody_wants_it() {
    needs!(curl);
    for (backend, failures) in [(passive("consecutiveErrors: 1, baseEjectionTime: 1h"), 1), (passive("consecutiveErrors: 0"), 0)] {
        let house = House::new(&["a", "b"], &backend, "");
        house.peers.iter().for_each(|peer| peer.does(Mode::Status(503)));
        let before = house.peers.iter().map(super::Peer::requests).sum::<usize>();
        assert!((0..6).all(|_| house.daemon.get("/").status == 503));
        assert_eq!(house.peers.iter().map(super::Peer::requests).sum::<usize>(), before + 6, "every request reaches one");
        let out = house.endpoints().values().filter(|endpoint| endpoint["state"] == "Ejected").count();
        assert_eq!(out, failures, "{:?}", house.endpoints());
    }
}

#[test]
fn what_is_known_of_an_endpoint_outlives_changes_of_the_app() {
    needs!(curl);
    let backend = passive("consecutiveErrors: 1, baseEjectionTime: 1h");
    let house = House::new(&["a", "b"], &backend, "");
    house.peers[0].does(Mode::Status(503));
    fail(&house, 1, 503);
    house.peers[0].does(Mode::Well);
    house.rewrite(&[("web", &["b", "a"])], &backend, "timeouts: {request: 60s}");
    assert_eq!(house.endpoints()["a"]["state"], "Ejected");
    assert_eq!(house.ask_often(4)["b"], 4);
    house.rewrite(&[("web", &["b", "a"])], &passive("consecutiveErrors: 0"), "");
    assert_eq!(house.ask_often(4)["a"], 2, "nobody is taken out any more");
}
