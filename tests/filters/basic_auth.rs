//! `BasicAuth`: who has a password passes, and nobody else does, whatever happens to the file.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;

use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::recorder::Recorder;
use crate::support::scratch;

/// A line for a name.
fn line(name: &str, password: &str, cost: u32) -> String {
    format!("{name}:{}\n", bcrypt::hash(password, cost).unwrap())
}

/// An App in a directory, of which `/private` needs a password of `/etc/users`.
struct Guarded {
    root: TempDir,
    web: Recorder,
    daemon: Daemon,
}

impl Guarded {
    fn new(users: &str, filter: &str) -> Self {
        let (root, web) = (scratch(), Recorder::new());
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/users"), users).unwrap();
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  backends: [{{name: web, http: {{tcp: \"{}\"}}}}]
  rules:
  - matches: [{{path: {{value: /private}}}}]
    filters: [{{type: BasicAuth, basicAuth: {{{filter}}}}}]
    backendRefs: [{{name: web}}]
  - backendRefs: [{{name: web}}]
",
            root.path().display(),
            web.address()
        );
        let daemon = Daemon::builder().manifest("app.yaml", &manifest).arg("--threads").arg("1").arg("--log").arg("trace").start();
        Self { root, web, daemon }
    }

    fn ask(&self, credentials: &str) -> Curl {
        self.daemon.request("/private").arg("--basic").arg("--user").arg(credentials)
    }

    fn status(&self, credentials: &str) -> u16 {
        self.ask(credentials).send().status
    }
}

#[test]
fn who_has_the_right_password_passes() {
    let guarded = Guarded::new(&(line("bob", "s:ecr\u{a3}t", 4) + &line("ann", "other", 4)), "file: /etc/users");
    let answer = guarded.daemon.get("/private");
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Basic realm=\"app\", charset=\"UTF-8\""));
    assert!(answer.text().contains("app: app\nrequest: "), "{}", answer.text());
    for wrong in ["bob:secret", "bob:", "ann:s:ecr\u{a3}t", "nobody:other", ":", "bob:s:ecr\u{a3}t2"] {
        assert_eq!(guarded.status(wrong), 401, "{wrong}");
    }
    assert!(guarded.web.is_idle(), "nothing has passed");
    for _ in 0..3 {
        assert_eq!(guarded.ask("bob:s:ecr\u{a3}t").send().text(), "ok\n");
        // As nginx: the backend may want to know who it is.
        assert_eq!(guarded.web.next().values("authorization").len(), 1);
    }
    assert_eq!(guarded.status("ann:other"), 200);
    assert_eq!(guarded.ask("bob:s:ecr\u{a3}t").body("content").send().status, 200);
    assert_eq!(guarded.daemon.get("/public").status, 200);
    let log = guarded.daemon.log();
    for secret in ["ecr\u{a3}t", &BASE64_STANDARD.encode("ann:other")[..], "$2b$", "Basic "] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn a_file_that_changes_counts_as_it_is_now_and_without_one_nobody_passes() {
    let guarded = Guarded::new(&line("bob", "one", 4), "file: /etc/users, realm: 'The \"inner\" \\ circle'");
    let users = guarded.root.path().join("etc/users");
    let becomes = |credentials: &str, status: u16| {
        guarded.daemon.eventually(PATIENCE, || match guarded.status(credentials) {
            found if found == status => Ok(()),
            found => Err(format!("{credentials}: {found}")),
        });
    };
    becomes("bob:one", 200);
    let challenge = guarded.daemon.get("/private").header("www-authenticate").to_owned();
    assert_eq!(challenge, r#"Basic realm="The \"inner\" \\ circle", charset="UTF-8""#);
    fs::write(&users, line("bob", "two", 4)).unwrap();
    becomes("bob:two", 200);
    assert_eq!(guarded.status("bob:one"), 401, "a password that was right is not remembered for another file");
    fs::remove_file(&users).unwrap();
    becomes("bob:two", 503);
    let message = guarded.daemon.wait_reason("app", "ResolvedRefs", "FileNotFound", PATIENCE);
    assert!(message.contains("password file /etc/users does not exist"), "{message}");
    assert_eq!(guarded.daemon.get("/private").status, 503);
    assert_eq!(guarded.daemon.get("/public").status, 200);
    fs::write(&users, line("bob", "three", 4)).unwrap();
    becomes("bob:three", 200);
    guarded.daemon.wait_condition("app", "ResolvedRefs", PATIENCE);
}

#[test]
fn a_link_leads_to_a_file_of_the_container_or_to_none() {
    let guarded = Guarded::new("", "file: /link");
    // On the host it is somebody else's file.
    let outside = scratch();
    let (name, inside) = (outside.path().join("users"), guarded.root.path().join("link"));
    fs::write(&name, line("host", "secret", 4)).unwrap();
    std::os::unix::fs::symlink(&name, &inside).unwrap();
    guarded.daemon.wait_reason("app", "ResolvedRefs", "FileNotFound", PATIENCE);
    assert_eq!(guarded.status("host:secret"), 503);
    let within = guarded.root.path().join(name.strip_prefix("/").unwrap());
    fs::create_dir_all(within.parent().unwrap()).unwrap();
    fs::write(within, line("guest", "secret", 4)).unwrap();
    guarded.daemon.eventually(PATIENCE, || match guarded.status("guest:secret") {
        200 => Ok(()),
        status => Err(status.to_string()),
    });
    assert_eq!(guarded.status("host:secret"), 401);
}

#[test]
fn a_hash_that_is_no_good_lets_nobody_in_and_is_told_of() {
    let users = format!("md5:$apr1$x$yyyyyyyyyyyyyyyyyyyyyy\nplain:plain\n{}", line("bob", "secret", 4));
    let guarded = Guarded::new(&users, "file: /etc/users");
    assert_eq!((guarded.status("bob:secret"), guarded.status("plain:plain"), guarded.status("md5:x")), (200, 401, 401));
    let line = guarded.daemon.wait_log(PATIENCE, |line| line.contains("line 1: nobody gets in by it"));
    assert!(line.contains("neither of bcrypt nor of argon2") && line.contains("md5") && !line.contains("apr1"), "{line}");
    guarded.daemon.wait_log(PATIENCE, |line| line.contains("line 2: nobody gets in by it"));
}

#[test]
fn a_file_of_the_host_is_read_for_an_app_in_a_container() {
    let dir = scratch();
    let file = dir.path().join("users");
    fs::write(&file, line("bob", "secret", 4)).unwrap();
    let guarded = Guarded::new("", &format!("hostFile: {}", file.display()));
    assert_eq!((guarded.status("bob:secret"), guarded.status("bob:other")), (200, 401));
}

/// A request with a wrong password, each time another one.
fn guess(guarded: &Guarded, number: usize) -> TcpStream {
    let mut client = TcpStream::connect(guarded.daemon.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let token = BASE64_STANDARD.encode(format!("bob:{number}"));
    client.write_all(format!("GET /private HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {token}\r\n\r\n").as_bytes()).unwrap();
    client
}

#[test]
fn passwords_are_checked_beside_the_requests_of_others() {
    // A second each, of an optimised program.
    let guarded = Guarded::new(&line("bob", "secret", 4).replacen("$04$", "$14$", 1), "file: /etc/users");
    let answered = Arc::new(AtomicUsize::new(0));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let guesses = 4 * processors;
    for number in 0..guesses {
        let (mut client, answered) = (guess(&guarded, number), answered.clone());
        std::thread::spawn(move || {
            if client.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let mut agent = Agent::connect(guarded.daemon.address());
    assert_eq!(agent.get("/public", "h").0, 200);
    assert!(answered.load(Ordering::SeqCst) < guesses, "the thread was kept busy");
}

#[test]
fn more_passwords_than_can_wait_are_refused() {
    let guarded = Guarded::new(&line("bob", "secret", 4).replacen("$04$", "$14$", 1), "file: /etc/users");
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let guesses: Vec<_> = (0..64 + processors + 8).map(|number| guess(&guarded, number)).collect();
    // The last ones find the queue full, whatever the first ones take.
    let mut refused = guesses.into_iter().rev().take(4).map(|mut client| {
        let mut bytes = [0; 1024];
        let count = client.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).to_ascii_lowercase()
    });
    assert!(refused.any(|answer| answer.starts_with("http/1.1 503") && answer.contains("retry-after: 1")));
}

#[test]
fn an_application_behind_fastcgi_is_told_who_it_is() {
    let application = TcpListener::bind("127.0.0.1:0").unwrap();
    let (root, address) = (scratch(), application.local_addr().unwrap());
    fs::write(root.path().join("users"), line("bob", "secret", 4)).unwrap();
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  backends: [{{name: app, fastcgi: {{tcp: \"{address}\"}}}}]
  rules:
  - filters: [{{type: BasicAuth, basicAuth: {{file: /users}}}}]
    backendRefs: [{{name: app}}]
",
        root.path().display()
    );
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).start();
    let asked = std::thread::spawn(move || application.incoming().map_while(Result::ok).find_map(answer_fastcgi));
    let answer = daemon.request("/").header("Remote-User", "root").arg("--user").arg("bob:secret").send();
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
    let asked = asked.join().unwrap().unwrap();
    // The lengths of both stand before them.
    assert!(asked.contains("\x0b\x03REMOTE_USERbob") && asked.contains("\x09\x05AUTH_TYPEBasic"), "{asked:?}");
}

/// Answers one request, and returns its bytes; none for a probe.
fn answer_fastcgi(mut stream: TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut asked = Vec::new();
    // Its end: an empty record of the type STDIN.
    while !asked.ends_with(&[1, 5, 0, 1, 0, 0, 0, 0]) {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
        asked.extend_from_slice(&bytes[..count]);
    }
    let text = b"Content-Type: text/plain\r\n\r\nhi";
    let mut answer = vec![1, 6, 0, 1, 0, u8::try_from(text.len()).unwrap(), 0, 0];
    answer.extend_from_slice(text);
    answer.extend_from_slice(&[1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    stream.write_all(&answer).unwrap();
    Some(String::from_utf8_lossy(&asked).into_owned())
}
