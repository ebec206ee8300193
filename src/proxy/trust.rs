//! What a trusted proxy says of a request's way -> the client, and what the backend is told of that way.
//!
//! In: `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, or in their absence `Forwarded` (RFC 7239), from a peer that is believed. Out: the
//! [`Peer`] as the client would have been seen. Never: a word of somebody who is not believed: of the addresses, those count that trusted
//! proxies have added, from the right; a value that is not in its form.
//!
//! `X-Forwarded-*` come first because most proxies that write them pass a client's own `Forwarded` on unseen.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::FORWARDED;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::peer::Peer;
use crate::names::Networks;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// What the backend is told of a way over trusted proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `X-Forwarded-For`: the client, and the proxies behind it up to our peer.
    pub chain: HeaderValue,
    /// `X-Forwarded-Host`: the host that the client asked for; none: that of the request.
    pub host: Option<HeaderValue>,
    /// `X-Forwarded-Port`: the port that the client asked; none: nobody said it.
    pub port: Option<u16>,
}

/// What was said, each in its form or not at all.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// The client first, then proxies; never our peer.
    addresses: Vec<SocketAddr>,
    scheme: Option<&'static str>,
    host: Option<Authority>,
    port: Option<u16>,
}

impl Peer {
    /// The peer as it is to be seen if these are its request's fields, and `believed` are the proxies that it is one of.
    #[must_use]
    pub fn speaking_for(mut self, headers: &HeaderMap, believed: &Networks) -> Self {
        const X: [HeaderName; 4] = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_FORWARDED_PORT];
        let said = if X.iter().any(|name| headers.contains_key(name)) {
            Said::in_x_forwarded(headers, believed)
        } else {
            Said::in_forwarded(headers, believed)
        };
        let hops = said.addresses.iter().chain([&self.client]).map(|address| address.ip().to_string()).collect::<Vec<_>>();
        // Addresses and commas are always a field's value; the request's own stays if not.
        let chain = HeaderValue::try_from(hops.join(", ")).unwrap_or_else(|_| self.client_ip.clone());
        if let Some(client) = said.addresses.first() {
            self.client = *client;
            self.client_ip = HeaderValue::try_from(client.ip().to_string()).unwrap_or(self.client_ip);
        }
        let in_host = said.host.as_ref().and_then(Authority::port_u16);
        let of_scheme = said.scheme.map(|scheme| if scheme == "https" { 443 } else { 80 });
        self.port = said.port.or(in_host).or(of_scheme).unwrap_or(self.port);
        self.scheme = said.scheme.unwrap_or(self.scheme);
        let host = said.host.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        self.via = Some(Box::new(Via { chain, host, port: said.port }));
        self
    }
}

impl Said {
    /// `X-Forwarded-*`. Of a list of schemes, hosts or ports the last counts: our peer has said that.
    fn in_x_forwarded(headers: &HeaderMap, believed: &Networks) -> Self {
        let last = |name: HeaderName| elements(headers, &name).next_back();
        Self {
            addresses: way(elements(headers, &X_FORWARDED_FOR).rev().map(address), believed),
            scheme: last(X_FORWARDED_PROTO).and_then(scheme),
            host: last(X_FORWARDED_HOST).and_then(host),
            port: last(X_FORWARDED_PORT).and_then(|text| text.parse().ok()).filter(|port| *port != 0),
        }
    }

    /// `Forwarded`. The element that names the client says what it asked for, too.
    fn in_forwarded(headers: &HeaderMap, believed: &Networks) -> Self {
        let Some(elements) = headers.get_all(FORWARDED).iter().map(|value| split(value, ',')).collect::<Option<Vec<_>>>() else {
            return Self::default();
        };
        let elements: Vec<_> = elements.concat();
        let from = |element: &&str| parameter(element, "for").and_then(|text| address(&text));
        let addresses = way(elements.iter().rev().map(from), believed);
        // One behind the other: the last is our peer's, the one with the client is as many before it as there are proxies in between.
        let Some(element) = elements.len().checked_sub(addresses.len().max(1)).and_then(|at| elements.get(at)) else {
            return Self::default();
        };
        Self {
            addresses,
            scheme: parameter(element, "proto").as_deref().and_then(scheme),
            host: parameter(element, "host").as_deref().and_then(host),
            port: None,
        }
    }
}

/// Addresses from the right -> the way from the client on. Those before the first that is not believed are only that one's word, and so is
/// everything before what is no address.
fn way(addresses: impl Iterator<Item = Option<SocketAddr>>, believed: &Networks) -> Vec<SocketAddr> {
    let mut way = Vec::new();
    for address in addresses.map_while(|address| address) {
        way.push(address);
        if !believed.contains(address.ip()) {
            break;
        }
    }
    way.reverse();
    way
}

/// The elements of all fields of a name, in order. A value that is not text has one that is in no form.
fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl DoubleEndedIterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.to_str().unwrap_or("?").split(',')).map(|element| element.trim_matches([' ', '\t']))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`
fn address(text: &str) -> Option<SocketAddr> {
    let canonical = |ip: IpAddr, port| SocketAddr::new(ip.to_canonical(), port);
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(canonical(ip, 0));
    }
    if let Some(ip) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return ip.parse::<Ipv6Addr>().ok().map(|ip| canonical(ip.into(), 0));
    }
    text.parse::<SocketAddr>().ok().map(|address| canonical(address.ip(), address.port()))
}

/// A WebSocket's scheme is that of the request that asks for it.
fn scheme(text: &str) -> Option<&'static str> {
    let is = |names: [&str; 2]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    if is(["https", "wss"]) {
        return Some("https");
    }
    is(["http", "ws"]).then_some("http")
}

fn host(text: &str) -> Option<Authority> {
    text.parse::<Authority>().ok().filter(|host| !host.as_str().contains('@'))
}

/// The parts of a list, as they stand outside of quotes; none: a quote has no end, or there is no text.
fn split(value: &HeaderValue, at: char) -> Option<Vec<&str>> {
    split_text(value.to_str().ok()?, at)
}

fn split_text(text: &str, at: char) -> Option<Vec<&str>> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == at && !quoted => {
                parts.push(text[begin..index].trim_matches([' ', '\t']));
                begin = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text[begin..].trim_matches([' ', '\t']));
    (!quoted).then_some(parts)
}

/// A parameter of an element of `Forwarded`, without its quotes. One that is there twice says nothing.
fn parameter(element: &str, name: &str) -> Option<String> {
    let pairs = split_text(element, ';')?;
    let mut values = pairs.iter().filter_map(|pair| pair.split_once('=')).filter(|(found, _)| found.eq_ignore_ascii_case(name));
    let (Some((_, value)), None) = (values.next(), values.next()) else { return None };
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut text = String::new();
    let mut chars = quoted.strip_suffix('"')?.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next()? } else { c });
    }
    Some(text)
}

#[cfg(test)]
mod tests;
