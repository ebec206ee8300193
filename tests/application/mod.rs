//! An application in a real container, served from the moment its manifest is dropped in: php-fpm on the container's own tmpfs.

mod backends;
mod links;
mod machines;
mod restarts;
mod rights;
mod storage;

use serde_json::Value;

use crate::support::curl::Response;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, LxcPath, PHP_LOG, Spec};
use crate::support::needs;

const HOST: &str = "home.example.org";
const MANIFEST: &str = include_str!("../../manifests/ttrss.yaml");
const CSS: &str = "body { color: green }\n";
/// Stands in every script, and in no answer.
const MARK: &str = "SOURCE-OF-A-SCRIPT";

/// Tells what it was told.
const INDEX: &str = "<?php /* SOURCE-OF-A-SCRIPT */
$seen = json_encode(['server' => $_SERVER, 'body' => file_get_contents('php://input'), 'file' => __FILE__,
    'hostname' => trim(file_get_contents('/etc/hostname'))]);
header('Content-Type: application/json');
header('Content-Length: ' . strlen($seen));
echo $seen;
";

/// The sample manifest's container, and a daemon that does not know of it yet. The daemon goes first.
struct Ttrss {
    daemon: Daemon,
    container: Container,
}

impl Ttrss {
    /// Files and php-fpm, no manifest.
    fn new() -> Self {
        let lxcpath = LxcPath::new();
        let container = Container::new(Spec { name: Some("ttrss".into()), lxcpath: Some(lxcpath), php_fpm: true, ..Spec::default() });
        container.write("/var/www/ttrss/index.php", INDEX);
        container.write("/var/www/ttrss/style.css", CSS);
        container.start();
        Self { daemon: Daemon::builder().lxcpath(container.lxcpath()).start(), container }
    }

    /// The same, served.
    fn served() -> Self {
        let ttrss = Self::new();
        ttrss.daemon.manifest("ttrss.yaml", MANIFEST);
        ttrss.daemon.wait_condition("ttrss", "Ready", PATIENCE);
        ttrss
    }

    fn get(&self, path: &str) -> Response {
        self.daemon.request(path).host(HOST).send()
    }

    /// What the script says it was told.
    fn seen(&self, path: &str) -> Value {
        seen(&self.get(path))
    }

    /// Waits for a status.
    fn wait_status(&self, path: &str, status: u16) -> Response {
        self.daemon.eventually(PATIENCE, || match self.get(path) {
            answer if answer.status == status => Ok(answer),
            answer => Err(format!("{path}: {} and not {status}: {}", answer.status, answer.text())),
        })
    }
}

fn seen(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error} in {}", answer.text()))
}

#[test]
fn a_manifest_dropped_into_the_directory_of_a_running_daemon_runs_the_script() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::new();
    assert_eq!(ttrss.get("/ttrss/").status, 404, "nobody claims it yet");
    ttrss.daemon.manifest("ttrss.yaml", MANIFEST);
    let seen = seen(&ttrss.wait_status("/ttrss/", 200));
    assert_eq!((&seen["file"], &seen["hostname"]), (&"/var/www/ttrss/index.php".into(), &"ttrss".into()));
    for (name, value) in [
        ("SCRIPT_FILENAME", "/var/www/ttrss/index.php"),
        ("DOCUMENT_ROOT", "/var/www"),
        ("SCRIPT_NAME", "/ttrss/index.php"),
        ("REQUEST_URI", "/ttrss/"),
        ("DOCUMENT_URI", "/ttrss/index.php"),
        ("PHP_SELF", "/ttrss/index.php"),
        ("SERVER_NAME", HOST),
        ("HTTP_HOST", HOST),
        ("REQUEST_METHOD", "GET"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REQUEST_SCHEME", "http"),
    ] {
        assert_eq!(seen["server"][name], value, "{name}");
    }
    assert!(seen["server"].get("PATH_INFO").is_none(), "{seen}");
    ttrss.daemon.wait_condition("ttrss", "Ready", PATIENCE);
}

#[test]
fn what_follows_the_script_is_its_path_info_and_bodies_and_queries_arrive() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let server = ttrss.seen("/ttrss/index.php/a/b%20c?x=1&y=%20")["server"].clone();
    for (name, value) in [
        ("SCRIPT_FILENAME", "/var/www/ttrss/index.php"),
        ("SCRIPT_NAME", "/ttrss/index.php"),
        ("PATH_INFO", "/a/b c"),
        ("PHP_SELF", "/ttrss/index.php/a/b c"),
        ("QUERY_STRING", "x=1&y=%20"),
        ("REQUEST_URI", "/ttrss/index.php/a/b%20c?x=1&y=%20"),
    ] {
        assert_eq!(server[name], value, "{name}");
    }
    for (framing, length) in [("X-Framing: length", "5"), ("Transfer-Encoding: chunked", "5")] {
        let answer =
            ttrss.daemon.request("/ttrss/").host(HOST).arg("-H").arg(framing).header("Content-Type", "text/x").body("hello").send();
        let seen = seen(&answer);
        assert_eq!((&seen["body"], &seen["server"]["CONTENT_LENGTH"]), (&"hello".into(), &length.into()), "{framing}");
        assert_eq!((&seen["server"]["REQUEST_METHOD"], &seen["server"]["CONTENT_TYPE"]), (&"POST".into(), &"text/x".into()), "{framing}");
    }
    let redirect = ttrss.get("/ttrss?x=1");
    assert_eq!((redirect.status, redirect.header("location")), (301, "/ttrss/?x=1"));
}

