//! What a script is told, beside a real nginx with Debian's own `fastcgi.conf` and the same php-fpm.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{PhpFpm, SERVER};
use crate::support::curl::{Curl, Response};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::nginx::Nginx;

const HOST: &str = "home.example.org";
const PARAMS: &str = "/etc/nginx/fastcgi.conf";

/// What differs between any two requests, and what php-fpm has from its own environment.
const NOBODYS: [&str; 4] = ["REQUEST_TIME", "REQUEST_TIME_FLOAT", "REMOTE_PORT", "SERVER_PORT"];

type Seen = BTreeMap<String, String>;
/// A path, and what curl is told beside it.
type Case = (&'static str, &'static [&'static str]);

const CASES: [Case; 12] = [
    ("/server.php", &[]),
    ("/server.php?", &[]),
    ("/server.php?a=1&b=%20&c=ü", &[]),
    ("/server.php/more%20of/it?x", &[]),
    ("/./sub/../server.php?raw", &[]),
    ("/%73erver.php", &[]),
    ("/sub/", &[]),
    ("/server.php", &["-X", "POST", "-d", "a=1&b=2"]),
    ("/server.php", &["-X", "POST", "-H", "Content-Type: text/x", "-H", "Content-Length: 0"]),
    ("/server.php", &["-X", "PROPFIND", "-H", "Depth: 1"]),
    ("/server.php", &["-H", "X-Dash-Name: 1", "-H", "Cookie: a=1; b=2", "-H", "Accept-Language: de", "-A", "agent/1"]),
    ("/server.php", &["--http1.0"]),
];

fn seen(answer: &Response) -> Seen {
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&answer.body).unwrap();
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    seen.into_iter().map(|(name, value)| (name, text(value))).filter(|(name, _)| !NOBODYS.contains(&name.as_str())).collect()
}

fn send(request: Curl, case: Case) -> Response {
    case.1.iter().fold(request.host(HOST), |request, arg| request.arg(arg)).send()
}

/// Both proxies before one php-fpm. Its root is the host's: both see the same paths.
struct Beside {
    fpm: PhpFpm,
    ours: Daemon,
    theirs: Nginx,
}

impl Beside {
    fn new() -> Self {
        let fpm = PhpFpm::start(&[SERVER], 0);
        let root = fpm.root.path().display().to_string();
        fs::create_dir(fpm.root.path().join("www/sub")).unwrap();
        fs::copy(fpm.root.path().join("www/server.php"), fpm.root.path().join("www/sub/index.php")).unwrap();
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: php}}
spec:
  container: {{runtime: Directory, rootfs: /}}
  backends: [{{name: fpm, fastcgi: {{unix: {root}/run/php.sock}}}}]
  rules:
  - files: {{root: {root}/www, index: [index.php], scripts: [{{extension: .php, backend: fpm}}]}}
"
        );
        let ours = Daemon::builder().manifest("php.yaml", &manifest).start();
        ours.wait_condition("php", "Ready", PATIENCE);
        let theirs = Nginx::start(
            &format!(
                "server_name {HOST}; root {root}/www; index index.php;
                location ~ ^.+\\.php(/|$) {{
                    fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
                    include {PARAMS};
                    fastcgi_param PATH_INFO $fastcgi_path_info if_not_empty;
                    fastcgi_pass unix:{root}/run/php.sock;
                }}"
            ),
            None,
        );
        Self { fpm, ours, theirs }
    }
}

/// Why nginx tells this, or tells it so, and lxcproxy does not.
fn is_wanted(name: &str, theirs: Option<&str>, ours: Option<&str>) -> bool {
    match name {
        "SERVER_SOFTWARE" => ours.is_some_and(|ours| ours.starts_with("lxcproxy/")),
        // RFC 3875 section 4.1.18: what CONTENT_* says is no header.
        "HTTP_CONTENT_TYPE" | "HTTP_CONTENT_LENGTH" => theirs.is_some() && ours.is_none(),
        // RFC 3875 section 4.1.6: it goes with PATH_INFO. Debian's file has neither.
        "PATH_TRANSLATED" => theirs.is_none() && ours.is_some_and(|ours| ours.ends_with("/www/more of/it")),
        _ => false,
    }
}

#[test]
fn a_script_is_told_what_debians_nginx_tells_it() {
    needs!(php_fpm, nginx, curl);
    let beside = Beside::new();
    let mut problems = Vec::new();
    for case in CASES {
        let theirs = seen(&send(beside.theirs.request(case.0), case));
        let ours = seen(&send(beside.ours.request(case.0), case));
        let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for name in names {
            let (their, our) = (theirs.get(name).map(String::as_str), ours.get(name).map(String::as_str));
            if their != our && !is_wanted(name, their, our) {
                problems.push(format!("{case:?}: {name}: nginx {their:?}, lxcproxy {our:?}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_name_of_debians_file_is_told() {
    needs!(php_fpm, nginx, curl);
    let beside = Beside::new();
    let told: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&beside.ours.get("/server.php").body).unwrap();
    for file in [PARAMS, "/etc/nginx/fastcgi_params"] {
        let text = fs::read_to_string(file).unwrap();
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("fastcgi_param")?.split_whitespace().next()).collect();
        assert!(names.len() > 15, "{names:?}");
        // It says so itself: only where there is TLS.
        for name in names.into_iter().filter(|name| *name != "HTTPS") {
            assert!(told.contains_key(name), "{file}: {name}");
        }
    }
    assert_eq!(told["SERVER_PORT"], beside.ours.address().port().to_string());
    assert_eq!((&told["SERVER_ADDR"], &told["REMOTE_ADDR"]), (&"127.0.0.1".into(), &"127.0.0.1".into()));
    assert!(told["REMOTE_PORT"].as_str().is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0)), "{told:?}");
}

#[test]
fn no_header_of_a_client_becomes_a_variable_that_it_is_not() {
    needs!(php_fpm, curl);
    let beside = Beside::new();
    let fields = ["Proxy: http://evil", "X_Real_IP: 6.6.6.6", "X.Dot: 1", "X-Real-IP: 6.6.6.6", "Content_Length: 9", "X-Fine: 1"];
    let request = fields.iter().fold(beside.ours.request("/server.php"), |request, field| request.arg("-H").arg(field));
    let told = seen(&request.host(HOST).send());
    let of_headers: Vec<(&str, &str)> =
        told.iter().filter(|(name, _)| name.starts_with("HTTP_X") || name.starts_with("HTTP_P")).map(|(n, v)| (&**n, &**v)).collect();
    assert!(of_headers.contains(&("HTTP_X_FINE", "1")), "{of_headers:?}");
    for forged in ["HTTP_PROXY", "HTTP_X_DOT", "HTTP_CONTENT_LENGTH"] {
        assert!(!told.contains_key(forged), "{forged}");
    }
    assert!(told.get("HTTP_X_REAL_IP").is_none_or(|ip| ip == "127.0.0.1"), "{told:?}");
    assert_eq!(told["CONTENT_LENGTH"], "");
    drop(beside.fpm);
}
