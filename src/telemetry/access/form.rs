//! A request that is over -> a line.
//!
//! In: texts with any byte in them. Out: one line. Never: a control character, a second line, a field that ends where its sender wants.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Version;
use serde_json::json;

use crate::proxy::Access;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The "combined" format of nginx and Apache, then fields of ours as `name=value`. `$remote_user` is always `-`: names are not logged.
/// Times are UTC.
pub(super) fn combined(access: &Access, line: &mut Vec<u8>) {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write!(text, "{} - - [{}] \"", access.client, local_time(access.time));
    escape(&access.method, &mut text);
    text.push(' ');
    escape(&access.target, &mut text);
    let _ = write!(text, " {}\" {} {} ", protocol(access.version), access.status, access.sent);
    for field in [&access.referer, &access.user_agent] {
        text.push('"');
        escape(field.as_deref().unwrap_or(b"-"), &mut text);
        text.push_str("\" ");
    }
    let name = |name: &Option<Box<str>>| name.as_deref().unwrap_or("-").to_owned();
    let _ = write!(text, "app={} rule={} backend={} ", name(&access.app), name(&access.rule), name(&access.backend));
    let _ = write!(text, "host=");
    escape_word(access.host.as_deref().unwrap_or(b"-"), &mut text);
    let _ = write!(text, " request_id={} bytes_in={} duration={:.3}", access.id, access.received, access.took.as_secs_f64());
    if let Some(upstream) = access.upstream {
        let _ = write!(text, " upstream={:.3}", upstream.as_secs_f64());
    }
    text.push('\n');
    line.extend_from_slice(text.as_bytes());
}

/// One JSON object. What is not UTF-8 shows as U+FFFD.
pub(super) fn json(access: &Access, line: &mut Vec<u8>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let millis = |took: std::time::Duration| (took.as_secs_f64() * 1e6).round() / 1e3;
    let object = json!({
        "time": humantime::format_rfc3339_millis(access.time.max(UNIX_EPOCH)).to_string(),
        "client": access.client.to_string(),
        "method": text(&access.method),
        "host": access.host.as_deref().map(text),
        "path": text(&access.target),
        "protocol": protocol(access.version),
        "status": access.status,
        "bytes_in": access.received,
        "bytes_out": access.sent,
        "duration_ms": millis(access.took),
        "upstream_ms": access.upstream.map(millis),
        "app": access.app,
        "rule": access.rule,
        "backend": access.backend,
        "request_id": access.id.to_string(),
        "referer": access.referer.as_deref().map(text),
        "user_agent": access.user_agent.as_deref().map(text),
    });
    // JSON leaves DEL and the controls above it as they are, and terminals obey some of them. They only stand inside of strings.
    for c in object.to_string().chars() {
        // Writing to a Vec does not fail.
        let _ = if c.is_control() { write!(line, "\\u{:04x}", u32::from(c)) } else { write!(line, "{c}") };
    }
    line.push(b'\n');
}

/// nginx's way: `"`, `\`, and what is below 0x20 or above 0x7e become `\xHH`.
fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => drop(write!(text, "\\x{byte:02X}")),
            _ => text.push(char::from(*byte)),
        }
    }
}

/// The same for a value that stands without quotes: it has no spaces either.
fn escape_word(bytes: &[u8], text: &mut String) {
    for piece in bytes.split_inclusive(|byte| *byte == b' ') {
        escape(piece.strip_suffix(b" ").unwrap_or(piece), text);
        if piece.ends_with(b" ") {
            text.push_str("\\x20");
        }
    }
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
    let text = humantime::format_rfc3339_seconds(time.max(UNIX_EPOCH)).to_string();
    // Always `2026-11-23T15:30:28Z`.
    let month = text[5..7].parse::<usize>().map_or("-", |month| MONTHS[(month - 1) % MONTHS.len()]);
    format!("{}/{month}/{}:{} +0000", &text[8..10], &text[..4], &text[11..19])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::access;
    use super::*;

    fn line(form: fn(&Access, &mut Vec<u8>), access: &Access) -> String {
        let mut line = Vec::new();
        form(access, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_combined_line_is_that_of_nginx_with_fields_of_ours_behind_it() {
        let mut access = access();
        assert_eq!(
            line(combined, &access),
            "192.0.2.1 - - [23/Nov/2026:15:30:28 +0000] \"GET /a?b=c HTTP/1.1\" 200 12 \"-\" \"curl/8\" \
             app=app rule=0 backend=web host=h:80 request_id=0000000000000000 bytes_in=3 duration=1.234 upstream=0.005\n"
        );
        (access.app, access.rule, access.backend, access.upstream, access.host) = (None, None, None, None, Some((*b"a b").into()));
        assert!(line(combined, &access).contains("app=- rule=- backend=- host=a\\x20b request_id="), "{}", line(combined, &access));
    }

    #[test]
    fn a_json_line_has_every_field() {
        let text = line(json, &access());
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "time": "2026-11-23T15:30:28.250Z", "client": "192.0.2.1", "method": "GET", "host": "h:80", "path": "/a?b=c",
            "protocol": "HTTP/1.1", "status": 200, "bytes_in": 3, "bytes_out": 12, "duration_ms": 1234.0, "upstream_ms": 5.0,
            "app": "app", "rule": "0", "backend": "web", "request_id": "0000000000000000", "referer": null, "user_agent": "curl/8",
        });
        assert_eq!(object, expected);
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn nothing_that_a_client_sends_ends_a_field_or_a_line() {
        let hostile = b"\" 200 0 \"-\" \"x\\\n\r\t\x1b[2J\x7f\xc2\x9b1m\xff".as_slice();
        let access = Access { user_agent: Some(hostile.into()), referer: Some(hostile.into()), ..access() };
        for form in [combined, json] {
            let text = line(form, &access);
            assert_eq!(text.chars().filter(|c| c.is_control()).count(), 1, "{text:?}");
            assert!(text.ends_with('\n'));
        }
        let text = line(combined, &access);
        assert!(text.is_ascii() && text.contains("\"\\x22 200 0 \\x22-\\x22 \\x22x\\x5C\\x0A\\x0D\\x09\\x1B[2J\\x7F\\xC2\\x9B1m\\xFF\""));
        let object: serde_json::Value = serde_json::from_str(&line(json, &access)).unwrap();
        assert_eq!(object["user_agent"], String::from_utf8_lossy(hostile).into_owned());
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, expected) in [(0, "01/Jan/1970:00:00:00 +0000"), (1_709_164_799, "28/Feb/2024:23:59:59 +0000")] {
            assert_eq!(local_time(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }
}