#[test]
fn a_file_comes_from_the_host_side_without_a_request_to_the_container() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let css = ttrss.get("/ttrss/style.css");
    assert_eq!((css.status, css.text().as_str(), css.header("content-type")), (200, CSS, "text/css; charset=utf-8"));
    assert_eq!(ttrss.get("/ttrss/index.php").status, 200);
    let log = || ttrss.container.exec(&["cat", PHP_LOG]);
    ttrss.daemon.eventually(PATIENCE, || if log().contains("index.php") { Ok(()) } else { Err("php-fpm logs nothing".to_owned()) });
    assert!(!log().contains("style.css"), "{}", log());

    ttrss.container.stop_php();
    let css = ttrss.get("/ttrss/style.css");
    assert_eq!((css.status, css.text().as_str()), (200, CSS));
    let script = ttrss.get("/ttrss/");
    assert_eq!((script.status, script.header("retry-after")), (503, "1"), "{script:?}");
    ttrss.daemon.wait_reason("ttrss", "ResolvedRefs", "SocketNotFound", PATIENCE);
    ttrss.container.start_php();
    ttrss.wait_status("/ttrss/", 200);
}

#[test]
fn a_script_never_goes_out_as_bytes_whatever_the_method_and_the_spelling() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    for name in ["UPPER.PHP", "dot.php.", "space.php ", "mixed.pHp", "dir.php/index.php"] {
        ttrss.container.write(&format!("/var/www/ttrss/{name}"), &format!("<?php /* {MARK} */ echo 'ran';"));
    }
    let spellings = [
        "index.php",
        "",
        "index.php/",
        "index.php/a",
        "index.php/style.css",
        "/index.php",
        "./index.php",
        "x/../index.php",
        "%69ndex.php",
        "index%2ephp",
        "index.ph%70",
        "index.php%20",
        "index.php.",
        "index.php%00",
        "index.php%00.css",
        "index.php%0a",
        "index.php%2f",
        "index.php%5c",
        "index.php%2fstyle.css",
        "index.php;a=b",
        "index.php::$DATA",
        "index.PHP",
        "INDEX.PHP",
        "UPPER.PHP",
        "dot.php.",
        "space.php%20",
        "mixed.pHp",
        "dir.php",
        "dir.php/",
        "dir.php/index.php",
        "style.css/../index.php",
        "style.css/index.php",
    ];
    let ask = |spelling: &str, what: &[&str]| {
        let request = ttrss.daemon.request(&format!("/ttrss/{spelling}")).host(HOST);
        let answer = what.iter().fold(request, |request, arg| request.arg(arg)).send();
        assert!(!answer.text().contains(MARK), "{spelling} {what:?}: {answer:?}");
        answer.status
    };
    for spelling in spellings {
        for what in [&["-X", "GET"][..], &["-I"], &["-X", "POST"], &["-X", "PUT"], &["-X", "PROPFIND"], &["-r", "0-20"]] {
            let status = ask(spelling, what);
            assert!([200, 301, 400, 404, 405].contains(&status), "{spelling} {what:?}: {status}");
        }
    }
    ttrss.container.stop_php();
    for spelling in spellings {
        let status = ask(spelling, &[]);
        assert!([301, 400, 404, 503].contains(&status), "{spelling}: {status}");
    }
}

#[test]
fn a_container_that_is_made_after_its_manifest_is_served_when_it_starts() {
    needs!(lxc, root, php_fpm, curl);
    let lxcpath = LxcPath::new();
    let daemon = Daemon::builder().lxcpath(lxcpath.path()).manifest("ttrss.yaml", MANIFEST).start();
    let message = daemon.wait_reason("ttrss", "ResolvedRefs", "ContainerNotFound", PATIENCE);
    assert!(message.contains(lxcpath.path().to_str().unwrap()), "{message}");
    let container = Container::new(Spec { name: Some("ttrss".into()), lxcpath: Some(lxcpath), php_fpm: true, ..Spec::default() });
    container.write("/var/www/ttrss/index.php", INDEX);
    let ttrss = Ttrss { daemon, container };
    ttrss.container.start();
    ttrss.wait_status("/ttrss/", 200);
    ttrss.daemon.wait_condition("ttrss", "Ready", PATIENCE);
}
