//! FastCGI with the application server that most people run: php-fpm.

mod container;
mod environment;
mod load;
mod spool;
mod stderr;

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, Method, Response, Version};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use lxcproxy::backend::fastcgi::{Call, Pool, Request, Script};
use lxcproxy::backend::{Error, RequestBody, ResponseBody};
use lxcproxy::container::rootfs::Rootfs;
use lxcproxy::dial::Address;
use lxcproxy::route::{Backend, Balance, CompiledApp, Endpoint, FastcgiSettings, Protocol, Template, Timeouts};
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt, DuplexStream};

const PATIENCE: Duration = Duration::from_secs(30);

/// php-fpm with two workers, its socket in `run/` and its scripts in `www/` of a temporary root. Ends with the value.
struct PhpFpm {
    process: Child,
    root: TempDir,
    pool: Pool,
    app: Arc<CompiledApp>,
}

impl PhpFpm {
    fn start(scripts: &[(&str, &str)], keep: usize) -> Self {
        let root = crate::support::scratch();
        let at = |name: &str| root.path().join(name).display().to_string();
        for directory in ["run", "www"] {
            std::fs::create_dir(root.path().join(directory)).unwrap();
        }
        for (name, text) in scripts {
            std::fs::write(root.path().join("www").join(name), format!("<?php {text}")).unwrap();
        }
        let mut config = std::fs::File::create(root.path().join("fpm.conf")).unwrap();
        write!(
            config,
            "[global]\nerror_log = {}\n[www]\nuser = {}\nlisten = {}\npm = static\npm.max_children = 2\nphp_admin_value[post_max_size] = 0\nphp_admin_value[output_buffering] = 0\n",
            at("fpm.log"),
            if rustix::process::geteuid().is_root() { "root" } else { "nobody" },
            at("run/php.sock"),
        )
        .unwrap();
        // Its master ends its workers when it is asked, also by a test that was killed.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "/usr/sbin/php-fpm8.2", "-F", "-R", "-y", &at("fpm.conf")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("php-fpm8.2 starts");
        let app = app(root.path(), keep);
        let fpm = Self { process, root, pool: Pool::default(), app };
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(fpm.root.path().join("run/php.sock")).is_err() {
            let log = || std::fs::read_to_string(fpm.root.path().join("fpm.log"));
            assert!(Instant::now() < deadline, "php-fpm does not listen: {:?}", log());
            std::thread::yield_now();
        }
        fpm
    }

    async fn exchange(&self, script: Script<'_>, method: Method, headers: &HeaderMap, body: RequestBody) -> Result<Answer, Error> {
        let response = self.begin(script, method, headers, body).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() })
    }

    async fn begin(
        &self,
        script: Script<'_>,
        method: Method,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, Error> {
        let Protocol::Fastcgi(settings) = &self.app.backends[0].protocol else { unreachable!() };
        let request = Request {
            method: &method,
            uri: "/raw/uri?a=1&b=2",
            version: Version::HTTP_11,
            headers,
            path: "/path",
            query: Some("a=1&b=2"),
            script: Some(script),
            files_root: None,
            scheme: "https",
            host: "home.example.org",
            client: "192.0.2.7:4711".parse().unwrap(),
            server: "127.0.0.1:443".parse().unwrap(),
            user: None,
            request_id: "r-1",
        };
        let timeouts = Timeouts { request: None, connect: Some(PATIENCE), idle: Some(PATIENCE) };
        let (app, content) = (&self.app, body.into());
        let call = Call { app, backend: 0, endpoint: 0, settings, request, content, patient: false, timeouts };
        self.pool.exchange(call).await.map_err(|failed| failed.error)
    }

    async fn get(&self, name: &str) -> Answer {
        let script = Script { name, path_info: "" };
        self.exchange(script, Method::GET, &HeaderMap::new(), RequestBody::empty()).await.unwrap()
    }

    /// Sends a body, whose head says how long it is or that it comes in chunks.
    async fn post(&self, name: &str, framing: (&'static str, &str), pieces: &[&[u8]]) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(framing.0, framing.1.parse().unwrap());
        headers.insert("content-type", "application/octet-stream".parse().unwrap());
        let (body, mut client) = body_of(&format!("POST / HTTP/1.1\r\nhost: a\r\n{}: {}\r\n\r\n", framing.0, framing.1)).await;
        let upload = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
            }
        };
        let (answer, ()) = tokio::join!(self.exchange(Script { name, path_info: "" }, Method::POST, &headers, body), upload);
        answer.unwrap()
    }
}

