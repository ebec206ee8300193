//! A list with weights (RFC 9110 section 12.4.2), as `Accept` and `Accept-Encoding` are -> its members (pure).
//!
//! In: the fields of a head. Out: names and weights. Never: a member that is not understood, but for passing it over.

use http::{HeaderMap, HeaderName};

/// A weight in thousandths: 0 means "not acceptable".
pub(super) type Weight = u16;

/// The weight of what has none.
pub(super) const FULL: Weight = 1000;

/// Every member of a field, over all of its lines: its name without parameters, and its weight.
pub(super) fn members(headers: &HeaderMap, field: HeaderName) -> impl Iterator<Item = (&str, Weight)> {
    headers.get_all(field).iter().filter_map(|value| value.to_str().ok()).flat_map(list)
}

/// Every member of one line.
pub(super) fn list(value: &str) -> impl Iterator<Item = (&str, Weight)> {
    value.split(',').filter_map(member)
}

fn member(text: &str) -> Option<(&str, Weight)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    for parameter in parts {
        if let Some((key, value)) = parameter.split_once('=')
            && key.trim_end().eq_ignore_ascii_case("q")
        {
            return Some((name, weight(value.trim_start())?));
        }
    }
    Some((name, FULL))
}

/// `0`, `0.5`, `1.000`: at most three digits after the point.
fn weight(text: &str) -> Option<Weight> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = [100, 10, 1].into_iter().zip(fraction.bytes());
    let fraction: Weight = digits.map(|(unit, digit)| unit * Weight::from(digit - b'0')).sum();
    let thousandths = if whole == "1" { FULL + fraction } else { fraction };
    (thousandths <= FULL).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_have_their_weight_and_nonsense_is_passed_over() {
        let read = |text| list(text).collect::<Vec<_>>();
        assert_eq!(read("gzip, br;q=0.5 ,*; Q = 0"), [("gzip", 1000), ("br", 500), ("*", 0)]);
        assert_eq!(read("text/html;level=1;q=0.123, a;x"), [("text/html", 123), ("a", 1000)]);
        assert_eq!(read("a;q=1.000,b;q=1.,c;q=0.05"), [("a", 1000), ("b", 1000), ("c", 50)]);
        assert_eq!(read("a;q=1.001, b;q=2, c;q=-1, d;q=0.1234, e;q=x, f;q=, , ;q=1"), []);
        assert_eq!(read(""), []);
    }

    proptest! {
        #[test]
        fn whatever_a_client_writes_has_weights_that_can_be(text in "[a-z/*;,=q0-9. +\\PC]{0,60}") {
            prop_assert!(list(&text).all(|(name, weight)| !name.is_empty() && weight <= FULL));
        }
    }
}
