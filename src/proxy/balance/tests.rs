//! Which endpoint is chosen, and which never.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::dial::Address;
use crate::route::{Check, Ejection, Endpoint, Finding, HttpSettings, Protocol};
use crate::route::{Checked, Health};

const EJECTION: Ejection = Ejection { errors: 1, base: Duration::from_secs(3600) };

/// An App with one backend of so many endpoints.
fn app(endpoints: usize, balance: Balance) -> CompiledApp {
    let endpoint = |number| Endpoint {
        name: format!("10.0.0.{number}:80").into(),
        address: Some(Address::Tcp(format!("10.0.0.{number}:80").into())),
        health: Arc::default(),
    };
    let check = Check { question: None, interval: Duration::from_secs(1), timeout: Duration::from_secs(1), healthy: 1, unhealthy: 1 };
    let backend = Backend {
        name: "web".parse().unwrap(),
        endpoints: (0..endpoints).map(endpoint).collect(),
        protocol: Protocol::Http(HttpSettings { host: None, protocol: crate::api::v1::HttpProtocol::Http1 }),
        keep: 0,
        internal_files: Box::default(),
        hold: None,
        balance,
        ejection: Some(EJECTION),
        check: Some(check.into()),
    };
    CompiledApp {
        name: "a".parse().unwrap(),
        generation: 1,
        first_seen: 1,
        parents: Box::default(),
        hostnames: Box::default(),
        rules: Box::default(),
        backends: [backend].into(),
        root: None,
        init: None,
        error_pages: Box::default(),
    }
}

fn hashed(endpoints: u64, key: HashKey) -> CompiledApp {
    let names = (0..endpoints).map(mix).collect();
    app(usize::try_from(endpoints).unwrap(), Balance::ConsistentHash { key, names })
}

/// The same, of a client.
fn choose(turns: &Turns, app: &CompiledApp, index: usize, client: Client<'_>, tried: Tried) -> usize {
    super::choose(turns, app, index, client.wish(&app.backends[index]), tried)
}

fn anybody(headers: &HeaderMap) -> Client<'_> {
    Client { stay: None, headers, address: [192, 0, 2, 1].into() }
}

/// So many choices.
fn chosen(app: &CompiledApp, tried: Tried, times: usize) -> Vec<usize> {
    let (turns, headers) = (Turns::new(), HeaderMap::new());
    (0..times).map(|_| choose(&turns, app, 0, anybody(&headers), tried)).collect()
}

fn counts(chosen: &[usize]) -> Vec<usize> {
    let counts = chosen.iter().fold(BTreeMap::<_, usize>::new(), |mut counts, endpoint| {
        *counts.entry(*endpoint).or_default() += 1;
        counts
    });
    counts.into_values().collect()
}

fn tried(endpoints: &[usize]) -> Tried {
    endpoints.iter().fold(Tried::default(), |mut tried, endpoint| {
        tried.note(*endpoint);
        tried
    })
}

fn eject(health: &Health) {
    health.note_failure(EJECTION, uptime(), || true).unwrap();
}

fn fail_check(health: &Health) {
    assert_eq!(health.note_check(Checked { passed: false, finding: Finding::TimedOut, at: 1 }, (1, 1)), Some(false));
}

#[test]
fn round_robin_gives_each_endpoint_its_turn() {
    let several = app(3, Balance::RoundRobin);
    let turns = chosen(&several, Tried::default(), 300);
    assert!(turns.windows(3).all(|three| BTreeSet::from([three[0], three[1], three[2]]).len() == 3), "{turns:?}");
    assert_eq!(chosen(&app(1, Balance::RoundRobin), tried(&[0]), 3), [0, 0, 0]);
}

#[test]
fn threads_do_not_all_begin_with_the_same_endpoint() {
    let several = app(8, Balance::RoundRobin);
    let firsts: BTreeSet<_> = (0..100).map(|_| chosen(&several, Tried::default(), 1)[0]).collect();
    assert!(firsts.len() > 1, "{firsts:?}");
}

#[test]
fn two_backends_of_one_thread_have_turns_of_their_own() {
    let (one, other) = (app(2, Balance::RoundRobin), app(2, Balance::RoundRobin));
    let (turns, headers) = (Turns::new(), HeaderMap::new());
    let chosen: Vec<_> = (0..8).map(|number| choose(&turns, [&one, &other][number % 2], 0, anybody(&headers), Tried::default())).collect();
    let of_one: Vec<_> = chosen.iter().step_by(2).collect();
    assert!(of_one.windows(2).all(|two| two[0] != two[1]), "{chosen:?}");
}

#[test]
fn what_is_out_shares_its_turns_among_all_others() {
    for take_out in [eject, fail_check] {
        let several = app(4, Balance::RoundRobin);
        take_out(&several.backends[0].endpoints[1].health);
        assert_eq!(counts(&chosen(&several, Tried::default(), 300)), [100, 100, 100]);
    }
    let mut several = app(4, Balance::RoundRobin);
    several.backends[0].endpoints[1].address = None;
    assert_eq!(counts(&chosen(&several, tried(&[0]), 300)), [150, 150]);
}

