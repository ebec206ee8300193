//! Heads of CGI answers, as they should not be and as they may be: nginx and lxcproxy in front of one application, the same request to
//! both. They answer alike, or the row says why ours is stricter.

use crate::support::curl::{Curl, Response};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::nginx::Nginx;
use crate::support::responder::Responder;

/// What the two make of an answer.
enum Outcome {
    /// The same.
    Same,
    /// The statuses of nginx and of lxcproxy (0: curl makes nothing of it), and why they differ.
    Differ(u16, u16, &'static str),
    /// Both answer 200, with other fields, and why.
    Fields(&'static str),
}

use Outcome::{Differ, Fields, Same};

/// What the application writes, and what becomes of it. `~` stands for a kilobyte.
const ROWS: &[(&str, &str, Outcome)] = &[
    // Status
    ("GET", "Status: 200\n\nbody", Same),
    ("GET", "Status: 200 OK\n\nbody", Same),
    ("GET", "Status: 404 Not Found\n\nbody", Same),
    ("GET", "status:404\n\nbody", Same),
    ("GET", "STATUS:   503   \n\nbody", Same),
    ("GET", "Status: 299 Odd\n\nbody", Same),
    ("GET", "Content-Type: text/plain\n\nbody", Same),
    ("GET", "Status: 599 Odd\n\nbody", Same),
    ("GET", "Status: abc\n\nbody", Same),
    ("GET", "Status: 99\n\nbody", Same),
    ("GET", "Status: 1000\n\nbody", Differ(0, 502, "a status has three digits")),
    ("GET", "Status: 999\n\nbody", Differ(999, 502, "RFC 9110 section 15: there is no such class")),
    ("GET", "Status:\n\nbody", Same),
    ("GET", "Status: 200\nStatus: 404\n\nbody", Differ(200, 502, "it is not clear which one is meant")),
    ("GET", "Status: 100 Continue\n\nbody", Differ(0, 502, "an interim answer is no answer")),
    // Location
    ("GET", "Status: 302 Found\nLocation: /there\n\nbody", Same),
    ("GET", "Status: 301\nLocation: http://other.example/x\n\n", Same),
    ("GET", "Location: http://other.example/x\n\n", Same),
    ("GET", "Location: //other.example/x\n\n", Same),
    ("GET", "Location: relative\n\n", Same),
    ("GET", "Status: 201 Created\nLocation: /there\n\nbody", Same),
    ("GET", "Location: /there\nSet-Cookie: a=1\n\nbody", Same),
    ("GET", "Location: /there\n\n", Differ(302, 200, "RFC 3875 section 6.2.2: a local redirect is answered here")),
    // Several of one name
    ("GET", "Set-Cookie: a=1\nX-A: 1\nSet-Cookie: b=2\nset-cookie: a=3\n\nbody", Same),
    ("GET", "Cache-Control: private\nCache-Control: no-store\n\nbody", Same),
    // Ends of lines
    ("GET", "X-A: 1\r\nX-B: 2\r\n\r\nbody", Same),
    ("GET", "X-A: 1\nX-B: 2\r\n\nbody", Same),
    ("GET", "X-A: 1\r\nX-B: 2\n\r\nbody", Same),
    ("GET", "\nbody", Same),
    ("GET", "\r\nbody", Same),
    ("GET", "X-A: 1\n\n\n\nbody", Same),
    // No head, or none that is one
    ("GET", "", Same),
    ("GET", "X-A: 1\n", Same),
    ("GET", "body without a head", Same),
    ("GET", "body without a head\n\nbody", Same),
    ("GET", "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nbody", Same),
    ("GET", "HTTP/1.0 200\nX-A: 1\n\nbody", Same),
    ("GET", "HTTP/1.1 abc\nX-A: 1\n\nbody", Differ(200, 502, "a status has three digits")),
    ("GET", "X-A: 1\nHTTP/1.1 200 OK\n\nbody", Differ(200, 502, "that is the first line, or none")),
    ("GET", "HTTP/1.1 404 Not Found\r\nX-A: 1\r\n\r\nbody", Differ(200, 404, "nginx skips the line, and an error looks like none")),
    ("GET", "no colon\nX-A: 1\n\nbody", Same),
    // Names and values
    ("GET", "X-A : 1\nX-B: 2\n\nbody", Same),
    ("GET", "X A: 1\nX-B: 2\n\nbody", Same),
    ("GET", ": 1\n\nbody", Same),
    ("GET", "X_A: 1\n\nbody", Same),
    ("GET", "X-A:\nX-B:\t2 \n\nbody", Same),
    ("GET", "X-A: 1\n folded\nX-B: 2\n\nbody", Same),
    ("GET", "X-A: 1\0\u{1}\n\nbody", Same),
    ("GET", "X-A: 1\u{1}\n\nbody", Differ(200, 502, "RFC 9110 section 5.5: no control characters")),
    ("GET", "X-A: 1\rX-B: 2\n\nbody", Same),
    ("GET", "X-A: ü\n\nbody", Same),
    ("GET", "X-ü: 1\nX-B: 2\n\nbody", Differ(200, 502, "RFC 9110 section 5.1: a name is a token")),
    // Length and framing
    ("GET", "Content-Length: 4\n\nbody", Same),
    ("GET", "Content-Length: 2\n\nbody", Same),
    ("GET", "Content-Length: 9\n\nbody", Differ(0, 502, "what is known to be cut short is not begun")),
    ("GET", "Content-Length: 0\n\nbody", Same),
    ("GET", "Content-Length: 4\nContent-Length: 4\n\nbody", Same),
    ("GET", "Content-Length: 4\nContent-Length: 2\n\nbody", Differ(200, 502, "it is not clear where it ends")),
    ("GET", "Content-Length: x\n\nbody", Differ(200, 502, "a length is a number")),
    ("GET", "Content-Length: -1\n\nbody", Differ(200, 502, "a length is a number")),
    ("GET", "Transfer-Encoding: chunked\n\n4\r\nbody\r\n0\r\n\r\n", Same),
    ("GET", "Connection: close\nKeep-Alive: 5\nX-A: 1\n\nbody", Same),
    (
        "GET",
        "Connection: X-A\nUpgrade: x\nTrailer: X-T\nX-A: 1\n\nbody",
        Fields("RFC 3875 section 6.3.4: a script does not speak of the client's connection"),
    ),
    ("GET", "Content-Encoding: x\nContent-Range: bytes 0-3/9\nETag: \"e\"\n\nbody", Same),
    // No body
    ("HEAD", "X-A: 1\n\nbody", Same),
    ("HEAD", "Content-Length: 4\n\nbody", Same),
    ("HEAD", "Content-Length: 4\n\n", Same),
    ("GET", "Status: 204\n\nbody", Same),
    ("GET", "Status: 204\nContent-Length: 4\n\nbody", Same),
    ("GET", "Status: 304\nETag: \"e\"\n\nbody", Same),
    ("GET", "Status: 304\nContent-Length: 4\n\n", Same),
    // Size
    ("GET", "X-A: ~~~\n\nbody", Same),
    (
        "GET",
        "X-A: ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n\nbody",
        Differ(502, 200, "nginx takes 4 KiB unless it is told otherwise, lxcproxy 64 KiB"),
    ),
    ("GET", "X-A: ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n\nbody", Same),
];

/// Fields that each proxy makes in its own way.
const THEIR_OWN: [&str; 5] = ["server", "date", "connection", "transfer-encoding", "content-length"];

fn output(at: usize) -> Vec<u8> {
    ROWS[at].1.replace('~', &"x".repeat(1024)).into_bytes()
}

#[test]
fn nginx_and_lxcproxy_read_the_heads_of_cgi_answers_alike() {
    needs!(nginx, curl);
    let application = Responder::new(|asked| match asked.param("QUERY_STRING").parse() {
        Ok(at) => output(at),
        Err(_) => b"Content-Type: text/there\n\nthere".to_vec(),
    });
    let address = application.address();
    let server = format!("location / {{ include /etc/nginx/fastcgi_params; fastcgi_pass {address}; }}");
    let theirs = Nginx::start(&server, None);
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  backends: [{{name: cgi, fastcgi: {{tcp: \"{address}\"}}}}]
  rules:
  - backendRefs: [{{name: cgi}}]
"
    );
    let ours = Daemon::builder().manifest("app.yaml", &manifest).start();
    ours.wait_condition("app", "Ready", PATIENCE);
    let mut problems = Vec::new();
    for (at, (method, said, outcome)) in ROWS.iter().enumerate() {
        let path = format!("/x?{at}");
        let send = |request: Curl| if *method == "GET" { request.try_send() } else { request.method(method).try_send() };
        let (their, our) = (send(theirs.request(&path)), send(ours.request(&path)));
        let name = format!("{method} {said:?}");
        let (their_status, our_status) = (status(&their), status(&our));
        let why = match outcome {
            Same => "",
            Differ(.., why) | Fields(why) => why,
        };
        match outcome {
            Differ(theirs, ours, _) if (*theirs, *ours) == (their_status, our_status) && theirs != ours => {}
            Fields(_) if (their_status, our_status) == (200, 200) && !differences(&their, &our).is_empty() => {}
            Same if differences(&their, &our).is_empty() => {}
            _ => problems
                .push(format!("{name}: nginx {their_status}, lxcproxy {our_status}: {} ({why})", differences(&their, &our).join("; "))),
        }
    }
    assert!(problems.is_empty(), "{} of {} rows:\n{}", problems.len(), ROWS.len(), problems.join("\n"));
}

/// 0: it breaks off.
fn status(answer: &Result<Response, String>) -> u16 {
    answer.as_ref().map_or(0, |answer| answer.status)
}

/// Status, fields and bytes. The page of an error is each proxy's own.
fn differences(theirs: &Result<Response, String>, ours: &Result<Response, String>) -> Vec<String> {
    let (theirs, ours) = match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (Err(_), Err(_)) => return Vec::new(),
        (theirs, ours) => return vec![format!("{theirs:?} and {ours:?}")],
    };
    if theirs.status != ours.status {
        return vec![format!(
            "{:?}, {:?}",
            theirs.text().chars().take(60).collect::<String>(),
            ours.text().chars().take(60).collect::<String>()
        )];
    }
    if theirs.status == 502 {
        return Vec::new();
    }
    let fields = |answer: &Response| {
        let fields = answer.headers.iter().filter(|(name, _)| !THEIR_OWN.contains(&name.as_str()));
        let mut fields: Vec<_> = fields.map(|(name, value)| format!("{name}: {}", value.chars().take(60).collect::<String>())).collect();
        // Of one name the order counts.
        fields.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()));
        fields
    };
    let mut problems = Vec::new();
    if fields(theirs) != fields(ours) {
        problems.push(format!("fields {:?} and {:?}", fields(theirs), fields(ours)));
    }
    if theirs.body != ours.body {
        problems.push(format!("bodies {:?} and {:?}", theirs.text(), ours.text()));
    }
    problems
}
