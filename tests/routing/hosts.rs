//! Hostnames of Apps on one listener.

use super::echo::Echoes;
use super::table::hold;

fn app(hosts: &str, path: &str, backend: &str) -> String {
    let hosts = if hosts.is_empty() { String::new() } else { format!("hostnames: [{hosts}]\n") };
    format!("{hosts}rules: [{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: {backend}}}]}}]")
}

#[test]
fn the_most_specific_hostname_decides_whatever_its_rules_are() {
    let exact = app("www.example.test", "/exact", "one");
    let wild = app("\"*.example.test\"", "/", "two");
    let longer = app("\"*.deep.example.test\"", "/", "three");
    let any = app("", "/", "one");
    let apps = [("any", any.as_str()), ("wild", &wild), ("longer", &longer), ("exact", &exact)];
    let table = "
        GET /exact; @www.example.test               => one; @www.example.test
        GET /exact/x; @www.example.test             => one
        GET /; @www.example.test                    => 404
        GET /other; @www.example.test               => 404
        GET /exact; @WWW.Example.TEST               => one; @WWW.Example.TEST
        GET /exact; @www.example.test:1234          => one; @www.example.test:1234
        GET /exact; @www.example.test.              => one
        GET /exact; @www.example.test.:80           => one
        GET /; @other.example.test                  => two
        GET /; @a.b.example.test                    => two
        GET /; @x.www.example.test                  => two
        GET /; @deep.example.test                   => two
        GET /; @x.deep.example.test                 => three
        GET /; @x.y.deep.example.test:81            => three
        GET /; @example.test                        => one
        GET /; @notexample.test                     => one
        GET /; @example.test.evil.test              => one
        GET /; @127.0.0.1                           => one
        GET /; @[::1]:80                            => one
        GET http://other.example.test/x; @other.example.test => two; /x
        GET /; @                                    => one
        GET /; @a@b                                 => 400
        GET /; @a b                                 => 400
        GET http://other.example.test/; @www.example.test => 400
        ";
    hold(Echoes::new().daemon(&apps).address(), table);
}

#[test]
fn a_host_that_nobody_claims_is_404() {
    let apps = [("exact", app("a.test, b.test", "/", "one")), ("wild", app("\"*.c.test\"", "/", "two"))];
    let table = "
        GET /; @a.test          => one
        GET /; @b.test          => one
        GET /; @x.c.test        => two
        GET /; @c.test          => 404
        GET /; @d.test          => 404
        GET /; @x.a.test        => 404
        GET /; @                => 404
        ";
    hold(Echoes::new().daemon(&apps.each_ref().map(|(name, spec)| (*name, spec.as_str()))).address(), table);
}
