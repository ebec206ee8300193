//! `Accept-Encoding` -> which content codings a client takes (RFC 9110 section 12.5.3); `Vary`, that says so (pure).
//!
//! In: a head, the codings that there are. Out: those that the client takes, the best first. Never: a coding that it likes less than none.

use http::header::{ACCEPT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue};

use super::weighted::{self, Weight};
use crate::route::{Coding, Codings};

/// The codings that a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The best first.
    pub(super) codings: Codings,
    /// It takes one of these, and refuses what is not encoded.
    pub(super) always: bool,
}

/// Those of `codings` that a client takes, by its weights; of two that are equal the one that stands first. One that weighs less than no
/// coding is left out.
pub(super) fn accepted(fields: &HeaderMap, codings: &[Coding]) -> Accepted {
    if codings.is_empty() || !fields.contains_key(ACCEPT_ENCODING) {
        return Accepted { codings: Codings::default(), always: false };
    }
    let weight = |name: &str, or: &str| -> Option<Weight> {
        let is = |member: &str| member.eq_ignore_ascii_case(name) || member.eq_ignore_ascii_case(or);
        weighted::members(fields, ACCEPT_ENCODING).find(|(member, _)| is(member)).map(|(_, weight)| weight)
    };
    let others = weight("*", "*");
    let identity = weight("identity", "identity");
    let least = identity.unwrap_or(0).max(1);
    let codings = Codings::ranked(codings, |coding| {
        // RFC 9110 section 8.4.1.3.
        let or = if coding == Coding::Gzip { "x-gzip" } else { coding.name() };
        weight(coding.name(), or).or(others).filter(|weight| *weight >= least)
    });
    Accepted { codings, always: codings.iter().next().is_some() && identity.or(others) == Some(0) }
}

/// Adds `Accept-Encoding` to what the answer depends on.
pub(super) fn vary(headers: &mut HeaderMap) {
    let lines = || headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    let depends = |name: &str| name == "*" || name.eq_ignore_ascii_case(ACCEPT_ENCODING.as_str());
    if lines().flat_map(|line| line.split(',')).map(str::trim).any(depends) {
        return;
    }
    let mut all = lines().collect::<Vec<_>>().join(", ");
    if !all.is_empty() {
        all.push_str(", ");
    }
    all.push_str("Accept-Encoding");
    // What was joined were values already.
    if let Ok(value) = HeaderValue::try_from(all) {
        headers.insert(VARY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Br, Coding::Gzip];

    fn taken(fields: &[&str], codings: &[Coding]) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for value in fields {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        }
        let accepted = accepted(&headers, codings);
        (accepted.codings.iter().map(Coding::name).collect::<Vec<_>>().join(" "), accepted.always)
    }

    #[test]
    fn the_order_is_the_clients_and_ours_among_equals() {
        for (fields, names, always) in [
            (&[][..], "", false),
            (&[""], "", false),
            (&["gzip"], "gzip", false),
            (&["GZip"], "gzip", false),
            (&["x-gzip"], "gzip", false),
            (&["gzip, deflate, br, zstd"], "zstd br gzip", false),
            (&["gzip", "br"], "br gzip", false),
            (&["gzip;q=1.0, br;q=0.9"], "gzip br", false),
            (&["gzip;q=0.3, br;q=0.2, zstd;q=0.1"], "gzip br zstd", false),
            (&["gzip;q=0.3, br;q=0.1, zstd;q=0.3"], "zstd gzip br", false),
            (&["gzip;q=0"], "", false),
            (&["deflate"], "", false),
            (&["*"], "zstd br gzip", false),
            (&["*;q=0.1, zstd;q=0"], "br gzip", false),
            (&["br;q=0.2, *;q=0.1"], "br zstd gzip", false),
            (&["*;q=0"], "", false),
            (&["gzip, *;q=0"], "gzip", true),
            (&["gzip, identity;q=0"], "gzip", true),
            (&["identity;q=0"], "", false),
            (&["identity"], "", false),
            (&["gzip;q=0.5, identity"], "", false),
            (&["gzip;q=0.5, br;q=0.4, identity;q=0.5"], "gzip", false),
            (&["gzip;q=x"], "", false),
        ] {
            assert_eq!(taken(fields, &ALL), (names.to_owned(), always), "{fields:?}");
        }
        assert_eq!(taken(&["gzip, br, zstd"], &[Coding::Gzip, Coding::Br]).0, "gzip br");
        assert_eq!(taken(&["zstd"], &[Coding::Gzip]).0, "");
        assert_eq!(taken(&["*"], &[]).0, "");
    }

    #[test]
    fn vary_is_joined_with_what_is_there() {
        for (before, after) in [
            (&[][..], "Accept-Encoding"),
            (&["Origin"], "Origin, Accept-Encoding"),
            (&["Origin", "Cookie"], "Origin, Cookie, Accept-Encoding"),
            (&["accept-encoding, Cookie"], "accept-encoding, Cookie"),
            (&["*"], "*"),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(VARY, HeaderValue::from_str(value).unwrap());
            }
            vary(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), [after]);
        }
    }
}
