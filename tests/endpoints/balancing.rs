//! Which endpoint is next.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::House;
use super::peer::Mode;
use crate::support::needs;

fn balancer(fields: &str) -> String {
    format!("loadBalancer: {{{fields}}}")
}

#[test]
fn without_a_word_endpoints_take_turns() {
    needs!(curl);
    let house = House::new(&["a", "b", "c"], "", "");
    let answers = house.ask_often(12);
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [("a".to_owned(), 4), ("b".to_owned(), 4), ("c".to_owned(), 4)]);
}

#[test]
fn the_endpoint_with_the_fewest_requests_is_next_and_is_busy_until_its_answer_has_ended() {
    needs!(curl);
    let house = House::new(&["a", "b"], &balancer("type: LeastRequest"), "");
    house.peers.iter().for_each(|peer| peer.does(Mode::Half));
    let url = house.daemon.url("/");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| crate::support::curl::Curl::new(&url, None).send());
        let busy = house.daemon.eventually(crate::support::PATIENCE, || {
            let busy: Vec<_> = house.endpoints().into_iter().filter(|(_, endpoint)| endpoint["inFlight"] == 1).collect();
            busy.into_iter().next().map(|(name, _)| name).ok_or_else(|| "no endpoint is busy".to_owned())
        });
        let idle = usize::from(busy == "a");
        house.peers[idle].does(Mode::Well);
        let answers = house.ask_often(6);
        assert_eq!((answers.len(), answers.values().sum::<usize>(), answers.contains_key(&busy)), (1, 6, false), "{answers:?}");
        house.peers.iter().for_each(|peer| peer.does(Mode::Well));
        assert_eq!(slow.join().unwrap().text(), "halfhalf");
    });
    house.daemon.eventually(crate::support::PATIENCE, || {
        let idle = house.endpoints().values().all(|endpoint| endpoint["inFlight"] == 0);
        idle.then_some(()).ok_or_else(|| format!("{:?}", house.endpoints()))
    });
}

#[test]
fn an_endpoint_whose_answer_is_not_taken_is_busy_no_longer() {
    let house = House::new(&["a", "b"], "", "retry: {codes: [503], backoff: 1m}");
    house.peers.iter().for_each(|peer| peer.does(Mode::Status(503)));
    let mut client = TcpStream::connect(house.daemon.address()).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: blog\r\n\r\n").unwrap();
    house.daemon.eventually(crate::support::PATIENCE, || {
        let idle = house.endpoints().values().all(|endpoint| endpoint["inFlight"] == 0);
        let asked = house.peers.iter().any(|peer| peer.requests() > 0);
        (asked && idle).then_some(()).ok_or_else(|| format!("{:?}", house.endpoints()))
    });
    client.set_nonblocking(true).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "the request waits for its next attempt");
}

#[test]
fn a_key_leads_to_its_endpoint_and_to_another_one_only_while_that_is_out() {
    needs!(curl);
    let hash = "type: ConsistentHash, consistentHash: {type: Header, name: X-User}";
    let backend = format!("{}\n    healthCheck: {{passive: {{consecutiveErrors: 1, baseEjectionTime: 1h}}}}", balancer(hash));
    let house = House::new(&["a", "b", "c"], &backend, "");
    let of = |user: usize| house.ask_with(&[("X-User", &user.to_string())]).text();
    let before: Vec<_> = (0..12).map(of).collect();
    assert_eq!(before, (0..12).map(of).collect::<Vec<_>>());
    assert!(before.iter().collect::<BTreeSet<_>>().len() > 1, "{before:?}");
    let lost = before[0].clone();
    let peer = &house.peers[["a", "b", "c"].iter().position(|name| *name == lost).unwrap()];
    peer.does(Mode::Status(503));
    assert_eq!(house.ask_with(&[("X-User", "0")]).status, 503);
    let after: Vec<_> = (0..12).map(of).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| if *before == lost { *after != lost } else { before == after }));
}

#[test]
fn backends_have_turns_of_their_own_and_weights_count_before_them() {
    needs!(curl);
    let house = House::new(&["a", "b", "c"], "", "");
    house.rewrite(&[("web", &["a", "b"]), ("other", &["c"])], "", "backendRefs: [{name: web, weight: 1}, {name: other, weight: 0}]");
    let answers = house.ask_often(6);
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [("a".to_owned(), 3), ("b".to_owned(), 3)]);
}
