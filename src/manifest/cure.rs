//! A text of the wrong form -> the one that was most likely meant.
//!
//! In: a format's name and the text. Out: a text that the format's own parser accepts. Never: a guess that changes the meaning.

use super::formats;

/// Longer texts are not looked at.
const LONGEST: usize = 256;
/// Words for units of time, as people write them.
const TIMES: [(&str, &str); 15] = [
    ("milliseconds", "ms"),
    ("millisecond", "ms"),
    ("msec", "ms"),
    ("seconds", "s"),
    ("second", "s"),
    ("secs", "s"),
    ("sec", "s"),
    ("minutes", "m"),
    ("minute", "m"),
    ("mins", "m"),
    ("min", "m"),
    ("hours", "h"),
    ("hour", "h"),
    ("hrs", "h"),
    ("hr", "h"),
];

/// `did you mean ...?`, or how it is written, if that can be guessed.
pub(super) fn meant(format: &str, text: &str) -> Option<String> {
    if format == "host-pattern" && text == "*" {
        return Some("without any it is every host".to_owned());
    }
    let guess = guess(format, text.get(..LONGEST.min(text.len()))?.trim())?;
    (guess != text && formats::complaint(format, &guess).is_none()).then(|| format!("did you mean `{guess}`?"))
}

fn guess(format: &str, text: &str) -> Option<String> {
    match format {
        "byte-size" => Some(size(text)),
        "gep-2257-duration" => Some(time(text)),
        "dns-label" => Some(label(text)),
        "host-pattern" | "hostname-exact" => Some(without_port(authority(text)).replace('_', "-")),
        "host-port" => Some(authority(text).to_owned()),
        "container-path" => Some(plain_path(text.strip_prefix("unix:").unwrap_or(text))).filter(|path| path.len() > 1),
        "ip" if text == "localhost" => Some("127.0.0.1".to_owned()),
        "ip" => Some(text.trim_matches(['[', ']']).to_owned()),
        "cidr" if text.contains(':') => Some(format!("{text}/128")),
        "cidr" => Some(format!("{text}/32")),
        "cors-origin" if !text.contains("://") => Some(format!("https://{text}")),
        "cors-origin" => Some(text.trim_end_matches('/').to_ascii_lowercase()),
        "header-name" => Some(text.trim_end_matches(':').replace([' ', '_'], "-")),
        _ => None,
    }
}

/// `10 MB` -> `10M`, `1gib` -> `1Gi`, `unlimited` -> `Unlimited`.
fn size(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let unit = match unit.to_ascii_lowercase().trim_end_matches("bytes").trim_end_matches('b') {
        "k" => "k",
        "m" => "M",
        "g" => "G",
        "t" => "T",
        "ki" => "Ki",
        "mi" => "Mi",
        "gi" => "Gi",
        "ti" => "Ti",
        "unlimited" | "none" if count.is_empty() => "Unlimited",
        "" => "",
        _ => unit,
    };
    format!("{count}{unit}")
}

/// `5 minutes` -> `5m`, `2d` -> `48h`.
fn time(text: &str) -> String {
    let mut text: String = text.to_ascii_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    for (word, unit) in TIMES {
        text = text.replace(word, unit);
    }
    let days = text.strip_suffix("days").or_else(|| text.strip_suffix("day")).or_else(|| text.strip_suffix('d'));
    match days.and_then(|days| days.parse::<u32>().ok()?.checked_mul(24)) {
        Some(hours) => format!("{hours}h"),
        None => text,
    }
}

/// `Tiny_RSS` -> `tiny-rss`.
fn label(text: &str) -> String {
    let letter = |c: char| if matches!(c, '_' | '.' | ' ') { '-' } else { c.to_ascii_lowercase() };
    text.chars().map(letter).collect::<String>().trim_matches('-').to_owned()
}

/// `https://user@host:80/path` -> `host:80`.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

fn without_port(text: &str) -> &str {
    text.split_once(':').map_or(text, |(host, _)| host)
}

/// Absolute, and without `.` and `..` segments.
fn plain_path(text: &str) -> String {
    let mut plain: Vec<&str> = Vec::new();
    for segment in text.split('/').filter(|segment| !segment.is_empty()) {
        match segment {
            "." => {}
            ".." => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    format!("/{}", plain.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood_and_the_parser_agrees() {
        for (format, text, expected) in [
            ("byte-size", "10MB", Some("10M")),
            ("byte-size", "32 KiB", Some("32Ki")),
            ("byte-size", "unlimited", Some("Unlimited")),
            ("byte-size", "100 bytes", Some("100")),
            ("byte-size", "1.5G", None),
            ("byte-size", "99999999999999999999", None),
            ("gep-2257-duration", "5 minutes", Some("5m")),
            ("gep-2257-duration", "2 days", Some("48h")),
            ("gep-2257-duration", "1min 30sec", Some("1m30s")),
            ("gep-2257-duration", "-1s", None),
            ("gep-2257-duration", "300", None),
            ("dns-label", "Tiny_RSS", Some("tiny-rss")),
            ("dns-label", "-a-", Some("a")),
            ("dns-label", "ä", None),
            ("host-pattern", "https://home.example.org:443/x", Some("home.example.org")),
            ("host-port", "http://localhost:80/", Some("localhost:80")),
            ("host-port", "localhost", None),
            ("container-path", "run/../web.sock", Some("/web.sock")),
            ("container-path", "unix:/run/web.sock", Some("/run/web.sock")),
            ("container-path", "", None),
            ("ip", "localhost", Some("127.0.0.1")),
            ("ip", "[::1]", Some("::1")),
            ("cidr", "10.0.0.1", Some("10.0.0.1/32")),
            ("cidr", "fd00::1", Some("fd00::1/128")),
            ("cidr", "10.0.0.0/40", None),
            ("header-name", "X App:", Some("X-App")),
            ("template", "{paht}", None),
        ] {
            let expected = expected.map(|guess| format!("did you mean `{guess}`?"));
            assert_eq!(meant(format, text), expected, "{format} {text}");
        }
        assert_eq!(meant("host-pattern", "*").as_deref(), Some("without any it is every host"));
        assert_eq!(meant("dns-label", &"ä".repeat(1000)), None);
    }
}
