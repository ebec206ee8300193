//! A session's cookie <-> the endpoint that a client stays with.
//!
//! In: a cookie's value, the time. Out: an endpoint, or another cookie. Never: an address or a name in a cookie; trust in one that was not
//! made here.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Endpoint, time, seal.
const LENGTH: usize = 8 + 8 + 16;

/// How a rule keeps clients with one endpoint.
#[derive(Debug)]
pub struct Session {
    /// The cookie's name.
    pub cookie: Box<str>,
    /// The cookie's `Path`.
    pub path: Box<str>,
    /// How long a session lasts; `None`: without an end.
    pub lifetime: Option<Duration>,
    /// The client keeps the cookie for `lifetime`, and not only while its browser runs.
    pub permanent: bool,
    key: [u8; 32],
    places: Box<[(u64, Place)]>,
}

/// An endpoint, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Of the App's backends.
    pub backend: usize,
    /// Of the backend's endpoints.
    pub endpoint: usize,
}

/// What makes a session.
#[derive(Debug)]
pub struct Terms<'a> {
    /// The cookie's name.
    pub cookie: &'a str,
    /// The cookie's `Path`.
    pub path: &'a str,
    /// How long a session lasts.
    pub lifetime: Option<Duration>,
    /// Whether the cookie outlives the browser.
    pub permanent: bool,
    /// What nobody outside knows: seals are made with it.
    pub secret: &'a str,
}

impl Session {
    /// A session between clients and these places, each with a name that no other has.
    pub fn new(terms: &Terms<'_>, places: impl IntoIterator<Item = (String, Place)>) -> Self {
        let key: [u8; 32] = Sha256::new().chain_update("session\0").chain_update(terms.secret).finalize().into();
        let named = |(name, place): (String, Place)| {
            let digest = Sha256::new().chain_update(key).chain_update("endpoint\0").chain_update(name).finalize();
            (first_eight(&digest), place)
        };
        Self {
            cookie: terms.cookie.into(),
            path: terms.path.into(),
            lifetime: terms.lifetime,
            permanent: terms.permanent,
            key,
            places: places.into_iter().map(named).collect(),
        }
    }

    /// The place that a cookie's value stands for at this time, in seconds since the epoch; `None`: it is forged or over, or the place is
    /// none of the rule's any more.
    #[must_use]
    pub fn place(&self, value: &str, now: u64) -> Option<Place> {
        let mut bytes = [0; LENGTH];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).ok()?;
        let (id, issued) = (first_eight(&bytes), first_eight(&bytes[8..]));
        let sealed = self.seal(id, issued).iter().zip(&bytes[16..]).fold(0, |differences, (one, other)| differences | (one ^ other));
        if length != LENGTH || sealed != 0 {
            return None;
        }
        let age = Duration::from_secs(now.saturating_sub(issued));
        if self.lifetime.is_some_and(|lifetime| age >= lifetime) {
            return None;
        }
        self.places.iter().find(|(known, _)| *known == id).map(|(_, place)| *place)
    }

    /// The value of a cookie that stands for a place from this time on; `None`: the rule does not lead there.
    #[must_use]
    pub fn value(&self, place: Place, now: u64) -> Option<String> {
        let (id, _) = self.places.iter().find(|(_, known)| *known == place)?;
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&id.to_be_bytes());
        bytes[8..16].copy_from_slice(&now.to_be_bytes());
        bytes[16..].copy_from_slice(&self.seal(*id, now));
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Half of a digest: there is nothing that it could be lengthened to.
    fn seal(&self, id: u64, issued: u64) -> [u8; 16] {
        let digest = Sha256::new()
            .chain_update(self.key)
            .chain_update("cookie\0")
            .chain_update(id.to_be_bytes())
            .chain_update(issued.to_be_bytes())
            .chain_update(&*self.cookie)
            .finalize();
        let mut seal = [0; 16];
        seal.copy_from_slice(&digest[..16]);
        seal
    }
}

/// A big-endian number from the start of `bytes`, which are at least 8.
fn first_eight(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_900_000_000;

    fn session(secret: &str, lifetime: Option<u64>, names: &[&str]) -> Session {
        let terms = Terms { cookie: "s", path: "/", lifetime: lifetime.map(Duration::from_secs), permanent: false, secret };
        let place = |(endpoint, name): (usize, &&str)| ((*name).to_owned(), Place { backend: 0, endpoint });
        Session::new(&terms, names.iter().enumerate().map(place))
    }

    fn place(endpoint: usize) -> Place {
        Place { backend: 0, endpoint }
    }

    #[test]
    fn a_cookie_leads_back_to_its_endpoint_wherever_that_stands_in_the_list() {
        let value = session("uid", None, &["a", "b"]).value(place(1), NOW).unwrap();
        assert_eq!(session("uid", None, &["a", "b"]).place(&value, NOW + 1_000_000), Some(place(1)));
        assert_eq!(session("uid", None, &["b", "c"]).place(&value, NOW), Some(place(0)));
        assert_eq!(session("uid", None, &["a", "c"]).place(&value, NOW), None, "it is gone");
        assert_eq!(session("other", None, &["a", "b"]).place(&value, NOW), None, "another App's");
        assert_eq!(session("uid", None, &["a"]).value(place(1), NOW), None);
    }

    #[test]
    fn a_session_is_over_after_its_time_even_if_the_client_keeps_the_cookie() {
        let session = session("uid", Some(60), &["a"]);
        let value = session.value(place(0), NOW).unwrap();
        assert_eq!(session.place(&value, NOW + 59), Some(place(0)));
        assert_eq!(session.place(&value, NOW + 60), None);
        assert_eq!(session.place(&value, NOW - 60), Some(place(0)), "a clock that was set back ends nothing");
    }

    #[test]
    fn no_name_of_an_endpoint_can_be_read_from_a_cookie() {
        let value = session("uid", None, &["/run/web.sock"]).value(place(0), NOW).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&value).unwrap();
        assert_eq!((bytes.len(), String::from_utf8_lossy(&bytes).contains("run")), (LENGTH, false));
    }

    #[test]
    fn one_bit_more_or_less_is_a_forgery() {
        let session = session("uid", None, &["a", "b"]);
        let bytes = URL_SAFE_NO_PAD.decode(session.value(place(0), NOW).unwrap()).unwrap();
        for bit in 0..LENGTH * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(session.place(&URL_SAFE_NO_PAD.encode(forged), NOW), None, "bit {bit}");
        }
        for length in (0..LENGTH).chain([LENGTH + 1, 1000]) {
            let mut forged = bytes.clone();
            forged.resize(length, 0);
            assert_eq!(session.place(&URL_SAFE_NO_PAD.encode(forged), NOW), None, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_or_is_taken_for_a_cookie(text in "[A-Za-z0-9_-]{43}|.{0,80}") {
            prop_assert_eq!(session("uid", None, &["a", "b"]).place(&text, NOW), None);
        }
    }
}
