//! php-fpm in a real container: uploads, sessions, what it flushes, answers that are odd, workers that die, clients that leave.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, PHP_FPM, PHP_SOCKET, Spec};
use crate::support::{needs, until};

const CONFIG: &str = "php_admin_value[upload_max_filesize] = 64M
php_admin_value[post_max_size] = 64M
php_admin_value[output_buffering] = 0
php_admin_value[display_errors] = 0
php_admin_value[log_errors] = 1
php_admin_value[session.save_path] = /tmp
";

const UPLOAD: &str = "<?php
$files = array_map(fn($file) => [$file['name'], $file['size'], $file['error'], hash_file('crc32b', $file['tmp_name'])], $_FILES);
echo json_encode(['method' => $_SERVER['REQUEST_METHOD'], 'files' => $files, 'post' => $_POST,
    'body' => hash('crc32b', file_get_contents('php://input')), 'length' => $_SERVER['CONTENT_LENGTH']]);
";
const SESSION: &str = "<?php session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1; echo $_SESSION['n'];";
const WAITS: &str = "<?php
echo 'pid ', getmypid(), \"\\n\";
flush();
while (!file_exists('/tmp/go')) { usleep(1000); clearstatcache(); }
echo \"second\\n\";
";
const SILENT: &str = "<?php file_put_contents('/tmp/worker', getmypid()); while (true) usleep(1000);";
const ENDLESS: &str = "<?php
register_shutdown_function(fn() => file_put_contents('/tmp/left', connection_status()));
while (true) { echo str_repeat('x', 1000), \"\\n\"; flush(); usleep(1000); }
";

/// A container with these scripts, and a daemon that serves them. What stands last goes first.
pub fn served(config: &str, scripts: &[(&str, &str)], rules: &str) -> (Container, Daemon) {
    let container = Container::new(Spec { php_fpm: true, ..Spec::default() });
    // A name of its own, to be found among the sockets of the machine. What is said twice counts as it is said last.
    let socket = format!("/run/php/{}.sock", container.name());
    container.write("/etc/php-fpm.conf", &format!("{}{config}", PHP_FPM.replace(PHP_SOCKET, &socket)));
    for (name, text) in scripts {
        container.write(&format!("/var/www/{name}.php"), text);
    }
    container.start();
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: php}}
spec:
  container: {}
  backends:
  - name: fpm
    fastcgi: {{unix: {socket}}}
  - name: kept
    fastcgi: {{unix: {socket}, keepConnections: 2}}
  rules:
  {rules}
  - files: {{root: /var/www, scripts: [{{extension: .php, backend: fpm}}]}}
    limits: {{requestBody: 64M}}
",
        container.name()
    );
    let daemon = Daemon::builder().lxcpath(container.lxcpath()).arg("--threads").arg("2").manifest("php.yaml", &manifest).start();
    daemon.wait_condition("php", "Ready", PATIENCE);
    (container, daemon)
}

/// Asks on a connection of its own, and reads as it comes.
pub fn ask(daemon: &Daemon, path: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    BufReader::new(stream)
}

/// The next line that begins so; the others are framing, and fields.
fn line(reader: &mut BufReader<TcpStream>, begins: impl Fn(&str) -> bool) -> String {
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the answer has ended");
        if begins(&line) {
            return line.trim_end().to_owned();
        }
    }
}

#[test]
fn forms_with_files_and_bodies_arrive_whole() {
    needs!(lxc, root, php_fpm, curl);
    let (_container, daemon) = served(CONFIG, &[("upload", UPLOAD)], "");
    let bytes: Vec<u8> = (0..10_000_000_u32).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    let large = daemon.scratch().join("large.bin");
    fs::write(&large, &bytes).unwrap();
    let small = daemon.scratch().join("ü b.txt");
    fs::write(&small, "small").unwrap();
    let crc = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        format!("{:08x}", crc.sum())
    };
    for framing in ["X-Framing: length", "Transfer-Encoding: chunked"] {
        let form = |name: &str, file: &std::path::Path| format!("{name}=@{}", file.display());
        let request = daemon.request("/upload.php").arg("-H").arg(framing).arg("-H").arg("Expect:");
        let answer =
            request.arg("-F").arg("title=two words").arg("-F").arg(&form("large", &large)).arg("-F").arg(&form("small", &small)).send();
        let seen: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert_eq!((&seen["method"], &seen["post"]["title"]), (&"POST".into(), &"two words".into()), "{framing}");
        assert_eq!(seen["files"]["large"], serde_json::json!(["large.bin", bytes.len(), 0, crc(&bytes)]), "{framing}");
        assert_eq!(seen["files"]["small"], serde_json::json!(["ü b.txt", 5, 0, crc(b"small")]), "{framing}");

        let answer = daemon.request("/upload.php").arg("-H").arg(framing).method("PUT").body(bytes.clone()).send();
        let seen: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert_eq!((&seen["method"], &seen["body"]), (&"PUT".into(), &crc(&bytes).into()), "{framing}");
        assert_eq!(seen["length"], bytes.len().to_string(), "{framing}");
    }
}

#[test]
fn a_session_goes_on_with_its_cookie() {
    needs!(lxc, root, php_fpm, curl);
    let (_container, daemon) = served(CONFIG, &[("session", SESSION)], "");
    let first = daemon.get("/session.php");
    let cookie = first.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("PHPSESSID=") && first.text() == "1", "{first:?}");
    for count in ["2", "3"] {
        assert_eq!(daemon.request("/session.php").header("Cookie", &cookie).send().text(), count);
    }
    assert_eq!(daemon.get("/session.php").text(), "1", "somebody else");
}

