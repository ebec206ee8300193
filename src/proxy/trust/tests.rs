//! Fields as proxies write them, and as clients forge them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn proxies() -> Networks {
    Networks::parse(&["10.0.0.0/8", "fd00::/8"]).unwrap()
}

fn peer() -> Peer {
    Peer {
        client: "10.0.0.1:5000".parse().unwrap(),
        server: "10.0.0.9:8080".parse().unwrap(),
        socket: "0.0.0.0:8080".parse().unwrap(),
        scheme: "http",
        port: 8080,
        client_ip: HeaderValue::from_static("10.0.0.1"),
        via: None,
        body_timeout: Duration::MAX,
        connection: None,
    }
}

fn told(fields: &[(&'static str, &str)]) -> Peer {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    peer().speaking_for(&headers, &proxies())
}

/// The client, and `X-Forwarded-For` as it is sent on.
fn way_of(fields: &[(&'static str, &str)]) -> (String, String) {
    let told = told(fields);
    assert_eq!(told.client_ip, told.client.ip().to_string());
    (told.client.ip().to_string(), told.via.unwrap().chain.to_str().unwrap().to_owned())
}

#[test]
fn the_client_is_the_first_from_the_right_that_is_not_trusted() {
    for (fields, client, chain) in [
        (&["192.0.2.1"][..], "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        (&["192.0.2.1, 10.0.0.2"], "192.0.2.1", "192.0.2.1, 10.0.0.2, 10.0.0.1"),
        (&["192.0.2.1", "10.0.0.2"], "192.0.2.1", "192.0.2.1, 10.0.0.2, 10.0.0.1"),
        (&["1.1.1.1, 10.0.0.3, 192.0.2.1 ,10.0.0.2"], "192.0.2.1", "192.0.2.1, 10.0.0.2, 10.0.0.1"),
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"),
        (&["192.0.2.1:4711"], "192.0.2.1", "192.0.2.1, 10.0.0.1"),
        (&["[2001:db8::1]:80, fd00::1"], "2001:db8::1", "2001:db8::1, fd00::1, 10.0.0.1"),
        (&["2001:DB8:0::1"], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        (&["::ffff:192.0.2.1"], "192.0.2.1", "192.0.2.1, 10.0.0.1"),
    ] {
        let fields: Vec<_> = fields.iter().map(|value| ("x-forwarded-for", *value)).collect();
        assert_eq!(way_of(&fields), (client.to_owned(), chain.to_owned()), "{fields:?}");
    }
}

#[test]
fn what_is_no_address_ends_the_way() {
    for value in ["", "unknown", "192.0.2.1 192.0.2.2", "192.0.2.256", "[192.0.2.1]", "localhost", "\"192.0.2.1\"", "192.0.2.1, ", "é"] {
        assert_eq!(way_of(&[("x-forwarded-for", value)]), ("10.0.0.1".to_owned(), "10.0.0.1".to_owned()), "{value}");
    }
    let (client, chain) = way_of(&[("x-forwarded-for", "192.0.2.1, unknown, 10.0.0.2")]);
    assert_eq!((client.as_str(), chain.as_str()), ("10.0.0.2", "10.0.0.2, 10.0.0.1"));
}

#[test]
fn scheme_host_and_port_are_those_of_the_last_word_if_they_are_in_their_form() {
    let seen = |fields: &[(&'static str, &str)]| {
        let told = told(fields);
        let via = told.via.unwrap();
        (told.scheme, told.port, via.host.map(|host| host.to_str().unwrap().to_owned()), via.port)
    };
    assert_eq!(seen(&[("x-forwarded-proto", "https")]), ("https", 443, None, None));
    assert_eq!(seen(&[("x-forwarded-proto", "WSS")]), ("https", 443, None, None));
    assert_eq!(seen(&[("x-forwarded-proto", "https, http")]), ("http", 80, None, None));
    assert_eq!(seen(&[("x-forwarded-proto", "https"), ("x-forwarded-port", "8443")]), ("https", 8443, None, Some(8443)));
    let asked = ("https", 8443, Some("a.org:8443".to_owned()), None);
    assert_eq!(seen(&[("x-forwarded-proto", "https"), ("x-forwarded-host", "a.org:8443")]), asked);
    for (name, bad) in [
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-proto", ""),
        ("x-forwarded-port", "0"),
        ("x-forwarded-port", "65536"),
        ("x-forwarded-port", "80x"),
        ("x-forwarded-host", "a b"),
        ("x-forwarded-host", "u@a.org"),
        ("x-forwarded-host", "a.org/x"),
    ] {
        assert_eq!(seen(&[(name, bad)]), ("http", 8080, None, None), "{name}: {bad}");
    }
}

#[test]
fn forwarded_counts_where_nothing_else_is_said() {
    let one = told(&[("forwarded", "for=192.0.2.1;proto=https;host=a.org, for=\"[fd00::7]:80\";proto=http;by=_x")]);
    assert_eq!((one.client.ip().to_string().as_str(), one.scheme, one.port), ("192.0.2.1", "https", 443));
    let via = one.via.unwrap();
    assert_eq!((via.chain.to_str().unwrap(), via.host.unwrap().to_str().unwrap()), ("192.0.2.1, fd00::7, 10.0.0.1", "a.org"));
    assert_eq!(way_of(&[("forwarded", "For=\"192.0.2.\\1:99\"")]).0, "192.0.2.1");
    assert_eq!(way_of(&[("forwarded", "for=1.1.1.1"), ("forwarded", "for=192.0.2.1")]).0, "192.0.2.1");
    assert_eq!(told(&[("forwarded", "proto=https")]).scheme, "https", "of our peer's own element");
    for hidden in ["for=unknown", "for=_x", "for=192.0.2.1;for=192.0.2.2", "for=\"192.0.2.1", "192.0.2.1", "for=2001:db8::1:x", ""] {
        assert_eq!(way_of(&[("forwarded", hidden)]).0, "10.0.0.1", "{hidden}");
    }
    let both = [("forwarded", "for=192.0.2.9;proto=https;host=evil.test"), ("x-forwarded-for", "192.0.2.1")];
    let told = told(&both);
    assert_eq!((told.client.ip().to_string().as_str(), told.scheme, told.via.unwrap().host), ("192.0.2.1", "http", None));
}

#[test]
fn a_proxy_that_says_nothing_is_the_client() {
    let told = told(&[]);
    assert_eq!((told.client, told.scheme, told.port), (peer().client, "http", 8080));
    assert_eq!(told.via.unwrap().chain, "10.0.0.1");
}

proptest! {
    #[test]
    fn nothing_that_is_sent_on_is_of_another_form(
        fields in proptest::collection::vec(
            (
                prop_oneof![
                    Just("x-forwarded-for"), Just("x-forwarded-proto"), Just("x-forwarded-host"), Just("x-forwarded-port"), Just("forwarded"),
                ],
                prop_oneof!["[ -~]{0,40}", "(10[.]0[.]0[.][1-9]|192[.]0[.]2[.]1|x|, |;|=|\"|for=|proto=|host=|https|:80){0,12}"],
            ),
            0..5,
        )
    ) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let told = told(&fields);
        let via = told.via.unwrap();
        let hops: Vec<IpAddr> = via.chain.to_str().unwrap().split(", ").map(|hop| hop.parse().unwrap()).collect();
        prop_assert_eq!(hops[0], told.client.ip());
        prop_assert_eq!(*hops.last().unwrap(), peer().client.ip());
        prop_assert!(hops[1..].iter().all(|hop| proxies().contains(*hop)), "only the first may be no proxy");
        prop_assert!(["http", "https"].contains(&told.scheme));
        prop_assert!(via.host.is_none_or(|host| host.to_str().unwrap().parse::<Authority>().is_ok()));
    }
}
