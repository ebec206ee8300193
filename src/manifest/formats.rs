//! The `format`s of the schema -> the parsers that own them.
//!
//! In: a string of a manifest. Out: nothing, or the parser's own sentence. Never: a second opinion on what a parser accepts.

use std::net::IpAddr;
use std::str::FromStr;

use http::uri::Authority;
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::api::v1::{ByteSize, Duration};
use crate::names::{AppName, ContainerName, ContainerPath, HostPattern, shown};
use crate::route::media::MediaRange;
use crate::route::path::{PathError, normalise};
use crate::route::{Origin, Template};

/// Says what is wrong with a string: a sentence, and after a `; ` what was expected.
pub(super) type Check = fn(&str) -> Result<(), String>;

/// Every format that the schemas name.
pub(super) const FORMATS: [(&str, Check); 20] = [
    ("byte-size", parsed::<ByteSize>),
    ("cidr", cidr),
    ("container-name", parsed::<ContainerName>),
    ("container-path", parsed::<ContainerPath>),
    ("cors-origin", cors_origin),
    ("dns-label", parsed::<AppName>),
    ("file-name", file_name),
    ("gep-2257-duration", parsed::<Duration>),
    ("header-name", header_name),
    ("header-template", header_template),
    ("header-value", header_value),
    ("host-path", host_path),
    ("host-pattern", parsed::<HostPattern>),
    ("host-port", host_port),
    ("hostname-exact", hostname_exact),
    ("http-host", http_host),
    ("ip", ip),
    ("media-range", parsed::<MediaRange>),
    ("request-path", request_path),
    ("template", template),
];

/// What is wrong with a string of this format.
pub(super) fn complaint(format: &str, text: &str) -> Option<String> {
    FORMATS.iter().find(|(name, _)| *name == format).and_then(|(_, check)| check(text).err())
}

/// A path of a request, as `matches` and path modifiers write it: what the normaliser leaves as it is, without query or fragment.
pub(super) fn request_path(text: &str) -> Result<(), String> {
    let problem = if text.is_empty() {
        return Ok(());
    } else if !text.starts_with('/') {
        "does not start with `/`; a path is absolute".to_owned()
    } else if text.contains("//") {
        "holds `//`; write a single slash".to_owned()
    } else if text.contains(['?', '#']) {
        "holds `?` or `#`; a path has no query and no fragment".to_owned()
    } else if text.to_ascii_lowercase().contains("%2f") {
        "holds an encoded slash, `%2F`; write the path without it".to_owned()
    } else if let Some(c) = text.chars().find(|c| !c.is_ascii() || matches!(c, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
    {
        let mut bytes = [0; 4];
        let encoded: Vec<String> = c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("holds `{c}`; requests send it percent-encoded: write `{}`", encoded.concat())
    } else {
        match normalise(text) {
            Ok(normal) if *normal == *text => return Ok(()),
            Ok(normal) => format!("is not what requests are compared with; write `{}`", shown(&normal)),
            Err(error @ PathError::BadEscape) => format!("can't be the path of a request: {error}; write a percent sign as `%25`"),
            Err(error) => format!("can't be the path of a request: {error}; write the path that is meant"),
        }
    };
    Err(format!("`{}` {problem}", shown(text)))
}

fn parsed<T: FromStr<Err: ToString>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|error| error.to_string())
}

fn template(text: &str) -> Result<(), String> {
    Template::parse(text).map(drop).map_err(|error| error.to_string())
}

fn header_template(text: &str) -> Result<(), String> {
    header_value(text)?;
    template(text)
}

fn header_value(text: &str) -> Result<(), String> {
    let fits = HeaderValue::from_str(text).is_ok() && text.is_ascii() && text.trim() == text;
    fits.then_some(())
        .ok_or_else(|| format!("`{}` is not a header value; expected visible ASCII characters, with no space at either end", shown(text)))
}

fn header_name(text: &str) -> Result<(), String> {
    let fits = HeaderName::from_bytes(text.as_bytes()).is_ok();
    fits.then_some(()).ok_or_else(|| format!("`{}` is not a header name; expected letters, digits and `-`", shown(text)))
}

fn file_name(text: &str) -> Result<(), String> {
    let fits = !matches!(text, "" | "." | "..") && text.len() <= 255 && !text.chars().any(|c| matches!(c, '/' | '\\') || c.is_control());
    fits.then_some(()).ok_or_else(|| format!("`{}` is not a file name; expected a name without a directory", shown(text)))
}

