//! Lines, as others read them.

use serde_json::json as object;

use super::super::tests::access;
use super::*;

fn line(form: fn(&Access, &mut Clock, &mut Vec<u8>), access: &Access) -> String {
    let mut line = Vec::new();
    form(access, &mut Clock::default(), &mut line);
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
    access = Access { upstream: None, ..Access::new(access.client, access.version, access.id, 0) };
    access.note(Part::Host, b"a b", 9);
    assert!(line(combined, &access).contains("app=- rule=- backend=- host=a\\x20b request_id="), "{}", line(combined, &access));
}

#[test]
fn a_json_line_has_every_field() {
    let text = line(json, &access());
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = object!({
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
    let mut access = access();
    access.note(Part::UserAgent, hostile, 99);
    access.note(Part::Referer, hostile, 99);
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

#[test]
fn a_text_is_what_serde_would_have_made_of_it() {
    let mut all = access();
    let text: String = (0..0x180_u32).filter_map(char::from_u32).collect();
    all.note(Part::UserAgent, text.as_bytes(), 9999);
    let written: serde_json::Value = serde_json::from_str(&line(json, &all)).unwrap();
    assert_eq!(written["user_agent"], text);
}

#[test]
fn times_are_rounded_as_numbers_are() {
    for (nanos, json_text, combined_text) in [
        (0, "\"duration_ms\":0.0,", "duration=0.000 "),
        (1_499, "\"duration_ms\":0.001,", "duration=0.000 "),
        (250_000, "\"duration_ms\":0.25,", "duration=0.000 "),
        (500_000, "\"duration_ms\":0.5,", "duration=0.001 "),
        (12_100_400, "\"duration_ms\":12.1,", "duration=0.012 "),
        (61_000_999_999, "\"duration_ms\":61001.0,", "duration=61.001 "),
    ] {
        let access = Access { took: Duration::from_nanos(nanos), ..access() };
        let (json, combined) = (line(json, &access), line(combined, &access));
        assert!(json.contains(json_text) && combined.contains(combined_text), "{nanos}: {json} {combined}");
    }
}

#[test]
fn the_clock_goes_on_with_the_second() {
    let (mut clock, mut lines) = (Clock::default(), Vec::new());
    for seconds in [0, 0, 1, 0] {
        combined(&Access { time: UNIX_EPOCH + Duration::from_secs(seconds), ..access() }, &mut clock, &mut lines);
    }
    let lines = String::from_utf8(lines).unwrap();
    let seconds: Vec<_> = lines.lines().map(|line| line.split_once("1970:00:00:0").unwrap().1[..1].to_owned()).collect();
    assert_eq!(seconds, ["0", "0", "1", "0"]);
}
