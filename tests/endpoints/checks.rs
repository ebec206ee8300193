//! Endpoints that are asked whether they are well.

use super::House;
use super::peer::Mode;
use crate::support::daemon::PATIENCE;
use crate::support::needs;

/// Quick checks with these fields, and no ejection.
fn checks(fields: &str) -> String {
    format!("healthCheck: {{active: {{interval: 100ms, {fields}}}, passive: {{consecutiveErrors: 0}}}}")
}

#[test]
fn an_endpoint_that_fails_its_checks_gets_no_requests_until_it_passes_them() {
    needs!(curl);
    let house = House::new(&["a", "b"], &checks("path: /up, timeout: 20s, unhealthyThreshold: 2"), "");
    house.peers[0].answers_checks(Mode::Status(500));
    let out = house.wait_state("a", "Unhealthy");
    assert_eq!((&out["lastCheck"]["passed"], &out["lastCheck"]["message"]), (&false.into(), &"status 500".into()));
    assert_eq!(house.ask_often(4)["b"], 4);
    house.peers[0].answers_checks(Mode::Status(302));
    house.wait_state("a", "Ready");
    assert_eq!(house.ask_often(4)["a"], 2);
    let log = house.daemon.log();
    let told = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((told("the endpoint is unhealthy: status 500"), told("the endpoint is healthy again: status 302")), (1, 1), "{log}");
}

#[test]
fn only_expected_answers_in_time_are_good() {
    needs!(curl);
    let house = House::new(&["a", "b", "c"], &checks("path: /up, expectedStatuses: [204], timeout: 3s, unhealthyThreshold: 1"), "");
    house.peers[1].answers_checks(Mode::Status(204));
    house.peers[2].answers_checks(Mode::Hang);
    for (endpoint, state, found) in
        [("a", "Unhealthy", "status 200"), ("b", "Ready", "status 204"), ("c", "Unhealthy", "no answer in time")]
    {
        house.daemon.eventually(PATIENCE, || {
            let now = house.endpoints().remove(endpoint).unwrap();
            let as_wanted = now["state"] == state && now["lastCheck"]["message"] == found;
            as_wanted.then_some(()).ok_or_else(|| now.to_string())
        });
    }
    assert_eq!(house.ask_often(4)["b"], 4);
}

#[test]
fn without_a_path_a_connection_is_enough() {
    needs!(curl);
    let mut house = House::new(&["a", "b"], &checks("timeout: 20s, unhealthyThreshold: 1"), "");
    house.daemon.eventually(PATIENCE, || {
        let checked = house.endpoints().values().all(|endpoint| endpoint["lastCheck"]["message"] == "connected");
        checked.then_some(()).ok_or_else(|| format!("{:?}", house.endpoints()))
    });
    assert_eq!(house.peers[0].questions(), 0);
    house.peers[0].stop();
    assert_eq!(house.wait_state("a", "Unhealthy")["lastCheck"]["message"], "no connection");
    assert_eq!(house.ask_often(4)["b"], 4);
    house.peers[0].restart();
    house.wait_state("a", "Ready");
    assert_eq!(house.ask_often(4)["a"], 2);
}

#[test]
fn if_no_endpoint_is_healthy_all_of_them_are_asked_all_the_same() {
    needs!(curl);
    let house = House::new(&["a", "b"], &checks("path: /up, timeout: 20s, unhealthyThreshold: 1"), "");
    house.peers.iter().for_each(|peer| peer.answers_checks(Mode::Status(500)));
    house.wait_state("a", "Unhealthy");
    house.wait_state("b", "Unhealthy");
    assert_eq!(house.ask_often(4).into_iter().collect::<Vec<_>>(), [("a".to_owned(), 2), ("b".to_owned(), 2)]);
}

#[test]
fn checks_follow_the_manifest() {
    needs!(curl);
    let house = House::new(&["a", "b"], "", "");
    assert!(house.endpoints()["a"].get("lastCheck").is_none());
    house.peers[0].answers_checks(Mode::Status(500));
    house.rewrite(&[("web", &["a", "b"])], &checks("path: /up, timeout: 20s, unhealthyThreshold: 1"), "");
    house.wait_state("a", "Unhealthy");
    house.rewrite(&[("web", &["a", "b"])], "", "");
    house.daemon.eventually(PATIENCE, || {
        let endpoint = house.endpoints().remove("a").unwrap();
        if endpoint.get("lastCheck").is_none() { Ok(()) } else { Err(endpoint.to_string()) }
    });
    assert_eq!(house.ask_often(4)["a"], 2);
    // A check may be under way while its App changes; those that come after it are none.
    let asked = house.peers[1].questions();
    house.ask_often(10);
    assert!(house.peers[1].questions() <= asked + 1, "{asked}");
}

#[test]
fn fastcgi_endpoints_are_tried_by_a_connection() {
    needs!(curl);
    let mut house = House::new(&["a", "b"], "", "");
    let checks = checks("timeout: 20s, unhealthyThreshold: 1");
    let text = super::manifest(&house.dir, &[("web", &["a", "b"])], &checks, "").replace("http:", "fastcgi:");
    house.daemon.manifest("blog.yaml", &text);
    let wait_found = |house: &House, endpoint: &str, found: &str| {
        house.daemon.eventually(PATIENCE, || match house.endpoints().remove(endpoint) {
            Some(now) if now["lastCheck"]["message"] == found => Ok(()),
            now => Err(format!("{now:?}")),
        });
    };
    wait_found(&house, "a", "connected");
    house.peers[0].stop();
    wait_found(&house, "a", "no connection");
    house.wait_state("a", "Unhealthy");
    wait_found(&house, "b", "connected");
}
