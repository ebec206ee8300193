//! `sessionPersistence`: a client stays where it is.

use std::collections::BTreeSet;

use super::House;
use super::peer::Mode;
use crate::support::curl::Response;
use crate::support::needs;

/// The cookie of an answer, as `NAME=VALUE`.
fn cookie(answer: &Response) -> String {
    answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

fn ask(house: &House, cookie: &str) -> Response {
    house.ask_with(&[("Cookie", &format!("other=1; {cookie}; last=2"))])
}

/// A new client: its endpoint, and its cookie.
fn arrive(house: &House) -> (String, String) {
    let answer = house.daemon.get("/");
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.text(), cookie(&answer))
}

#[test]
fn a_client_stays_with_its_endpoint_and_its_cookie_says_no_more_than_it_has_to() {
    needs!(curl);
    let house = House::new(&["a", "b", "c"], "", "sessionPersistence: {}");
    let first = house.daemon.get("/");
    let field = first.header("set-cookie");
    assert!(field.starts_with("lxcproxy-session-") && field.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{field}");
    assert!(!field.contains("run") && !field.contains("sock"), "{field}");
    for _ in 0..6 {
        let again = ask(&house, &cookie(&first));
        assert_eq!((again.text(), again.has("set-cookie")), (first.text(), false));
    }
    let others: BTreeSet<_> = (0..3).map(|_| arrive(&house).0).collect();
    assert_eq!(others.len(), 3, "other clients take turns");
}

#[test]
fn a_session_outlives_a_restart_and_changes_of_the_app() {
    needs!(curl);
    let mut house = House::new(&["a", "b"], "", "sessionPersistence: {sessionName: sid}");
    let (name, cookie) = arrive(&house);
    house.daemon.restart();
    house.rewrite(&[("web", &["b", "c", "a"])], "", "sessionPersistence: {sessionName: sid}\n    timeouts: {request: 60s}");
    for _ in 0..4 {
        let again = ask(&house, &cookie);
        assert_eq!((again.text(), again.has("set-cookie")), (name.clone(), false));
    }
}

#[test]
fn a_cookie_that_was_forged_is_over_or_leads_nowhere_is_replaced() {
    needs!(curl);
    let house = House::new(&["a", "b"], "", "sessionPersistence: {sessionName: sid, absoluteTimeout: 1s}");
    let (_, good) = arrive(&house);
    let mut forged = good.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    for bad in ["sid=", "sid=x", "sid=\u{e9}", "sid", forged.as_str(), &"sid=".repeat(500)] {
        let answer = ask(&house, bad);
        assert_eq!((answer.status, cookie(&answer).starts_with("sid=")), (200, true), "{bad}");
    }
    house.daemon.eventually(crate::support::PATIENCE, || {
        let answer = ask(&house, &good);
        if answer.has("set-cookie") { Ok(()) } else { Err("the session goes on".to_owned()) }
    });
    let (name, gone) = arrive(&house);
    let left = if name == "a" { "b" } else { "a" };
    house.rewrite(&[("web", &[left])], "", "sessionPersistence: {sessionName: sid}");
    let answer = ask(&house, &gone);
    assert_eq!((answer.text().as_str(), answer.has("set-cookie")), (left, true));
}

#[test]
fn a_permanent_cookie_has_an_age_and_a_prefix_is_its_path() {
    needs!(curl);
    let house = House::new(&["a", "b"], "", "");
    let rule = "sessionPersistence: {absoluteTimeout: 2h, cookieConfig: {lifetimeType: Permanent}}";
    let text = super::manifest(&house.dir, &[("web", &["a", "b"])], "", rule).replace("value: /}", "value: /shop}");
    house.daemon.manifest("blog.yaml", &text);
    house.daemon.eventually(crate::support::PATIENCE, || {
        let answer = house.daemon.get("/shop/cart");
        let field = answer.header("set-cookie");
        let as_wanted = field.ends_with("; Path=/shop; HttpOnly; SameSite=Lax; Max-Age=7200");
        if as_wanted { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}

#[test]
fn a_client_whose_endpoint_is_out_gets_another_one_and_stays_there() {
    needs!(curl);
    let backend = "healthCheck: {passive: {consecutiveErrors: 2, baseEjectionTime: 1h}}";
    let house = House::new(&["a", "b"], backend, "sessionPersistence: {}");
    let (name, first) = arrive(&house);
    let peer = &house.peers[usize::from(name == "b")];
    peer.does(Mode::Status(503));
    for _ in 0..2 {
        let failed = ask(&house, &first);
        assert_eq!((failed.status, failed.has("set-cookie")), (503, false), "a failure is no place to stay");
    }
    let moved = ask(&house, &first);
    assert_eq!((moved.status, moved.text() == name, moved.has("set-cookie")), (200, false, true), "{moved:?}");
    peer.does(Mode::Well);
    assert_eq!(ask(&house, &cookie(&moved)).text(), moved.text());
}

#[test]
fn a_session_stays_with_its_backend_among_several_with_weights() {
    needs!(curl);
    let house = House::new(&["a", "b", "c"], "", "");
    let rule = "backendRefs: [{name: web, weight: 1}, {name: canary, weight: 1}]\n    sessionPersistence: {}";
    house.rewrite(&[("web", &["a", "b"]), ("canary", &["c"])], "", rule);
    let clients: Vec<_> = (0..16).map(|_| arrive(&house)).collect();
    let names: BTreeSet<_> = clients.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains("c") && names.len() > 1, "{names:?}");
    for (name, cookie) in &clients {
        for _ in 0..3 {
            assert_eq!(ask(&house, cookie).text(), *name);
        }
    }
}
