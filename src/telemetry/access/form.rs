//! A request that is over -> a line.
//!
//! In: texts with any byte in them. Out: one line. Never: a control character, a second line, a field that ends where its sender wants.
//!
//! Written by hand: with `format!` and `serde_json::json!` a line took four times (combined) and forty times (JSON) the instructions.

mod digits;
mod json;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Version;

use crate::proxy::{Access, Part};
use digits::{address, number, padded};
pub(super) use json::json;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The second that the last line was written in, as text: thousands of lines have the same.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: Option<u64>,
    text: String,
}

/// The "combined" format of nginx and Apache, then fields of ours as `name=value`. `$remote_user` is always `-`: names are not logged.
/// Times are UTC.
pub(super) fn combined(access: &Access, clock: &mut Clock, line: &mut Vec<u8>) {
    let text = |part: Part| access.text(part).unwrap_or(b"-");
    address(access.client, line);
    line.extend_from_slice(b" - - [");
    line.extend_from_slice(clock.text(access.time, local_time).as_bytes());
    line.extend_from_slice(b"] \"");
    escape(text(Part::Method), line);
    line.push(b' ');
    escape(text(Part::Target), line);
    line.push(b' ');
    line.extend_from_slice(protocol(access.version).as_bytes());
    line.extend_from_slice(b"\" ");
    number(access.status.into(), line);
    line.push(b' ');
    number(access.sent, line);
    for part in [Part::Referer, Part::UserAgent] {
        line.extend_from_slice(b" \"");
        escape(text(part), line);
        line.push(b'"');
    }
    for (name, part) in [(" app=", Part::App), (" rule=", Part::Rule), (" backend=", Part::Backend)] {
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(text(part));
    }
    line.extend_from_slice(b" host=");
    escape_word(text(Part::Host), line);
    line.extend_from_slice(b" request_id=");
    line.extend_from_slice(&access.id.digits());
    line.extend_from_slice(b" bytes_in=");
    number(access.received, line);
    line.extend_from_slice(b" duration=");
    seconds(access.took, line);
    if let Some(upstream) = access.upstream {
        line.extend_from_slice(b" upstream=");
        seconds(upstream, line);
    }
    line.push(b'\n');
}

impl Clock {
    /// The text of a time, of whole seconds.
    fn text(&mut self, time: SystemTime, form: fn(SystemTime) -> String) -> &str {
        let second = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.second != Some(second) {
            (self.second, self.text) = (Some(second), form(time.max(UNIX_EPOCH)));
        }
        &self.text
    }
}

/// nginx's way: `"`, `\`, and what is below 0x20 or above 0x7e become `\xHH`.
fn escape(bytes: &[u8], line: &mut Vec<u8>) {
    escape_unless(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\', bytes, line);
}

/// The same for a value that stands without quotes: it has no spaces either.
fn escape_word(bytes: &[u8], line: &mut Vec<u8>) {
    escape_unless(|byte| (0x21..0x7f).contains(&byte) && byte != b'"' && byte != b'\\', bytes, line);
}

fn escape_unless(is_plain: impl Fn(u8) -> bool, bytes: &[u8], line: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
        line.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        line.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
        rest = &rest[at + 1..];
    }
    line.extend_from_slice(rest);
}

/// One upper-case hexadecimal digit, of four bits.
fn digit(bits: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(bits & 15)]
}

/// Seconds with three digits after the point.
fn seconds(took: Duration, line: &mut Vec<u8>) {
    let millis = took.saturating_add(Duration::from_micros(500)).as_millis();
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    number(millis / 1000, line);
    line.push(b'.');
    padded::<3>(millis % 1000, line);
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// `23/Nov/2026:15:30:28 +0000`
fn local_time(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    // Always `2026-11-23T15:30:28Z`.
    let month = text[5..7].parse::<usize>().map_or("-", |month| MONTHS[(month - 1) % MONTHS.len()]);
    format!("{}/{month}/{}:{} +0000", &text[8..10], &text[..4], &text[11..19])
}

#[cfg(test)]
mod tests;
