//! The first bytes of a connection -> who the client is, as the proxy in front says (PROXY protocol, versions 1 and 2; HAProxy
//! `doc/proxy-protocol.txt`).
//!
//! In: bytes as they come, from the first one on. Out: [`Header`] and its length, the wish for more, or a refusal. Never: a byte behind the
//! header; more than [`LONGEST`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest header that is read: nginx has the same limit. Version 1 has 107 bytes at most.
pub(super) const LONGEST: usize = 4096;

/// The longest line of version 1, with its end.
const LONGEST_LINE: usize = 107;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// Version 2, and a connection of the proxy's own.
const LOCAL: u8 = 0x20;
/// Version 2, and a client's connection.
const PROXY: u8 = 0x21;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// The connection is the proxy's own, or it does not know: the addresses are those of the connection.
    Own,
    /// A client's.
    Client {
        /// The client.
        source: SocketAddr,
        /// The address that it connected to.
        destination: SocketAddr,
    },
}

/// What is known after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of the bytes belong to the header, and more do.
    Incomplete,
    /// The header, and how many of the bytes it is.
    Whole(Header, usize),
}

/// The bytes are not the begin of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no header of the PROXY protocol: {0}")]
pub(super) struct Malformed(&'static str);

/// Reads a header.
///
/// # Errors
/// [`Malformed`], as soon as it is certain.
pub(super) fn parse(bytes: &[u8]) -> Result<Progress, Malformed> {
    match bytes.first() {
        None => Ok(Progress::Incomplete),
        Some(b'P') => line(bytes),
        Some(_) => binary(bytes),
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`, or `PROXY UNKNOWN ...\r\n`.
fn line(bytes: &[u8]) -> Result<Progress, Malformed> {
    const PREFIX: &[u8] = b"PROXY ";
    if !bytes.iter().zip(PREFIX).all(|(byte, wanted)| byte == wanted) {
        return Err(Malformed("it begins otherwise"));
    }
    let bytes = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LONGEST_LINE { Ok(Progress::Incomplete) } else { Err(Malformed("the line is too long")) };
    };
    let text = bytes.get(PREFIX.len()..end).and_then(|text| str::from_utf8(text).ok()).ok_or(Malformed("the line is not text"))?;
    let mut words = text.split(' ');
    let header = match words.next() {
        Some("UNKNOWN") => return Ok(Progress::Whole(Header::Own, end + 2)),
        Some("TCP4") => addresses::<Ipv4Addr>(words),
        Some("TCP6") => addresses::<Ipv6Addr>(words),
        _ => None,
    };
    header.map(|header| Progress::Whole(header, end + 2)).ok_or(Malformed("the line is not in its form"))
}

/// `192.0.2.1 198.51.100.1 56324 443`
fn addresses<'w, A: FromStr + Into<IpAddr>>(mut words: impl Iterator<Item = &'w str>) -> Option<Header> {
    let mut next = || words.next();
    let (source, destination) = (next()?.parse::<A>().ok()?, next()?.parse::<A>().ok()?);
    let (from, to) = (port(next()?)?, port(next()?)?);
    if next().is_some() {
        return None;
    }
    Some(client((source.into(), from), (destination.into(), to)))
}

/// Decimal, without a sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

fn client(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Header {
    let at = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
    Header::Client { source: at(source), destination: at(destination) }
}

/// Version 2: sixteen bytes, then addresses, then fields of type, length and value, which are passed over.
fn binary(bytes: &[u8]) -> Result<Progress, Malformed> {
    if !bytes.iter().zip(SIGNATURE).all(|(byte, wanted)| byte == wanted) {
        return Err(Malformed("it begins otherwise"));
    }
    let (command, family) = (bytes.get(12), bytes.get(13));
    if command.is_some_and(|command| !matches!(*command, LOCAL | PROXY)) {
        return Err(Malformed("version or command are unknown"));
    }
    let local = command == Some(&LOCAL);
    if family.is_some_and(|family| !local && (family >> 4 > 3 || family & 0xf > 2)) {
        return Err(Malformed("family or protocol are unknown"));
    }
    let (Some(family), Some(length)) = (family, bytes.get(14..).and_then(<[u8]>::first_chunk)) else { return Ok(Progress::Incomplete) };
    let whole = FIXED + usize::from(u16::from_be_bytes(*length));
    if whole > LONGEST {
        return Err(Malformed("it is too long"));
    }
    let Some(block) = bytes.get(FIXED..whole) else { return Ok(Progress::Incomplete) };
    // Whatever follows then says nothing.
    let header = if local { Header::Own } else { proxied(*family, block)? };
    Ok(Progress::Whole(header, whole))
}

/// What follows the sixteen bytes when a client's connection is passed on.
fn proxied(family: u8, block: &[u8]) -> Result<Header, Malformed> {
    const SHORT: Malformed = Malformed("it is shorter than its addresses");
    let length = match family >> 4 {
        0 => 0,
        1 => 12,
        2 => 36,
        _ => 216,
    };
    let (addresses, fields) = block.split_at_checked(length).ok_or(SHORT)?;
    check_fields(fields)?;
    let port = |at: usize| Some(u16::from_be_bytes(*addresses.get(at..)?.first_chunk()?));
    let v4 = |at: usize| Some(IpAddr::from(*addresses.get(at..)?.first_chunk::<4>()?));
    let v6 = |at: usize| Some(IpAddr::from(*addresses.get(at..)?.first_chunk::<16>()?));
    let both = |source, from, destination, to| Some(client((source?, from?), (destination?, to?)));
    match family {
        0x11 => both(v4(0), port(8), v4(4), port(10)).ok_or(SHORT),
        0x21 => both(v6(0), port(32), v6(16), port(34)).ok_or(SHORT),
        // Unspecified, datagrams, unix sockets: no address that could be a client's here.
        _ => Ok(Header::Own),
    }
}

fn check_fields(mut fields: &[u8]) -> Result<(), Malformed> {
    while let [_, high, low, rest @ ..] = fields {
        fields = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).ok_or(Malformed("a field is longer than the header"))?;
    }
    if fields.is_empty() { Ok(()) } else { Err(Malformed("a field is cut off")) }
}

#[cfg(test)]
mod tests;
