//! `RequestRedirect`: where clients are sent, part by part.

use std::fmt::Write as _;
use std::sync::Arc;

use super::echo::Echoes;
use super::table::hold;
use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::netns::Netns;

/// A rule for each pair of a prefix and a redirect.
fn rules(redirects: &[(&str, &str)]) -> String {
    let mut text = "rules:\n".to_owned();
    for (path, redirect) in redirects {
        writeln!(
            text,
            "- {{matches: [{{path: {{value: {path}}}}}], filters: [{{type: RequestRedirect, requestRedirect: {{{redirect}}}}}]}}"
        )
        .unwrap();
    }
    text
}

/// `PORT` in a table is the listener's.
fn hold_at(daemon: &Daemon, table: &str) {
    hold(daemon.address(), &table.replace("PORT", &daemon.address().port().to_string()));
}

#[test]
fn host_status_scheme_and_port_are_replaced_alone_and_together() {
    let spec = rules(&[
        ("/hostname", "hostname: example.org"),
        ("/host-and-status", "hostname: example.org, statusCode: 301"),
        ("/scheme", "scheme: https"),
        ("/scheme-and-host", "scheme: https, hostname: example.org"),
        ("/scheme-and-status", "scheme: https, statusCode: 301"),
        ("/scheme-host-status", "scheme: https, hostname: example.org, statusCode: 308"),
        ("/port", "port: 8083"),
        ("/port-and-host", "port: 8083, hostname: example.org"),
        ("/port-and-status", "port: 8083, statusCode: 301"),
        ("/port-host-status", "port: 8083, hostname: example.org, statusCode: 307"),
        ("/port-80", "port: 80"),
        ("/http", "scheme: http"),
        ("/http-80", "scheme: http, port: 80"),
        ("/http-443", "scheme: http, port: 443"),
        ("/https-443", "scheme: https, port: 443"),
        ("/https-8443", "scheme: https, port: 8443"),
        ("/https-80", "scheme: https, port: 80"),
        ("/see-other", "statusCode: 303"),
        ("/temporary", "statusCode: 307"),
        ("/permanent", "statusCode: 308"),
    ]);
    let table = "
        GET /hostname                               => 302 http://example.org:PORT/hostname
        GET /hostname/x?q=1                         => 302 http://example.org:PORT/hostname/x?q=1
        GET /host-and-status                        => 301 http://example.org:PORT/host-and-status
        GET /scheme                                 => 302 https://host.test/scheme
        GET /scheme; @Other.test:1234               => 302 https://other.test/scheme
        GET /scheme; @[::1]:1234                    => 302 https://[::1]/scheme
        GET /scheme-and-host                        => 302 https://example.org/scheme-and-host
        GET /scheme-and-status                      => 301 https://host.test/scheme-and-status
        GET /scheme-host-status                     => 308 https://example.org/scheme-host-status
        GET /port                                   => 302 http://host.test:8083/port
        GET /port; @other.test:99                   => 302 http://other.test:8083/port
        GET /port-and-host                          => 302 http://example.org:8083/port-and-host
        GET /port-and-status                        => 301 http://host.test:8083/port-and-status
        GET /port-host-status                       => 307 http://example.org:8083/port-host-status
        GET /port-80                                => 302 http://host.test/port-80
        GET /http                                   => 302 http://host.test/http
        GET /http-80                                => 302 http://host.test/http-80
        GET /http-443                               => 302 http://host.test:443/http-443
        GET /https-443                              => 302 https://host.test/https-443
        GET /https-8443                             => 302 https://host.test:8443/https-8443
        GET /https-80                               => 302 https://host.test:80/https-80
        POST /see-other                             => 303 http://host.test:PORT/see-other
        GET /temporary                              => 307 http://host.test:PORT/temporary
        HEAD /permanent                             => 308 http://host.test:PORT/permanent
        GET /scheme//a%2Fb;c?d=%20&e                => 302 https://host.test/scheme//a%2Fb;c?d=%20&e
        GET /scheme/x/../y?z                        => 302 https://host.test/scheme/y?z
        GET /scheme; @                              => 302 https://127.0.0.1/scheme
        ";
    hold_at(&Echoes::new().daemon(&[("app", &spec)]), table);
}

