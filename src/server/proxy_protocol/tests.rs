//! Headers as proxies write them, cut, changed and made up.

use proptest::prelude::*;

use super::*;

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, block].concat()
}

fn tcp4() -> Vec<u8> {
    [&[192, 0, 2, 1, 198, 51, 100, 1][..], &56324_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
}

fn at(source: &str, destination: &str) -> Header {
    Header::Client { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn whole(bytes: &[u8]) -> Result<(Header, usize), String> {
    match parse(bytes) {
        Ok(Progress::Whole(header, length)) => Ok((header, length)),
        Ok(Progress::Incomplete) => Err("incomplete".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Every beginning is incomplete, and what follows does not count.
fn assert_header(bytes: &[u8], expected: Header) {
    for length in 0..bytes.len() {
        assert_eq!(parse(&bytes[..length]), Ok(Progress::Incomplete), "{length} of {bytes:?}");
    }
    for behind in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", &[0; 5000]] {
        assert_eq!(whole(&[bytes, behind].concat()), Ok((expected, bytes.len())), "{bytes:?}");
    }
}

#[test]
fn a_line_names_both_ends() {
    assert_header(V1, at("192.0.2.1:56324", "198.51.100.1:443"));
    assert_header(b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", at("0.0.0.0:0", "255.255.255.255:65535"));
    assert_header(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", at("[2001:db8::1]:1", "[::1]:2"));
    assert_header(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", at("192.0.2.1:1", "[::1]:2"));
    let longest = b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(longest.len(), LONGEST_LINE);
    assert_header(longest, Header::Own);
    assert_header(b"PROXY UNKNOWN\r\n", Header::Own);
}

#[test]
fn a_line_in_another_form_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.1 1 443\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY \r\n",
        "PROXY\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\nx\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 \u{ff12}\r\n",
        "POST / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n",
    ] {
        assert!(whole(line.as_bytes()).is_err_and(|error| error != "incomplete"), "{line:?}");
    }
    let endless = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
    assert_eq!(parse(&endless[..LONGEST_LINE - 1]), Ok(Progress::Incomplete));
    assert!(parse(&endless[..LONGEST_LINE]).is_err() && parse(&endless).is_err());
    assert!(parse(b"PROXX").is_err(), "as soon as it is certain");
}

#[test]
fn a_binary_header_names_both_ends() {
    assert_header(&v2(0x21, 0x11, &tcp4()), at("192.0.2.1:56324", "198.51.100.1:443"));
    let v6 = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    let tcp6 = [&v6("2001:db8::1")[..], &v6("::ffff:192.0.2.9"), &[0, 1], &[0, 2]].concat();
    assert_header(&v2(0x21, 0x21, &tcp6), at("[2001:db8::1]:1", "192.0.2.9:2"));
    let fields = [tcp4(), vec![0x04, 0, 3, 1, 2, 3], vec![0xee, 0, 0]].concat();
    assert_header(&v2(0x21, 0x11, &fields), at("192.0.2.1:56324", "198.51.100.1:443"));
}

#[test]
fn what_is_no_clients_connection_keeps_its_addresses() {
    assert_header(&v2(0x20, 0x00, &[]), Header::Own);
    assert_header(&v2(0x20, 0x11, &[1, 2, 3]), Header::Own);
    assert_header(&v2(0x21, 0x00, &[]), Header::Own);
    assert_header(&v2(0x21, 0x00, &[0x04, 0, 1, 0]), Header::Own);
    assert_header(&v2(0x21, 0x12, &tcp4()), Header::Own);
    assert_header(&v2(0x21, 0x31, &[0; 216]), Header::Own);
    assert_header(&v2(0x20, 0x00, &[0; LONGEST - FIXED]), Header::Own);
}

#[test]
fn a_binary_header_in_another_form_is_refused() {
    let short = [
        v2(0x21, 0x11, &tcp4()[..11]),
        v2(0x21, 0x21, &tcp4()),
        v2(0x21, 0x31, &[0; 215]),
        v2(0x21, 0x11, &[tcp4(), vec![1]].concat()),
        v2(0x21, 0x11, &[tcp4(), vec![1, 0, 2, 0]].concat()),
        v2(0x22, 0x11, &tcp4()),
        v2(0x11, 0x11, &tcp4()),
        v2(0x21, 0x41, &tcp4()),
        v2(0x21, 0x13, &tcp4()),
        v2(0x20, 0x00, &[0; LONGEST - FIXED + 1]),
    ];
    for bytes in short {
        assert!(whole(&bytes).is_err_and(|error| error != "incomplete"), "{bytes:?}");
    }
    assert!(parse(b"\r\n\r\n\0\r\nQUIT\r").is_err() && parse(b"\n").is_err());
    assert!(parse(&v2(0x20, 0x00, &[0; LONGEST])[..FIXED]).is_err(), "before it has come");
}

proptest! {
    #[test]
    fn any_bytes_are_read_the_same_way_in_one_piece_and_in_many(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            proptest::collection::vec(any::<u8>(), 0..60).prop_map(|rest| [&b"PROXY "[..], &rest].concat()),
            "PROXY (TCP4|TCP6|UNKNOWN)( [0-9a-f.:]{1,9}){0,5}\r\n.{0,9}".prop_map(String::into_bytes),
            (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60), any::<u16>(), any::<bool>()).prop_map(
                |(command, family, block, length, honest)| {
                    let mut bytes = v2(0x20 | (command % 4), family, &block);
                    if !honest {
                        bytes[14..16].copy_from_slice(&length.to_be_bytes());
                    }
                    bytes
                }
            ),
        ],
        changed in any::<prop::sample::Index>(),
        to: u8,
        change: bool,
    ) {
        let mut bytes = bytes;
        if change && !bytes.is_empty() {
            let index = changed.index(bytes.len());
            bytes[index] = to;
        }
        let mut verdict = Ok(Progress::Incomplete);
        for length in 0..=bytes.len() {
            let now = parse(&bytes[..length]);
            match verdict {
                Ok(Progress::Incomplete) => verdict = now,
                // A verdict is final.
                verdict => prop_assert_eq!(now, verdict),
            }
            if let Ok(Progress::Whole(_, whole)) = now {
                prop_assert!(whole <= length && whole <= LONGEST && whole > 0);
            }
            prop_assert!(now != Ok(Progress::Incomplete) || length < LONGEST);
        }
    }

    #[test]
    fn what_is_written_is_read(source: u32, destination: u32, from: u16, to: u16, six: bool) {
        let ip = |bits: u32| if six { IpAddr::from(Ipv6Addr::from_bits(u128::from(bits) << 90 | 1)) } else { IpAddr::from(Ipv4Addr::from_bits(bits)) };
        let (source, destination) = (SocketAddr::new(ip(source), from), SocketAddr::new(ip(destination), to));
        let expected = Header::Client { source, destination };
        let name = if six { "TCP6" } else { "TCP4" };
        let line = format!("PROXY {name} {} {} {from} {to}\r\n", source.ip(), destination.ip());
        prop_assert_eq!(whole(line.as_bytes()), Ok((expected, line.len())));
        let octets = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let block = [octets(source), octets(destination), from.to_be_bytes().to_vec(), to.to_be_bytes().to_vec()].concat();
        let bytes = v2(0x21, if six { 0x21 } else { 0x11 }, &block);
        prop_assert_eq!(whole(&bytes), Ok((expected, bytes.len())));
    }
}
