//! Listeners with hostnames and ports, and the Apps that attach to them.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};

use super::echo::Echoes;
use super::table::hold;
use crate::support::daemon::{Daemon, PATIENCE};

/// Ports of 127.0.0.1 that were free a moment ago, all different.
fn free_ports<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap())
}

/// `listeners`: name, port, hostname or nothing.
fn gateway(listeners: &[(&str, SocketAddr, &str)]) -> String {
    let mut text = "apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {name: web}\nspec:\n  listeners:\n".to_owned();
    for (name, address, host) in listeners {
        let host = if host.is_empty() { String::new() } else { format!(", hostname: \"{host}\"") };
        writeln!(text, "  - {{name: {name}, address: 127.0.0.1, port: {}, protocol: HTTP{host}}}", address.port()).unwrap();
    }
    text
}

/// An App with parents, hostnames (or none), a prefix and a backend.
fn app(parents: &str, hosts: &str, path: &str, backend: &str) -> String {
    let hosts = if hosts.is_empty() { String::new() } else { format!("hostnames: [{hosts}]\n") };
    format!("parentRefs: [{parents}]\n{hosts}rules: [{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: {backend}}}]}}]")
}

fn daemon(echoes: &Echoes, gateway: &str, apps: &[(&str, String)]) -> Daemon {
    let apps: Vec<_> = apps.iter().map(|(name, spec)| (*name, spec.as_str())).collect();
    echoes.daemon_of(Daemon::builder().manifest("web.yaml", gateway), &apps)
}

#[test]
fn an_app_answers_for_what_its_hostnames_and_the_listeners_have_in_common() {
    let [web] = free_ports();
    let gateway = gateway(&[("one", web, "very.specific.test"), ("two", web, "*.wildcard.test"), ("three", web, "*.another.test")]);
    let apps = [
        ("exact-exact", app("{name: web}", "non.matching.test, \"*.nonmatching.test\", very.specific.test", "/s1", "one")),
        ("exact-wild", app("{name: web}", "wildcard.test, foo.wildcard.test, bar.wildcard.test, foo.bar.wildcard.test", "/s2", "two")),
        ("wild-exact", app("{name: web}", "non.matching.test, \"*.specific.test\"", "/s3", "three")),
        ("wild-wild", app("{name: web}", "\"*.another.test\"", "/s4", "one")),
        ("every-host", app("{name: web}", "", "/s6", "three")),
    ];
    let (echoes, none) = (Echoes::new(), app("{name: web}", "specific.but.wrong.test, wildcard.test", "/s5", "two"));
    let daemon = daemon(&echoes, &gateway, &apps);
    daemon.manifest("none.yaml", &echoes.app("none", &none));
    daemon.wait_reason("none", "Accepted", "NoMatchingParent", PATIENCE);
    let table = "
        GET /s1; @very.specific.test            => one
        GET /s1; @very.specific.test:1234       => one
        GET /s1; @non.matching.test             => 404
        GET /s1; @foo.nonmatching.test          => 404
        GET /s1; @foo.wildcard.test             => 404
        GET /other; @very.specific.test         => 404
        GET /s2; @foo.wildcard.test             => two
        GET /s2; @bar.wildcard.test             => two
        GET /s2; @foo.bar.wildcard.test         => two
        GET /s2; @non.matching.test             => 404
        GET /s2; @wildcard.test                 => 404
        GET /s2; @very.specific.test            => 404
        GET /s2; @baz.wildcard.test             => 404
        GET /other; @foo.wildcard.test          => 404
        GET /s3; @very.specific.test            => three
        GET /s3; @non.matching.test             => 404
        GET /s3; @foo.specific.test             => 404
        GET /s3; @foo.wildcard.test             => 404
        GET /s4; @foo.another.test              => one
        GET /s4; @bar.another.test              => one
        GET /s4; @foo.bar.another.test          => one
        GET /s4; @another.test                  => 404
        GET /s4; @foo.wildcard.test             => 404
        GET /s4; @very.specific.test            => 404
        GET /other; @foo.another.test           => 404
        GET /s5; @specific.but.wrong.test       => 404
        GET /s5; @wildcard.test                 => 404
        GET /s6; @very.specific.test            => three
        GET /s6; @baz.wildcard.test             => three
        GET /s6; @foo.another.test              => three
        GET /s6; @elsewhere.test                => 404
        ";
    hold(web, table);
}

#[test]
fn a_listener_without_a_hostname_leaves_the_choice_to_the_apps() {
    let [web] = free_ports();
    let app = app("{name: web}", "first.test, sub.first.test, second.test, sub.second.test", "/", "two");
    let echoes = Echoes::new();
    let _daemon = daemon(&echoes, &gateway(&[("one", web, "")]), &[("app", app)]);
    let table = "
        GET /; @first.test          => two
        GET /; @sub.first.test      => two
        GET /; @second.test         => two
        GET /; @sub.second.test     => two
        GET /; @third.test          => 404
        GET /; @sub.third.test      => 404
        ";
    hold(web, table);
}

#[test]
fn the_listener_is_chosen_by_host_and_leads_to_those_who_named_it() {
    let [web] = free_ports();
    let listeners = [("one", web, "bar.test"), ("two", web, "foo.bar.test"), ("three", web, "*.bar.test"), ("four", web, "*.foo.test")];
    let apps = [
        ("one", app("{name: web, sectionName: one}", "", "/", "one")),
        ("two", app("{name: web, sectionName: two}", "", "/", "two")),
        ("three", app("{name: web, sectionName: three}, {name: web, sectionName: four}", "", "/", "three")),
    ];
    let echoes = Echoes::new();
    let _daemon = daemon(&echoes, &gateway(&listeners), &apps);
    let table = "
        GET /; @bar.test                        => one
        GET /; @foo.bar.test                    => two
        GET /; @baz.bar.test                    => three
        GET /; @boo.bar.test                    => three
        GET /; @multiple.prefixes.bar.test      => three
        GET /; @multiple.prefixes.foo.test      => three
        GET /; @FOO.bar.test:1                  => two
        GET /; @foo.test                        => 404
        GET /; @no.matching.test                => 404
        ";
    hold(web, table);
}