impl Drop for PhpFpm {
    fn drop(&mut self) {
        // Not killed: its workers would stay.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn app(root: &Path, keep: usize) -> Arc<CompiledApp> {
    let settings = FastcgiSettings {
        root: Some(root.join("www").to_str().unwrap().parse().unwrap()),
        index: None,
        params: vec![("EXTRA".into(), Template::parse("{client_ip} {path}").unwrap())],
        stderr: Arc::default(),
    };
    let rootfs = Arc::new(Rootfs::open(root).unwrap());
    let address = Some(Address::Unix { root: rootfs, path: "/run/php.sock".parse().unwrap() });
    Arc::new(CompiledApp {
        name: "php".parse().unwrap(),
        generation: 1,
        first_seen: 1,
        parents: Box::default(),
        hostnames: Box::default(),
        rules: Box::default(),
        backends: [Backend {
            name: "fpm".parse().unwrap(),
            endpoints: [Endpoint { name: "fpm".into(), address, health: Arc::default() }].into(),
            protocol: Protocol::Fastcgi(settings),
            keep,
            internal_files: Box::default(),
            balance: Balance::RoundRobin,
            ejection: None,
            check: None,
            hold: None,
        }]
        .into(),
        root: None,
        init: None,
        error_pages: Box::default(),
    })
}

/// A request's body as the server makes it from the bytes of a connection; and the client's end of that.
async fn body_of(head: &str) -> (RequestBody, DuplexStream) {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = RefCell::new(Some(sender));
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        sender.borrow_mut().take().unwrap().send(request.into_body()).unwrap();
        std::future::pending::<Result<Response<String>, Infallible>>()
    });
    tokio::task::spawn_local(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service));
    client.write_all(head.as_bytes()).await.unwrap();
    (RequestBody::new(receiver.await.unwrap(), None, PATIENCE).unwrap(), client)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { tokio::time::timeout(PATIENCE * 2, test).await.unwrap() });
}

const SERVER: (&str, &str) = ("server.php", "header('Content-Type: application/json'); echo json_encode($_SERVER);");
const HASH: (&str, &str) = (
    "hash.php",
    "$h = hash_init('crc32b'); $n = hash_update_stream($h, fopen('php://input', 'r')); \
     echo $n, ' ', hash_final($h), ' ', $_SERVER['CONTENT_LENGTH'];",
);

#[test]
fn a_script_sees_the_request_as_nginx_would_tell_it() {
    run(async {
        let fpm = PhpFpm::start(&[SERVER], 0);
        let mut headers = HeaderMap::new();
        headers.insert("x-one", "1".parse().unwrap());
        headers.insert("host", "home.example.org:8443".parse().unwrap());
        let script = Script { name: "/server.php", path_info: "/more of it" };
        let answer = fpm.exchange(script, Method::GET, &headers, RequestBody::empty()).await.unwrap();
        assert_eq!((answer.status, &answer.headers["content-type"]), (200, &"application/json".parse().unwrap()));
        let seen: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let www = fpm.root.path().join("www").display().to_string();
        for (name, value) in [
            ("SCRIPT_FILENAME", format!("{www}/server.php")),
            ("DOCUMENT_ROOT", www.clone()),
            ("SCRIPT_NAME", "/server.php".into()),
            ("PATH_INFO", "/more of it".into()),
            ("PATH_TRANSLATED", format!("{www}/more of it")),
            ("PHP_SELF", "/server.php/more of it".into()),
            ("REQUEST_URI", "/raw/uri?a=1&b=2".into()),
            ("QUERY_STRING", "a=1&b=2".into()),
            ("REQUEST_METHOD", "GET".into()),
            ("CONTENT_LENGTH", String::new()),
            ("SERVER_NAME", "home.example.org".into()),
            ("HTTP_HOST", "home.example.org:8443".into()),
            ("HTTP_X_ONE", "1".into()),
            ("HTTPS", "on".into()),
            ("REMOTE_ADDR", "192.0.2.7".into()),
            ("SERVER_PORT", "443".into()),
            ("EXTRA", "192.0.2.7 /path".into()),
        ] {
            assert_eq!(seen[name], value, "{name}");
        }
    });
}

#[test]
fn parameters_larger_than_a_record_arrive_whole() {
    run(async {
        let fpm = PhpFpm::start(&[SERVER], 0);
        let mut headers = HeaderMap::new();
        for at in 0..100 {
            let name: HeaderName = format!("x-large-{at}").parse().unwrap();
            headers.insert(name, format!("{at}-").repeat(700).parse().unwrap());
        }
        let script = Script { name: "/server.php", path_info: "" };
        let answer = fpm.exchange(script, Method::GET, &headers, RequestBody::empty()).await.unwrap();
        let seen: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        for at in 0..100 {
            assert_eq!(seen[format!("HTTP_X_LARGE_{at}")], format!("{at}-").repeat(700));
        }
    });
}

