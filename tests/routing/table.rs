//! A table of requests -> the rows that do not hold, all at once.
//!
//! In: rows, one a line, `REQUEST => EXPECTATION`; parts after the first two words are separated by `; `.
//!
//! ```text
//! GET /path?query; @host; field: value   => backend; /seen?query; @seen-host; field: seen, values; -absent; <field: of the answer; <-absent
//! GET /path                              => 404
//! GET /path                              => 302 http://host/path
//! ```
//!
//! Out: nothing, or a panic that names each row. Never: a row that is skipped: a line that can't be read fails.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::support::daemon::PATIENCE;

/// The host of a row that names none.
pub const HOST: &str = "host.test";

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    fields: Vec<(String, String)>,
    /// What the backend says that it has seen; null if none was asked.
    pub seen: Value,
}

/// Holds the daemon to the rows.
pub fn hold(address: SocketAddr, table: &str) {
    let rows: Vec<_> = table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(!rows.is_empty(), "the table is empty");
    let failures: Vec<_> = rows.iter().filter_map(|row| check(address, row).err().map(|problem| format!("{row}\n    {problem}"))).collect();
    assert!(failures.is_empty(), "\n{} of {} rows do not hold:\n{}\n", failures.len(), rows.len(), failures.join("\n"));
}

/// Sends the request of a row.
///
/// # Errors
/// What is wrong with the row, or the answer.
pub fn ask(address: SocketAddr, request: &str) -> Result<Answer, String> {
    let mut parts = request.split("; ").map(str::trim);
    let (method, target) = parts.next().and_then(|line| line.split_once(' ')).ok_or("a request is `METHOD TARGET`")?;
    let (mut host, mut fields) = (HOST, String::new());
    for part in parts {
        match part.strip_prefix('@') {
            Some(other) => host = other,
            None if part.contains(':') => write!(fields, "{part}\r\n").unwrap(),
            None => return Err(format!("`{part}` is no part of a request")),
        }
    }
    // A request without a host is one of HTTP/1.0.
    let head = match host {
        "" => format!("{method} {target} HTTP/1.0\r\n"),
        host => format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"),
    };
    exchange(address, &format!("{head}{fields}\r\n"))
}

/// Sends bytes, and reads the answer until the connection is closed.
///
/// # Errors
/// There is no answer that can be read.
pub fn exchange(address: SocketAddr, request: &str) -> Result<Answer, String> {
    let mut bytes = Vec::new();
    let mut run = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        stream.read_to_end(&mut bytes)
    };
    run().map_err(|error| format!("no answer: {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or_else(|| format!("no answer: {text:?}"))?;
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let fields: Vec<_> = lines.take_while(|line| !line.is_empty()).filter_map(field).collect();
    let seen = fields.iter().find(|(name, _)| name == "x-seen").map_or(Ok(Value::Null), |(_, seen)| serde_json::from_str(seen));
    Ok(Answer { status, seen: seen.map_err(|error| error.to_string())?, fields })
}

impl Answer {
    /// The values of a field, joined by `, `; none: it is not there.
    pub fn field(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.fields.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn seen_field(&self, name: &str) -> Option<String> {
        let values = self.seen["fields"][name].as_array()?;
        Some(values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
    }
}

#[test]
fn rows_that_do_not_hold_are_named_all_at_once() {
    let daemon = super::echo::Echoes::new().daemon(&[("app", "rules: [{matches: [{path: {value: /a}}], backendRefs: [{name: one}]}]")]);
    let good = ["GET /a => one; /a; @host.test; -x", "GET / => 404"];
    let bad = [
        "GET /a => two",
        "GET /a => 404",
        "GET / => one",
        "GET / => 302 http://host.test/",
        "GET /a => one; /b",
        "GET /a => one; @other.test",
        "GET /a; X: 1 => one; x: 2",
        "GET /a; X: 1 => one; -x",
        "GET /a => one; <x-other: 1",
        "GET /a => one; <-x-seen",
        "GET /a => one; nonsense",
        "GET /a -> one",
    ];
    let table = [&good[..], &bad[..]].concat().join("\n");
    let message = std::panic::catch_unwind(|| hold(daemon.address(), &table)).unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("12 of 14 rows do not hold"), "{message}");
    assert!(bad.iter().all(|row| message.contains(row)) && !good.iter().any(|row| message.contains(row)), "{message}");
}

/// Every part of a row's expectation that does not hold.
fn check(address: SocketAddr, row: &str) -> Result<(), String> {
    let (request, expectation) = row.split_once(" => ").ok_or("a row is `REQUEST => EXPECTATION`")?;
    let answer = ask(address, request.trim())?;
    let mut parts = expectation.split("; ").map(str::trim);
    let outcome = parts.next().unwrap_or_default();
    let mut problems = vec![compare(outcome, &actual(&answer, outcome))];
    for part in parts {
        let sign = |sign: char| part.strip_prefix(sign);
        problems.push(if part.starts_with('/') {
            compare(part, answer.seen["target"].as_str().unwrap_or("no request"))
        } else if let Some(host) = sign('@') {
            compare(host, &answer.seen_field("host").unwrap_or_default())
        } else if let Some(field) = part.strip_prefix('<') {
            compare_field(field, |name| answer.field(name))?
        } else {
            compare_field(part, |name| answer.seen_field(name))?
        });
    }
    let problems: Vec<_> = problems.into_iter().flatten().collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n    ")) }
}

/// What happened, in the words of the expectation: a backend's name, a status, a status and where the client is sent.
fn actual(answer: &Answer, outcome: &str) -> String {
    match (&answer.seen["backend"], answer.field("location")) {
        (Value::String(backend), _) if answer.status == 200 => backend.clone(),
        (Value::String(backend), _) => format!("{} by {backend}", answer.status),
        (_, Some(location)) if outcome.contains(' ') => format!("{} {location}", answer.status),
        _ => answer.status.to_string(),
    }
}

fn compare(wanted: &str, got: &str) -> Option<String> {
    (wanted != got).then(|| format!("wanted {wanted}, got {got}"))
}

/// `name: value`, or `-name`.
fn compare_field(part: &str, value: impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    if let Some(absent) = part.strip_prefix('-') {
        return Ok(value(absent).map(|got| format!("wanted no {absent}, got {got}")));
    }
    let (name, wanted) = part.split_once(": ").ok_or_else(|| format!("`{part}` is no part of an expectation"))?;
    let got = value(name).unwrap_or_else(|| "none".to_owned());
    Ok(compare(wanted, &got).map(|problem| format!("{name}: {problem}")))
}