#[test]
fn parents_name_a_port_a_listener_or_both() {
    let [first, second, third] = free_ports();
    let listeners = [
        ("one", first, "foo.test"),
        ("two", second, "foo.test"),
        ("three", second, "bar.test"),
        ("four", third, "foo.test"),
        ("five", third, "bar.test"),
    ];
    let parent = |port: SocketAddr, more: &str| format!("{{name: web, port: {}{more}}}", port.port());
    let apps = [
        ("one", app(&parent(first, ""), "", "/", "one")),
        ("two", app(&parent(second, ""), "", "/", "two")),
        ("three", app(&parent(third, ", sectionName: four"), "", "/", "three")),
    ];
    let echoes = Echoes::new();
    let daemon = daemon(&echoes, &gateway(&listeners), &apps);
    let elsewhere = [
        ("wrong-port", parent(SocketAddr::from(([127, 0, 0, 1], 1)), "")),
        ("wrong-listener", "{name: web, sectionName: six}".to_owned()),
        ("wrong-pair", parent(first, ", sectionName: four")),
        ("wrong-gateway", "{name: wob}".to_owned()),
    ];
    for (name, parent) in &elsewhere {
        daemon.manifest(&format!("{name}.yaml"), &echoes.app(name, &app(parent, "", "/elsewhere", "one")));
    }
    for (name, _) in &elsewhere {
        daemon.wait_reason(name, "Accepted", "NoMatchingParent", PATIENCE);
    }
    hold(
        first,
        "
        GET /; @foo.test            => one
        GET /elsewhere; @foo.test   => one; /elsewhere
        GET /; @foo.test:81         => one
        GET /; @bar.test            => 404
        ",
    );
    hold(
        second,
        "
        GET /; @foo.test            => two
        GET /; @bar.test            => two
        GET /; @baz.test            => 404
        ",
    );
    hold(
        third,
        "
        GET /; @foo.test            => three
        GET /; @bar.test            => 404
        ",
    );
}

#[test]
fn an_app_may_attach_to_several_gateways() {
    let [first, second] = free_ports();
    let gateways = gateway(&[("http", first, "")]) + "---\n" + &gateway(&[("http", second, "")]).replace("name: web}", "name: inner}");
    let apps = [
        ("shared", app("{name: web}, {name: inner}", "", "/shared", "one")),
        ("of-web", app("{name: web}", "", "/", "two")),
        ("of-inner", app("{name: inner}", "", "/", "three")),
        ("of-both", app("", "", "/both", "three").replace("parentRefs: []\n", "")),
    ];
    let echoes = Echoes::new();
    let _daemon = daemon(&echoes, &gateways, &apps);
    hold(
        first,
        "
        GET /shared     => one
        GET /both       => three
        GET /           => two
        ",
    );
    hold(
        second,
        "
        GET /shared     => one
        GET /both       => three
        GET /           => three
        ",
    );
}

/// What each listener of the two tests below leads to, and nothing else.
const ISOLATION: &str = "
        GET /empty; @bar.test                           => one
        GET /wild; @bar.test                            => 404
        GET /wild-foo; @bar.test                        => 404
        GET /exact; @bar.test                           => 404
        GET /empty; @bar.example.test                   => 404
        GET /wild; @bar.example.test                    => two
        GET /wild-foo; @bar.example.test                => 404
        GET /exact; @bar.example.test                   => 404
        GET /empty; @bar.foo.example.test               => 404
        GET /wild; @bar.foo.example.test                => 404
        GET /wild-foo; @bar.foo.example.test            => three
        GET /exact; @bar.foo.example.test               => 404
        GET /empty; @abc.foo.example.test               => 404
        GET /wild; @abc.foo.example.test                => 404
        GET /wild-foo; @abc.foo.example.test            => 404
        GET /exact; @abc.foo.example.test               => one
        GET /wild; @foo.example.test                    => two
        GET /wild; @example.test                        => 404
        ";

fn hold_isolation(hosts: &str, empty: &str) {
    let [web] = free_ports();
    let listeners = [
        ("empty", web, ""),
        ("wild", web, "*.example.test"),
        ("wild-foo", web, "*.foo.example.test"),
        ("exact", web, "abc.foo.example.test"),
    ];
    let at = |section: &str, backend: &str| app(&format!("{{name: web, sectionName: {section}}}"), hosts, &format!("/{section}"), backend);
    let apps =
        [("empty", at("empty", "one")), ("wild", at("wild", "two")), ("wild-foo", at("wild-foo", "three")), ("exact", at("exact", "one"))];
    let echoes = Echoes::new();
    let _daemon = daemon(&echoes, &gateway(&listeners), &apps);
    hold(web, ISOLATION);
    hold(web, empty);
}

#[test]
fn a_listener_keeps_its_hosts_from_less_specific_ones() {
    hold_isolation("", "GET /empty; @example.test => one");
}

#[test]
fn hostnames_of_apps_do_not_break_through_to_another_listener() {
    let hosts = "bar.test, \"*.example.test\", \"*.foo.example.test\", abc.foo.example.test";
    hold_isolation(hosts, "GET /empty; @example.test => 404");
}