#[test]
fn what_is_flushed_is_here_at_once_and_a_worker_that_is_killed_cuts_the_answer_or_gives_a_502() {
    needs!(lxc, root, php_fpm, curl);
    let (container, daemon) = served(CONFIG, &[("waits", WAITS), ("silent", SILENT), ("pid", "<?php echo getmypid();")], "");
    let mut reader = ask(&daemon, "/waits.php");
    let said = line(&mut reader, |line| line.starts_with("pid "));
    let pid = &said[4..];
    assert!(container.shell("test -e /tmp/go").status.code() == Some(1), "the script waits");
    container.exec(&["kill", "-9", pid]);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("second") && !rest.ends_with("0\r\n\r\n"), "an answer that was cut does not look whole: {rest:?}");

    let mut reader = ask(&daemon, "/silent.php");
    let pid = until("the worker has the request", || {
        String::from_utf8(container.shell("cat /tmp/worker").stdout).ok().filter(|pid| !pid.is_empty())
    });
    container.exec(&["kill", "-9", &pid]);
    assert!(line(&mut reader, |_| true).starts_with("HTTP/1.1 502 "));

    container.exec(&["touch", "/tmp/go"]);
    let answer = daemon.get("/waits.php");
    assert!(answer.status == 200 && answer.text().ends_with("second\n"), "another worker has taken its place: {answer:?}");
}

#[test]
fn a_script_hears_that_its_client_has_left() {
    needs!(lxc, root, php_fpm);
    let (container, daemon) = served(CONFIG, &[("endless", ENDLESS)], "");
    let mut reader = ask(&daemon, "/endless.php");
    line(&mut reader, |line| line.starts_with("xxx"));
    drop(reader);
    container.wait_for("-s", "/tmp/left");
    assert_eq!(container.exec(&["cat", "/tmp/left"]), "1", "CONNECTION_ABORTED");
}

#[test]
fn odd_answers_are_what_nginx_would_make_of_them_or_safer() {
    needs!(lxc, root, php_fpm, curl);
    let scripts = [
        ("fatal", "<?php undefined();"),
        ("sorry", "<?php http_response_code(500); echo 'sorry';"),
        ("exit", "<?php exit;"),
        ("late", "<?php echo 'text'; flush(); header('X-Late: 1'); http_response_code(404);"),
        ("short", "<?php header('Content-Length: 3'); echo 'abcdef';"),
        ("long", "<?php header('Content-Length: 10'); echo 'abc';"),
        ("empty", "<?php http_response_code((int) $_GET['status']); header('X-A: b'); echo 'not this';"),
        ("text", "<?php header('X-A: b'); header('Content-Length: 4'); echo 'text';"),
    ];
    let (_container, daemon) = served(CONFIG, &scripts, "");
    let fatal = daemon.get("/fatal.php");
    assert_eq!((fatal.status, fatal.text().as_str()), (500, ""), "PHP's own answer");
    let said = daemon.wait_log(PATIENCE, |line| line.contains("undefined function"));
    assert!(said.contains("\"app\":\"php\"") && said.contains("\"request_id\":\""), "{said}");
    let sorry = daemon.get("/sorry.php");
    assert_eq!((sorry.status, sorry.text().as_str()), (500, "sorry"));
    let exit = daemon.get("/exit.php");
    assert_eq!((exit.status, exit.text().as_str()), (200, ""));
    let late = daemon.get("/late.php");
    assert_eq!((late.status, late.text().as_str(), late.has("x-late")), (200, "text", false));
    daemon.wait_log(PATIENCE, |line| line.contains("headers already sent"));
    let short = daemon.get("/short.php");
    assert_eq!((short.status, short.text().as_str()), (200, "abc"), "no byte beyond what was announced");
    let long = daemon.request("/long.php").try_send();
    // What has come in one piece is known to be short before a byte is out.
    assert!(long.as_ref().map_or(true, |answer| answer.status == 502), "{long:?}");
    for status in [204, 304] {
        let answer = daemon.get(&format!("/empty.php?status={status}"));
        assert_eq!((answer.status, answer.body.len(), answer.header("x-a")), (status, 0, "b"));
    }
    let head = daemon.request("/text.php").method("HEAD").send();
    assert_eq!((head.status, head.body.len(), head.header("x-a"), head.header("content-length")), (200, 0, "b", "4"));
    assert_eq!(daemon.get("/text.php").text(), "text");
}

#[test]
fn a_head_of_ten_megabytes_is_refused_in_little_memory() {
    needs!(lxc, root, php_fpm, curl);
    let scripts = [
        ("long", "<?php header('X-Long: ' . str_repeat('a', 10 << 20)); echo 'x';"),
        ("many", "<?php for ($i = 0; $i < 200000; $i++) header(\"X-A: $i, and what makes it longer\", false); echo 'x';"),
        ("fits", "<?php header('X-Long: ' . str_repeat('a', 30000)); echo 'x';"),
    ];
    let config = format!("{CONFIG}php_admin_value[memory_limit] = 512M\n");
    let (_container, daemon) = served(&config, &scripts, "");
    assert_eq!(daemon.get("/fits.php").header("x-long").len(), 30_000);
    let before = peak(&daemon);
    for _ in 0..3 {
        for script in ["/long.php", "/many.php"] {
            assert_eq!(daemon.get(script).status, 502, "{script}");
        }
    }
    let grown = peak(&daemon) - before;
    assert!(grown < 8 * 1024, "{grown} KiB");
    assert_eq!(daemon.get("/fits.php").status, 200);
}

/// The most memory that the daemon has had, in KiB.
fn peak(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