#[test]
fn an_ejection_ends_by_itself_and_one_that_is_not_wanted_any_more_at_once() {
    let mut several = app(2, Balance::RoundRobin);
    let health = several.backends[0].endpoints[0].health.clone();
    health.note_failure(Ejection { errors: 1, base: Duration::from_millis(1) }, uptime().saturating_sub(1), || true).unwrap();
    while health.ejected_until().unwrap() > uptime() {
        std::thread::yield_now();
    }
    assert_eq!(counts(&chosen(&several, Tried::default(), 10)), [5, 5]);
    health.note_success();
    eject(&health);
    assert_eq!(counts(&chosen(&several, Tried::default(), 10)), [10]);
    several.backends[0].ejection = None;
    assert_eq!(counts(&chosen(&several, Tried::default(), 10)), [5, 5]);
}

#[test]
fn if_all_are_out_they_are_used_all_the_same() {
    for balance in [Balance::RoundRobin, Balance::LeastRequest] {
        let several = app(3, balance);
        several.backends[0].endpoints.iter().for_each(|endpoint| fail_check(&endpoint.health));
        assert_eq!(counts(&chosen(&several, Tried::default(), 3000)).len(), 3);
        assert_eq!(counts(&chosen(&several, tried(&[2]), 3000)).len(), 2);
        assert_eq!(counts(&chosen(&several, tried(&[0, 1, 2]), 3000)).len(), 3);
    }
    let mut nowhere = app(3, Balance::RoundRobin);
    nowhere.backends[0].endpoints.iter_mut().for_each(|endpoint| endpoint.address = None);
    assert_eq!(counts(&chosen(&nowhere, tried(&[0]), 300)), [100, 100, 100]);
}

#[test]
fn the_endpoint_with_the_fewest_requests_is_next_and_equal_ones_at_random() {
    let several = app(3, Balance::LeastRequest);
    let endpoints = &several.backends[0].endpoints;
    let _busy = [endpoints[0].health.begin(), endpoints[0].health.begin(), endpoints[1].health.begin()];
    assert_eq!(counts(&chosen(&several, Tried::default(), 100)), [100]);
    assert_eq!(chosen(&several, tried(&[2]), 1), [1]);
    let _third = endpoints[2].health.begin();
    let equal = counts(&chosen(&several, Tried::default(), 1000));
    assert!(equal.len() == 2 && equal.iter().all(|count| (350..650).contains(count)), "{equal:?}");
}

#[test]
fn a_key_stays_with_its_endpoint_and_moves_only_if_that_is_out() {
    let several = hashed(5, HashKey::Header("x-user".parse().unwrap()));
    let turns = Turns::new();
    let of = |user: u32| {
        let headers = HeaderMap::from_iter([("x-user".parse().unwrap(), user.into())]);
        choose(&turns, &several, 0, anybody(&headers), Tried::default())
    };
    let before: Vec<_> = (0..1000).map(of).collect();
    assert_eq!(before, (0..1000).map(of).collect::<Vec<_>>());
    let spread = counts(&before);
    assert!(spread.len() == 5 && spread.iter().all(|count| (120..280).contains(count)), "{spread:?}");
    eject(&several.backends[0].endpoints[2].health);
    let after: Vec<_> = (0..1000).map(of).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| if *before == 2 { *after != 2 } else { before == after }));
}

#[test]
fn addresses_and_cookies_are_keys_and_a_request_without_one_goes_anywhere() {
    let (by_address, by_cookie) = (hashed(4, HashKey::SourceIp), hashed(4, HashKey::Cookie("user".into())));
    let (turns, mut headers) = (Turns::new(), HeaderMap::new());
    let all = |app: &CompiledApp, headers: &HeaderMap| -> BTreeSet<_> {
        (0..100).map(|_| choose(&turns, app, 0, anybody(headers), Tried::default())).collect()
    };
    assert_eq!((all(&by_address, &headers).len(), all(&by_cookie, &headers).len()), (1, 4));
    headers.insert("cookie", "other=1; user=blog".parse().unwrap());
    assert_eq!(all(&by_cookie, &headers).len(), 1);
    let clients = (0..100)
        .map(|number| choose(&turns, &by_address, 0, Client { address: [10, 0, 0, number].into(), ..anybody(&headers) }, Tried::default()));
    assert_eq!(clients.collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn a_session_stays_unless_its_endpoint_is_out_or_has_failed_the_request() {
    let several = app(3, Balance::RoundRobin);
    let (turns, headers) = (Turns::new(), HeaderMap::new());
    let stay = |backend, tried| {
        let client = Client { stay: Some(Place { backend, endpoint: 1 }), ..anybody(&headers) };
        let all: BTreeSet<_> = (0..30).map(|_| choose(&turns, &several, 0, client, tried)).collect();
        all.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(stay(0, Tried::default()), [1]);
    assert_eq!(stay(1, Tried::default()), [0, 1, 2], "a session of another backend");
    assert_eq!(stay(0, tried(&[1])), [0, 2]);
    eject(&several.backends[0].endpoints[1].health);
    assert_eq!(stay(0, Tried::default()), [0, 2]);
}

#[test]
fn what_is_the_endpoints_fault_is_told_from_what_is_not() {
    let io = |errno: Errno| Error::Connect(dial::Error::Io("a:1".to_owned(), errno.into()));
    assert!(is_its_fault(&io(Errno::HOSTUNREACH)) && !is_its_fault(&io(Errno::MFILE)));
    assert!(is_its_fault(&Error::Closed(None)) && is_its_fault(&Error::Timeout(Phase::Backend)));
    assert!(!is_its_fault(&Error::Timeout(Phase::Client)) && !is_its_fault(&Error::BodyTooLarge(1)));
}
