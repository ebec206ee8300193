//! The name and port that a request is for: what `Host` and the target of a request may say (RFC 9110 section 7.2).

use std::net::Ipv6Addr;

use super::octets::{HOST, run};

/// `host[:port]`, no user. An empty `Host` says that there is none to name; a target names one.
pub(super) fn is_valid(bytes: &[u8]) -> bool {
    let end = match bytes {
        [b'[', ..] => match bytes.iter().position(|byte| *byte == b']') {
            Some(end) if is_ipv6(&bytes[1..end]) => end + 1,
            _ => return false,
        },
        _ => run::<HOST>(bytes),
    };
    match &bytes[end..] {
        [] => true,
        [b':', port @ ..] => end > 0 && is_port(port),
        _ => false,
    }
}

fn is_ipv6(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// It may be empty (RFC 3986 section 3.2.3).
fn is_port(bytes: &[u8]) -> bool {
    let digits = bytes.iter().all(u8::is_ascii_digit);
    let number = bytes.iter().fold(0_u32, |number, byte| number.saturating_mul(10).saturating_add(u32::from(*byte & 0xf)));
    digits && bytes.len() <= 5 && u16::try_from(number).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in ["", "a", "a:80", "a:", "A.b-c_d.example.", "127.0.0.1:65535", "[::1]", "[::1]:80", "[1:2:3:4:5:6:7:8]", "a!b"] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
        for host in [
            ":80",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:000080",
            "a:-1",
            "a:+1",
            "u@a",
            "u:p@a",
            "a/b",
            "a b",
            "a\\b",
            "[::1",
            "::1",
            "[]",
            "[a]",
            "[::1]a",
            "[::1%25lo]",
            "a%62",
            "a?b",
            "a#b",
            "a,b c",
            "a\"b",
            "\u{e9}",
            "<a>",
            "http://a",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }
}
