//! Addresses -> sockets of ours, each bound once however many listeners share it.
//!
//! In: addresses that are wanted. Out: the [`Bound`] of each, opened when it is to be served, closed when nobody wants it. Never: a
//! decision who may have an address.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};

use crate::api::v1::Listener;
use crate::listen::{self, Bound, Open, Options, Sharing, Sockets};

/// The first port that needs no privilege.
const UNPRIVILEGED: u16 = 1024;

/// What this process has bound.
#[derive(Debug)]
pub(super) struct Ports {
    /// Sockets per address.
    threads: usize,
    /// The address that stands for all: `::` takes IPv4 too, if there is IPv6 at all.
    any: IpAddr,
    held: BTreeMap<SocketAddr, Held>,
    /// What nobody wants any more: while somebody holds it, some thread may have its socket.
    closing: Vec<Weak<Bound>>,
}

#[derive(Debug)]
struct Held {
    bound: Arc<Bound>,
    open: bool,
}

impl Ports {
    pub(super) fn new(threads: usize) -> Self {
        let has_ipv6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
        let any = if has_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Self { threads, any, held: BTreeMap::new(), closing: Vec::new() }
    }

    /// Where a listener listens; `None`: its address is none, which the manifest's check finds first.
    pub(super) fn address(&self, listener: &Listener) -> Option<SocketAddr> {
        let ip = listener.address.as_ref().map_or(Ok(self.any), |address| address.parse::<IpAddr>()).ok()?;
        Some(SocketAddr::new(ip.to_canonical(), listener.port.get()))
    }

    /// Binds an address, unless it is bound. Nobody can connect before it is opened. Port 0: a free one.
    pub(super) fn bind(&mut self, address: SocketAddr) -> io::Result<Arc<Bound>> {
        if let Some(held) = self.held.get(&address) {
            return Ok(held.bound.clone());
        }
        self.closing.retain(|closing| closing.strong_count() > 0);
        let closing = self.closing.iter().filter_map(|closing| Some(closing.upgrade()?.local_addr()));
        let sharing =
            if self.held.keys().copied().chain(closing).any(|own| overlap(own, address)) { Sharing::WithOurselves } else { Sharing::Alone };
        let bound = Arc::new(listen::bind(address, self.threads, sharing)?);
        self.held.insert(bound.local_addr(), Held { bound: bound.clone(), open: false });
        Ok(bound)
    }

    /// Lets clients connect to a bound address. One that can't be opened is bound no more.
    pub(super) fn open(&mut self, address: SocketAddr) -> io::Result<()> {
        let Some(held) = self.held.get_mut(&address).filter(|held| !held.open) else { return Ok(()) };
        if let Err(error) = held.bound.open() {
            self.held.remove(&address);
            return Err(error);
        }
        held.open = true;
        Ok(())
    }

    /// Lets go of every address but these.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<SocketAddr>) {
        let closing = &mut self.closing;
        self.held.retain(|address, held| {
            let keep = wanted.contains(address);
            if !keep && held.open {
                closing.push(Arc::downgrade(&held.bound));
            }
            keep
        });
    }

    /// Everything that clients can connect to. `options`: how, where that is not the default.
    pub(super) fn sockets(&self, options: &BTreeMap<SocketAddr, Arc<Options>>) -> Sockets {
        let options = |address| options.get(address).cloned().unwrap_or_default();
        let open = self.held.iter().filter(|(_, held)| held.open);
        Arc::new(open.map(|(address, held)| (*address, Open { bound: held.bound.clone(), options: options(address) })).collect())
    }
}

/// Why an address can't be listened on, as a sentence.
pub(super) fn problem(address: SocketAddr, error: &io::Error) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let why = match error.kind() {
        ErrorKind::AddrInUse => "address in use".to_owned(),
        ErrorKind::AddrNotAvailable => "this host does not have the address".to_owned(),
        ErrorKind::PermissionDenied if address.port() < UNPRIVILEGED => {
            format!("permission denied; a port below {UNPRIVILEGED} needs CAP_NET_BIND_SERVICE")
        }
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("port {} on {ip} can't be listened on: {why}", address.port())
}

/// Whether a connection could belong to both. `[::]` takes IPv4 too.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: IpAddr, other: IpAddr| one == other || (one.is_unspecified() && (one.is_ipv6() || other.is_ipv4()));
    one.port() == other.port() && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn any_port() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    fn sockets(ports: &Ports) -> Sockets {
        ports.sockets(&BTreeMap::new())
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_bound_once_opened_when_asked_and_closed_when_nobody_wants_it() {
        let mut ports = Ports::new(1);
        let address = ports.bind(any_port()).unwrap().local_addr();
        assert!(sockets(&ports).is_empty() && TcpStream::connect(address).is_err(), "bound is not open");
        ports.open(address).unwrap();
        let again = ports.bind(address).unwrap();
        assert!(Arc::ptr_eq(&again, &sockets(&ports)[&address].bound));
        drop(again);
        assert!(TcpStream::connect(address).is_ok());
        ports.keep(&BTreeSet::new());
        assert!(sockets(&ports).is_empty() && TcpStream::connect(address).is_err());
    }

    #[test]
    fn an_address_within_another_of_ours_is_shared_and_one_of_others_is_not() {
        let mut ports = Ports::new(1);
        let port = ports.bind(SocketAddr::new(ports.any, 0)).unwrap().local_addr().port();
        ports.open(SocketAddr::new(ports.any, port)).unwrap();
        ports.bind(([127, 0, 0, 1], port).into()).unwrap();
        let other = TcpListener::bind(any_port()).unwrap();
        let error = ports.bind(other.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn an_address_that_a_thread_is_still_closing_can_be_bound_again() {
        let mut ports = Ports::new(1);
        let bound = ports.bind(any_port()).unwrap();
        ports.open(bound.local_addr()).unwrap();
        let of_a_thread = bound.take(0).unwrap();
        ports.keep(&BTreeSet::new());
        let again = ports.bind(bound.local_addr()).unwrap();
        assert!(!Arc::ptr_eq(&bound, &again), "what was taken from the first is not in it any more");
        drop(of_a_thread);
    }

    #[test]
    fn a_port_error_is_told_in_words() {
        let said = |address: &str, kind: ErrorKind| problem(at(address), &kind.into());
        assert_eq!(said("[::]:80", ErrorKind::AddrInUse), "port 80 on [::] can't be listened on: address in use");
        assert!(said("0.0.0.0:80", ErrorKind::PermissionDenied).ends_with("needs CAP_NET_BIND_SERVICE"));
        assert!(said("0.0.0.0:8080", ErrorKind::PermissionDenied).ends_with(": permission denied"));
        assert!(said("10.0.0.1:81", ErrorKind::AddrNotAvailable).contains("on 10.0.0.1 can't be listened on: this host"));
    }

    #[test]
    fn overlapping_addresses_are_known() {
        for (one, other, both) in [
            ("[::]:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::]:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("[::]:80", "[::]:81", false),
        ] {
            assert_eq!((overlap(at(one), at(other)), overlap(at(other), at(one))), (both, both), "{one} {other}");
        }
    }
}
