//! A request that is over -> one JSON object.
//!
//! In: texts with any byte in them. Out: one line (RFC 8259). Never: a control character, not even those that JSON allows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::digits::{address, number, padded};
use super::{Clock, protocol};
use crate::proxy::{Access, Part};

/// One JSON object. What is not UTF-8 shows as U+FFFD.
pub(in crate::telemetry::access) fn json(access: &Access, clock: &mut Clock, line: &mut Vec<u8>) {
    let since = access.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    line.extend_from_slice(b"{\"time\":\"");
    line.extend_from_slice(clock.text(access.time, seconds).as_bytes());
    line.push(b'.');
    padded::<3>(since.subsec_millis().into(), line);
    line.extend_from_slice(b"Z\",\"client\":\"");
    address(access.client, line);
    line.extend_from_slice(b"\",\"method\":");
    text(access.text(Part::Method).or(Some(b"")), line);
    member("host", access.text(Part::Host), line);
    member("path", access.text(Part::Target).or(Some(b"")), line);
    line.extend_from_slice(b",\"protocol\":\"");
    line.extend_from_slice(protocol(access.version).as_bytes());
    for (name, value) in [("\",\"status\":", access.status.into()), (",\"bytes_in\":", access.received), (",\"bytes_out\":", access.sent)] {
        line.extend_from_slice(name.as_bytes());
        number(value, line);
    }
    line.extend_from_slice(b",\"duration_ms\":");
    millis(access.took, line);
    line.extend_from_slice(b",\"upstream_ms\":");
    match access.upstream {
        Some(upstream) => millis(upstream, line),
        None => line.extend_from_slice(b"null"),
    }
    for (name, part) in [("app", Part::App), ("rule", Part::Rule), ("backend", Part::Backend)] {
        member(name, access.text(part), line);
    }
    line.extend_from_slice(b",\"request_id\":\"");
    line.extend_from_slice(&access.id.digits());
    line.push(b'"');
    member("referer", access.text(Part::Referer), line);
    member("user_agent", access.text(Part::UserAgent), line);
    line.extend_from_slice(b"}\n");
}

fn member(name: &str, value: Option<&[u8]>, line: &mut Vec<u8>) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    text(value, line);
}

/// A string, or `null`.
fn text(value: Option<&[u8]>, line: &mut Vec<u8>) {
    let Some(value) = value else { return line.extend_from_slice(b"null") };
    line.push(b'"');
    if value.iter().all(|byte| (0x20..0x7f).contains(byte) && *byte != b'"' && *byte != b'\\') {
        line.extend_from_slice(value);
    } else {
        String::from_utf8_lossy(value).chars().for_each(|c| escaped(c, line));
    }
    line.push(b'"');
}

/// DEL and the controls above it would do in JSON, but terminals obey some of them.
fn escaped(c: char, line: &mut Vec<u8>) {
    match c {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        '\n' => line.extend_from_slice(b"\\n"),
        '\r' => line.extend_from_slice(b"\\r"),
        '\t' => line.extend_from_slice(b"\\t"),
        '\u{8}' => line.extend_from_slice(b"\\b"),
        '\u{c}' => line.extend_from_slice(b"\\f"),
        c if c.is_control() => line.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
        c => line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Milliseconds to the microsecond, as JSON has numbers: `5.0`, `0.25`.
fn millis(took: Duration, line: &mut Vec<u8>) {
    let micros = took.saturating_add(Duration::from_nanos(500)).as_micros();
    let micros = u64::try_from(micros).unwrap_or(u64::MAX);
    number(micros / 1000, line);
    line.push(b'.');
    padded::<3>(micros % 1000, line);
    // A zero at the end says nothing, but for the first behind the point.
    let zeros = usize::from(micros % 10 == 0) + usize::from(micros % 100 == 0);
    line.truncate(line.len() - zeros);
}

/// `2026-11-23T15:30:28`
fn seconds(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().trim_end_matches('Z').to_owned()
}