fn host_path(text: &str) -> Result<(), String> {
    let fits = !text.is_empty() && text.len() <= 4095 && !text.chars().any(char::is_control);
    fits.then_some(())
        .ok_or_else(|| format!("`{}` is not a path of the host; expected one of 1 to 4095 bytes, without control characters", shown(text)))
}

fn hostname_exact(text: &str) -> Result<(), String> {
    match text.parse::<HostPattern>() {
        Ok(HostPattern::Exact(_)) => Ok(()),
        Ok(HostPattern::Wildcard(_)) => Err(format!("`{}` is a wildcard; expected one hostname, like `home.example.org`", shown(text))),
        Err(error) => Err(error.to_string()),
    }
}

fn http_host(text: &str) -> Result<(), String> {
    let fits = text == "Preserve" || text.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'));
    fits.then_some(()).ok_or_else(|| format!("`{}` is not a host; expected `Preserve`, or a host like `home.example.org`", shown(text)))
}

fn host_port(text: &str) -> Result<(), String> {
    let fail = || format!("`{}` is not `host:port`; expected for example `192.168.122.21:8000` or `[::1]:8000`", shown(text));
    let (host, port) = text.rsplit_once(':').ok_or_else(fail)?;
    let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse::<u16>().ok()).flatten();
    let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => hostname_exact(host).is_ok(),
    };
    if port.is_some_and(|port| port > 0) && host_fits { Ok(()) } else { Err(fail()) }
}

fn cors_origin(text: &str) -> Result<(), String> {
    if text == "*" { Ok(()) } else { parsed::<Origin>(text) }
}

fn ip(text: &str) -> Result<(), String> {
    let fits = text.parse::<IpAddr>().is_ok();
    fits.then_some(()).ok_or_else(|| format!("`{}` is not an address; expected for example `192.168.1.1` or `::1`", shown(text)))
}

fn cidr(text: &str) -> Result<(), String> {
    let fits = text.split_once('/').is_some_and(|(address, length)| {
        let bits = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.bytes().all(|b| b.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|length| length <= bits)
    });
    // As with `/2` for `/24`: more would be let in than is meant.
    if let Some(network) = text.parse::<IpNet>().ok().filter(|network| fits && network.trunc() != *network) {
        let message = format!("`{}` is an address inside of a network", shown(text));
        return Err(format!(
            "{message}; write the network, `{}`, or the address alone, `{}`",
            network.trunc(),
            IpNet::from(network.addr())
        ));
    }
    fits.then_some(()).ok_or_else(|| format!("`{}` is not a network; expected for example `10.0.0.0/8` or `fd00::/8`", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(check: Check, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in bad {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_to_dial_has_a_host_and_a_port() {
        accepts(
            host_port,
            &["a:1", "192.168.122.21:8000", "[::1]:80"],
            &["", ":80", "a", "a:0", "a:65536", "a:+1", "::1:80", "[::1]", "a/b:1"],
        );
    }

    #[test]
    fn a_request_path_is_what_the_normaliser_leaves_alone() {
        let bad = ["a", "/a//b", "/a/./b", "/a/..", "/a?b", "/a#b", "/a%2Fb", "/ä", "/a b", "/%", "/%00", "/a/%2e/b", "/{path}"];
        accepts(request_path, &["/", "/a", "/a/", "/a%20b", "/.well-known/acme", "/~user"], &bad);
        assert!(request_path("/ä").is_err_and(|message| message.contains("`%C3%A4`")));
    }

    #[test]
    fn networks_addresses_hosts_and_files_have_one_form_each() {
        accepts(
            cidr,
            &["10.0.0.0/8", "fd00::/8", "0.0.0.0/0", "10.0.0.1/32", "FD00::/8"],
            &["10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "10.0.0.0/+8", "10.0.0.1/8", "fd00::1/8"],
        );
        accepts(ip, &["127.0.0.1", "::1"], &["localhost", "[::1]", "1.2.3.4/8"]);
        accepts(http_host, &["Preserve", "a.org", "a.org:8080"], &["", "a b", "u@a.org", "a/b"]);
        accepts(file_name, &["index.php"], &["", "..", "a/b", "a\\b", "a\0"]);
        accepts(header_value, &["", "max-age=60"], &["a\nb", " a", "ä"]);
        accepts(header_name, &["X-A"], &["", "a b", "a:"]);
    }
}
