//! Which of several rules that match answers: within one App, and among several.

use super::echo::Echoes;
use super::table::hold;
use crate::support::daemon::PATIENCE;

#[test]
fn matches_of_a_rule_are_alternatives() {
    let spec = "
rules:
- matches:
  - path: {value: /}
  - headers: [{name: version, value: one}]
  backendRefs: [{name: one}]
- matches:
  - path: {value: /v2}
  - headers: [{name: version, value: two}]
  backendRefs: [{name: two}]
";
    let table = "
        GET /                       => one
        GET /example                => one
        GET /; Version: one         => one
        GET /v2                     => two
        GET /v2/example             => two
        GET /; Version: two         => two
        GET /x; Version: two        => two
        GET /v2/                    => two
        GET /v2; Version: one       => two
        GET /v2example              => one
        GET /foo/v2/example         => one
        GET /; Version: three       => one
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn path_method_fields_parameters_and_order_count_in_this_order() {
    let spec = "
rules:
- matches: [{path: {value: /a}, queryParams: [{name: q, value: '1'}, {name: r, value: '1'}, {name: s, value: '1'}]}]
  backendRefs: [{name: one}]
- matches: [{path: {value: /a}, headers: [{name: x, value: '1'}]}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /a}, method: GET}]
  backendRefs: [{name: three}]
- matches: [{path: {value: /a/b}}]
  backendRefs: [{name: one}]
- matches: [{path: {value: /c}, headers: [{name: x, value: '1'}]}]
  backendRefs: [{name: one}]
- matches: [{path: {value: /c}, headers: [{name: x, value: '1'}, {name: y, value: '1'}]}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /c}, headers: [{name: x, value: '1'}], queryParams: [{name: q, value: '1'}]}]
  backendRefs: [{name: three}]
- matches: [{path: {value: /d}, headers: [{name: x, value: '1'}]}]
  backendRefs: [{name: one}]
- matches: [{path: {value: /d}, headers: [{name: y, value: '1'}]}]
  backendRefs: [{name: two}]
- matches: [{path: {type: Exact, value: /e}, queryParams: [{name: q, value: '1'}]}]
  backendRefs: [{name: one}]
- matches: [{path: {value: /e}, method: GET, headers: [{name: x, value: '1'}]}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /}}]
  backendRefs: [{name: three}]
";
    let table = "
        POST /a?q=1&r=1&s=1                 => one
        POST /a?q=1&r=1&s=1; x: 1           => two
        GET /a?q=1&r=1&s=1; x: 1            => three
        GET /a/b?q=1&r=1&s=1; x: 1          => one
        POST /a                             => three
        POST /a?q=1                         => three
        GET /c; x: 1                        => one
        GET /c; x: 1; y: 1                  => two
        GET /c?q=1; x: 1; y: 1              => two
        GET /c?q=1; x: 1                    => three
        GET /c; y: 1                        => three
        GET /d; x: 1; y: 1                  => one
        GET /d; y: 1                        => two
        GET /e?q=1; x: 1                    => one
        GET /e; x: 1                        => two
        GET /e/?q=1; x: 1                   => two
        POST /e; x: 1                       => three
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn apps_share_a_host_and_the_older_keeps_what_both_claim() {
    let echoes = Echoes::new();
    let old = "
hostnames: [example.test, example.net]
rules:
- matches:
  - path: {value: /}
  - headers: [{name: version, value: one}]
  backendRefs: [{name: one}]
- matches: [{path: {value: /same}}]
  backendRefs: [{name: one}]
";
    // Its name comes first in the alphabet, its age does not.
    let young = "
hostnames: [example.test]
rules:
- matches:
  - path: {value: /v2}
  - headers: [{name: version, value: two}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /same/}}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /same/deeper}}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /same}, method: POST}]
  backendRefs: [{name: two}]
";
    let daemon = echoes.daemon(&[("old", old)]);
    daemon.manifest("a-young.yaml", &echoes.app("a-young", young));
    daemon.wait_condition("a-young", "Programmed", PATIENCE);
    daemon.wait_condition("a-young", "Conflicted", PATIENCE);
    let table = "
        GET /; @example.test                        => one
        GET /example; @example.test                 => one
        GET /example; @example.net                  => one
        GET /example; @example.test; Version: one   => one
        GET /v2; @example.test                      => two
        GET /v2; @example.net                       => one
        GET /v2/example; @example.test              => two
        GET /; @example.test; Version: two          => two
        GET /; @example.net; Version: two           => one
        GET /same; @example.test                    => one
        GET /same/x; @example.test                  => one
        GET /same/deeper; @example.test             => two
        POST /same; @example.test                   => two
        GET /v2; @example.org                       => 404
        ";
    hold(daemon.address(), table);
    daemon.remove_manifest("old.yaml");
    daemon.eventually(PATIENCE, || if daemon.apps().contains_key("old") { Err("it is still there".to_owned()) } else { Ok(()) });
    hold(
        daemon.address(),
        "
        GET /same; @example.test                    => two
        GET /; @example.test                        => 404
        GET /; @example.net                         => 404
        ",
    );
}