#[test]
fn the_path_is_replaced_whole_or_its_prefix() {
    let spec = rules(&[
        ("/original-prefix", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /replacement-prefix}"),
        ("/full", "path: {type: ReplaceFullPath, replaceFullPath: /full-path-replacement}"),
        ("/path-and-host", "hostname: example.org, path: {type: ReplacePrefixMatch, replacePrefixMatch: /replacement-prefix}"),
        ("/path-and-status", "statusCode: 301, path: {type: ReplacePrefixMatch, replacePrefixMatch: /replacement-prefix}"),
        ("/full-path-and-host", "hostname: example.org, path: {type: ReplaceFullPath, replaceFullPath: /replacement-full}"),
        ("/full-path-and-status", "statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /replacement-full}"),
        ("/strip", "scheme: https, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}"),
        ("/empty", "scheme: https, path: {type: ReplacePrefixMatch, replacePrefixMatch: \"\"}"),
        ("/slashed/", "scheme: https, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new/}"),
    ]);
    let table = "
        GET /original-prefix/lemon          => 302 http://host.test:PORT/replacement-prefix/lemon
        GET /original-prefix                => 302 http://host.test:PORT/replacement-prefix
        GET /original-prefix/               => 302 http://host.test:PORT/replacement-prefix/
        GET /original-prefix/a?b=c          => 302 http://host.test:PORT/replacement-prefix/a?b=c
        GET /full/path/original             => 302 http://host.test:PORT/full-path-replacement
        GET /full/x?q                       => 302 http://host.test:PORT/full-path-replacement?q
        GET /path-and-host                  => 302 http://example.org:PORT/replacement-prefix
        GET /path-and-status                => 301 http://host.test:PORT/replacement-prefix
        GET /full-path-and-host             => 302 http://example.org:PORT/replacement-full
        GET /full-path-and-status           => 301 http://host.test:PORT/replacement-full
        GET /strip/x                        => 302 https://host.test/x
        GET /strip                          => 302 https://host.test/
        GET /strip//evil.test/x             => 302 https://host.test/evil.test/x
        GET /empty/x                        => 302 https://host.test/x
        GET /empty                          => 302 https://host.test/
        GET /slashed/x                      => 302 https://host.test/new/x
        GET /slashed                        => 302 https://host.test/new
        GET /slashed/                       => 302 https://host.test/new/
        ";
    hold_at(&Echoes::new().daemon(&[("app", &spec)]), table);
}

#[test]
fn a_backend_reference_redirects_in_the_clients_own_space() {
    let spec = "
rules:
- matches: [{path: {value: /full}}]
  backendRefs:
  - {name: one, filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /redirected-full}}}]}
- matches: [{path: {value: /prefix}}]
  backendRefs:
  - {name: one, filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /redirected-prefix}}}]}
- matches: [{path: {value: /rewritten}}]
  filters: [{type: URLRewrite, urlRewrite: {hostname: inner.test, path: {type: ReplaceFullPath, replaceFullPath: /inner}}}]
  backendRefs: [{name: one, filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]
";
    let table = "
        GET /full/original          => 302 http://host.test:PORT/redirected-full
        GET /prefix/original        => 302 http://host.test:PORT/redirected-prefix/original
        GET /prefix                 => 302 http://host.test:PORT/redirected-prefix
        GET /rewritten/a?b          => 302 https://host.test/rewritten/a?b
        ";
    hold_at(&Echoes::new().daemon(&[("app", spec)]), table);
}

#[test]
fn a_port_that_is_the_schemes_own_is_left_out() {
    needs!(root);
    let netns = Arc::new(Netns::new(&[]));
    let gateway = "apiVersion: lxcproxy.dev/v1
kind: Gateway
metadata: {name: web}
spec:
  listeners:
  - {name: http, address: 127.0.0.1, port: 80, protocol: HTTP}
  - {name: alt, address: 127.0.0.1, port: 8080, protocol: HTTP}
  - {name: odd, address: 127.0.0.1, port: 443, protocol: HTTP}
";
    let spec = rules(&[
        ("/nil-nil", "hostname: example.org"),
        ("/nil-80", "hostname: example.org, port: 80"),
        ("/nil-8080", "hostname: example.org, port: 8080"),
        ("/https-nil", "hostname: example.org, scheme: https"),
        ("/https-443", "hostname: example.org, scheme: https, port: 443"),
        ("/https-8443", "hostname: example.org, scheme: https, port: 8443"),
        ("/status", "statusCode: 308"),
    ]);
    let app =
        format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: app}}\nspec:\n  {}", spec.trim_end().replace('\n', "\n  "));
    let daemon = Daemon::builder().inside(netns.clone()).manifest("web.yaml", gateway).manifest("app.yaml", &app).start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    let rows = [
        (80, "/nil-nil", "http://example.org/nil-nil"),
        (80, "/nil-80", "http://example.org/nil-80"),
        (80, "/nil-8080", "http://example.org:8080/nil-8080"),
        (80, "/https-nil", "https://example.org/https-nil"),
        (80, "/https-443", "https://example.org/https-443"),
        (80, "/https-8443", "https://example.org:8443/https-8443"),
        (80, "/status", "http://127.0.0.1/status"),
        (8080, "/nil-nil", "http://example.org:8080/nil-nil"),
        (8080, "/nil-80", "http://example.org/nil-80"),
        (8080, "/nil-8080", "http://example.org:8080/nil-8080"),
        (8080, "/https-nil", "https://example.org/https-nil"),
        (8080, "/status", "http://127.0.0.1:8080/status"),
        (443, "/nil-nil", "http://example.org:443/nil-nil"),
        (443, "/https-nil", "https://example.org/https-nil"),
    ];
    let sent =
        |port: u16, path: &str| Curl::new(&format!("http://127.0.0.1:{port}{path}"), Some(&netns)).send().header("location").to_owned();
    let failures: Vec<_> = rows.iter().filter(|(port, path, wanted)| sent(*port, path) != *wanted).collect();
    assert!(failures.is_empty(), "these are sent elsewhere: {failures:#?}");
}