#[test]
fn uploads_arrive_whole_and_measured() {
    run(async {
        let fpm = PhpFpm::start(&[HASH], 0);
        let piece: Vec<u8> = (0..65_536_u32).map(|at| u8::try_from(at * 7 % 253).unwrap()).collect();
        for (count, expected) in [(0, 0), (1, 65_536), (320, 20_971_520)] {
            let pieces = vec![&piece[..]; count];
            let sized = fpm.post("/hash.php", ("content-length", &expected.to_string()), &pieces).await;

            let mut chunk = Vec::new();
            write!(chunk, "{:x}\r\n", piece.len()).unwrap();
            chunk.extend_from_slice(&piece);
            chunk.extend_from_slice(b"\r\n");
            let mut chunks = vec![&chunk[..]; count];
            chunks.push(b"0\r\n\r\n");
            let chunked = fpm.post("/hash.php", ("transfer-encoding", "chunked"), &chunks).await;

            assert!(sized.body.starts_with(&format!("{expected} ")) && sized.body.ends_with(&format!(" {expected}")), "{}", sized.body);
            assert_eq!(chunked.body, sized.body);
        }
    });
}

#[test]
fn status_redirect_and_fields_come_from_the_script() {
    run(async {
        let teapot = ("teapot.php", "http_response_code(418); header('X-A: b'); setcookie('c', '1'); setcookie('d', '2'); echo 'short';");
        let redirect = ("redirect.php", "header('Location: /elsewhere');");
        let large = ("large.php", "for ($i = 0; $i < 1000; $i++) echo str_repeat(chr(65 + $i % 26), 1000);");
        let fpm = PhpFpm::start(&[teapot, redirect, large], 0);

        let answer = fpm.get("/teapot.php").await;
        assert_eq!((answer.status, &*answer.body, &answer.headers["x-a"]), (418, "short", &"b".parse().unwrap()));
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);

        let answer = fpm.get("/redirect.php").await;
        assert_eq!((answer.status, &answer.headers["location"]), (302, &"/elsewhere".parse().unwrap()));

        let answer = fpm.get("/large.php").await;
        assert_eq!(answer.body.len(), 1_000_000);
        assert!((0..1000).all(|at| answer.body.as_bytes()[at * 1000 + 999] == 65 + u8::try_from(at % 26).unwrap()));

        let missing = fpm.get("/missing.php").await;
        assert_eq!(missing.status, 404);
    });
}

#[test]
fn what_a_script_flushes_is_here_before_the_script_ends() {
    run(async {
        let waits = (
            "waits.php",
            "echo 'first'; flush(); while (!file_exists(__DIR__ . '/go')) { usleep(1000); clearstatcache(); } echo 'second';",
        );
        let fpm = PhpFpm::start(&[waits], 0);
        let script = Script { name: "/waits.php", path_info: "" };
        let mut body = fpm.begin(script, Method::GET, &HeaderMap::new(), RequestBody::empty()).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
        std::fs::write(fpm.root.path().join("www/go"), "").unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "second");
    });
}

#[test]
fn a_kept_connection_is_used_again_and_a_restarted_php_fpm_costs_no_request() {
    run(async {
        let mut fpm = PhpFpm::start(&[("pid.php", "echo getmypid();")], 1);
        let first = fpm.get("/pid.php").await.body;
        for _ in 0..10 {
            assert_eq!(fpm.get("/pid.php").await.body, first);
        }
        let worker = rustix::process::Pid::from_raw(first.parse().unwrap()).unwrap();
        rustix::process::kill_process(worker, rustix::process::Signal::KILL).unwrap();
        let other = fpm.get("/pid.php").await.body;
        assert_ne!(other, first);
        fpm.app = app(fpm.root.path(), 0);
        let not_kept = fpm.get("/pid.php").await.body;
        assert_ne!(not_kept, other, "the other worker is pinned by a kept connection");
    });
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_script_complains_about_is_in_the_log_with_app_and_request() {
    let sink = Sink::default();
    let subscriber = |writer: Sink| tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    // While there is one dispatcher only, tracing asks the current thread's whether a line is of interest, and remembers the answer for all:
    // the thread of another test, which has none, would switch it off.
    let _beside = tracing::Dispatch::new(subscriber(sink.clone()));
    let _here = tracing::subscriber::set_default(subscriber(sink.clone()));
    run(async {
        let fpm = PhpFpm::start(&[("bad.php", "error_log(\"it's bad\\e[2J\"); echo 'fine';")], 0);
        assert_eq!(fpm.get("/bad.php").await.body, "fine");
    });
    let mut text = String::new();
    write!(text, "{}", String::from_utf8_lossy(&sink.0.lock().unwrap())).unwrap();
    let line = text.lines().find(|line| line.contains("it's bad")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("app=\"php\" request_id=\"r-1\"") && !line.contains('\u{1b}'), "{line}");
}
