//! Backends that tell what they have seen, and the daemon before them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::daemon::{Builder, Daemon, PATIENCE};
use crate::support::recorder::{Recorder, Request};

/// The names of the backends that every App here has.
const NAMES: [&str; 3] = ["one", "two", "three"];

/// Three backends. Each answers 200 and says in `X-Seen` what it was asked. `X-Answer: name=value|...` has it answer with these fields,
/// `X-Delay: milliseconds` after a pause.
pub struct Echoes(Vec<Recorder>);

impl Echoes {
    pub fn new() -> Self {
        Self(NAMES.map(|name| Recorder::answering(move |request, stream| answer(name, request, stream))).into())
    }

    /// The manifest of an App with these backends. `spec`: what follows `spec:`, from the first column on.
    pub fn app(&self, name: &str, spec: &str) -> String {
        let mut text = format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  backends:\n");
        for (name, backend) in NAMES.iter().zip(&self.0) {
            writeln!(text, "  - {{name: {name}, http: {{tcp: \"{}\"}}}}", backend.address()).unwrap();
        }
        for line in spec.trim_matches('\n').lines() {
            writeln!(text, "  {line}").unwrap();
        }
        text
    }

    /// A daemon with these Apps, ready. `apps`: name and spec.
    pub fn daemon(&self, apps: &[(&str, &str)]) -> Daemon {
        self.daemon_of(Daemon::builder(), apps)
    }

    /// The same, with more before it.
    pub fn daemon_of(&self, builder: Builder, apps: &[(&str, &str)]) -> Daemon {
        let with = |builder: Builder, (name, spec): &(&str, &str)| builder.manifest(&format!("{name}.yaml"), &self.app(name, spec));
        let daemon = apps.iter().fold(builder, with).start();
        for (name, _) in apps {
            daemon.wait_condition(name, "Ready", PATIENCE);
        }
        daemon
    }
}

fn answer(name: &str, request: &Request, stream: &mut TcpStream) -> bool {
    let mut words = request.line().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut fields: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (field, value) in request.head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        fields.entry(field.to_ascii_lowercase()).or_default().push(value.trim());
    }
    if let Some(pause) = request.values("x-delay").first().and_then(|pause| pause.parse().ok()) {
        thread::park_timeout(Duration::from_millis(pause));
    }
    let seen = json!({"backend": name, "method": method, "target": target, "fields": fields});
    let mut head = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Seen: {seen}\r\n");
    for (field, value) in request.values("x-answer").iter().flat_map(|list| list.split('|')).filter_map(|pair| pair.split_once('=')) {
        write!(head, "{field}: {value}\r\n").unwrap();
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).is_ok()
}
