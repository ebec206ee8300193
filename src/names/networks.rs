//! Networks as manifests write them (CIDR) -> whether an address is in one of them; an address -> the client that has it.
//!
//! In: lists of CIDRs, addresses. Out: yes or no, in the logarithm of the list's length; a number per client. Never: an address that
//! counts as IPv6 when it is IPv4's within that (`::ffff:192.0.2.1`).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{NameError, shown};

/// A set of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// Apart from each other, in the order of their addresses.
    v4: Box<[Ipv4Net]>,
    v6: Box<[Ipv6Net]>,
}

/// Who counts as one client: an IPv4 address, or an IPv6 network of 64 bits, in which one host may take any address that it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey(u64);

impl Networks {
    /// The networks of a list.
    ///
    /// # Errors
    /// The first text that is none.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, NameError> {
        let networks: Vec<IpNet> = texts.iter().map(|text| network(text.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self::of(networks))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let after = self.v4.partition_point(|net| net.network() <= address);
                after.checked_sub(1).is_some_and(|last| self.v4[last].contains(&address))
            }
            IpAddr::V6(address) => {
                let after = self.v6.partition_point(|net| net.network() <= address);
                after.checked_sub(1).is_some_and(|last| self.v6[last].contains(&address))
            }
        }
    }

    /// What is in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        // Of two networks one holds the other, or they have nothing in common.
        let within = |one: &Self, other: &Self| one.all().filter(|net| other.all().any(|wide| wide.contains(net))).collect::<Vec<_>>();
        Self::of(within(self, other).into_iter().chain(within(other, self)))
    }

    fn of(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(network) => v4.push(network),
                IpNet::V6(network) => v6.push(network),
            }
        }
        // Sorts, drops what is within another, and joins neighbours.
        Self { v4: Ipv4Net::aggregate(&v4).into(), v6: Ipv6Net::aggregate(&v6).into() }
    }

    fn all(&self) -> impl Iterator<Item = IpNet> {
        self.v4.iter().copied().map(IpNet::V4).chain(self.v6.iter().copied().map(IpNet::V6))
    }
}

impl ClientKey {
    /// The client that has an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            // A /64 of `::/8` that is nobody's, so that it is no IPv6 client's (RFC 4291 section 2.4).
            IpAddr::V4(address) => Self(0xffff << 32 | u64::from(address.to_bits())),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self([a, b, c, d].into_iter().fold(0, |key, segment| key << 16 | u64::from(segment)))
            }
        }
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

/// `10.0.0.0/8`. Bits behind the length do not count. An IPv4 network may be written as the IPv6 one that stands for it.
fn network(text: &str) -> Result<IpNet, NameError> {
    let fail = || NameError(format!("`{}` is not a network; expected for example `10.0.0.0/8` or `fd00::/8`", shown(text)));
    let network: IpNet = text.parse().map_err(|_| fail())?;
    Ok(match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => IpNet::V4(Ipv4Net::new(v4, v6.prefix_len() - 96).map_err(|_| fail())?),
            None => network,
        },
        _ => network,
    }
    .trunc())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_found_in_the_network_that_has_it() {
        let networks = Networks::parse(&["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::ffff:198.51.100.0/120", "10.1.2.3/16"]).unwrap();
        for inside in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "::ffff:10.1.1.1", "2001:db8:ffff::1", "198.51.100.9"] {
            assert!(networks.contains(ip(inside)), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "2001:db7::1", "2001:db9::", "::1"] {
            assert!(!networks.contains(ip(outside)), "{outside}");
        }
        assert!(Networks::parse(&["0.0.0.0/0"]).unwrap().contains(ip("1.2.3.4")));
        assert!(!Networks::parse(&["0.0.0.0/0"]).unwrap().contains(ip("::1")));
        assert!(Networks::parse(&["10.0.0.0"]).is_err() && Networks::parse(&["10.0.0.0/33"]).is_err());
        assert!(Networks::default().is_empty() && !Networks::default().contains(ip("::1")));
    }

    #[test]
    fn what_two_sets_have_in_common_is_in_both() {
        let set = |texts: &[&str]| Networks::parse(texts).unwrap();
        let common = set(&["10.0.0.0/8", "fd00::/8"]).common(&set(&["10.1.0.0/16", "fd00::/7", "192.0.2.0/24"]));
        assert_eq!(common, set(&["10.1.0.0/16", "fd00::/8"]));
        assert!(set(&["10.0.0.0/8"]).common(&Networks::default()).is_empty());
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
        let key = |text| ClientKey::of(ip(text));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        for (one, other) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1"), ("0.0.0.1", "::1")] {
            assert_ne!(key(one), key(other));
        }
    }

    proptest! {
        #[test]
        fn a_search_finds_what_a_look_at_each_finds(
            networks in proptest::collection::vec((any::<u32>(), 0_u8..=32), 0..20),
            addresses in proptest::collection::vec(any::<u32>(), 1..20),
        ) {
            let networks: Vec<_> = networks.iter().map(|(bits, length)| Ipv4Net::new(Ipv4Addr::from_bits(*bits), *length).unwrap()).collect();
            let set = Networks::parse(&networks.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
            let own = networks.iter().map(Ipv4Net::network);
            for address in addresses.iter().map(|bits| Ipv4Addr::from_bits(*bits)).chain(own) {
                let expected = networks.iter().any(|network| network.contains(&address));
                prop_assert_eq!(set.contains(address.into()), expected);
                prop_assert_eq!(set.contains(address.to_ipv6_mapped().into()), expected);
            }
        }

        #[test]
        fn ipv6_addresses_have_the_same_client_exactly_within_64_bits(one: u128, other: u128) {
            let key = |bits| ClientKey::of(Ipv6Addr::from_bits(bits).into());
            prop_assume!(one >> 96 != 0 && other >> 96 != 0);
            prop_assert_eq!(key(one) == key(other), one >> 64 == other >> 64);
            prop_assert_eq!(key(one), key(one & !u128::from(u64::MAX)));
        }
    }
}
