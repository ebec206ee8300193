//! The query of an admin request -> what is asked for.
//!
//! In: `labelSelector=tier%3Dweb&watch=true`. Out: [`Query`]. Never: a parameter that is silently ignored.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use super::objects::{Kind, Object};
use super::{fields, selector};

/// What a list or a watch may be asked with, and what it means.
pub(super) const PARAMETERS: [(&str, &str); 5] = [
    (
        "labelSelector",
        "Objects whose labels fit, as in Kubernetes: `a=b`, `a!=b`, `a in (x,y)`, `a notin (x)`, `a`, `!a`, joined by commas.",
    ),
    ("fieldSelector", "Objects whose fields fit: `FIELD=VALUE` or `FIELD!=VALUE`, joined by commas."),
    ("watch", "`true`: a stream of changes, one JSON object a line, instead of a list."),
    (
        "resourceVersion",
        "Of a watch: the revision of a list; only what comes after it is sent. Omitted or 0: first every object, as `ADDED`.",
    ),
    ("timeoutSeconds", "Of a watch: its end. Omitted or 0: none."),
];

/// What is asked of a list of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Which objects.
    pub(super) selection: Selection,
    /// Their changes, not a list.
    pub(super) watch: Option<Watch>,
}

/// Which objects are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// By label.
    pub(super) labels: selector::Selector,
    /// By field.
    pub(super) fields: fields::Selector,
}

/// What is asked of a watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Watch {
    /// The revision that the client knows; none: it knows nothing.
    pub(super) known: Option<u64>,
    /// When it ends by itself.
    pub(super) timeout: Option<Duration>,
}

impl Query {
    /// Reads the query of a list or watch; every parameter is optional.
    ///
    /// # Errors
    /// One sentence that says what was expected.
    pub(super) fn parse(query: &str, kind: Kind) -> Result<Self, String> {
        let mut selection = Selection::default();
        let (mut watching, mut watch) = (false, Watch::default());
        let mut given = BTreeSet::new();
        for pair in pairs(query) {
            let (key, value) = pair?;
            let wrong = |problem: String| format!("{key}: {problem}");
            let number = || value.parse::<u64>().map_err(|_| wrong(format!("expected a number, found `{value}`")));
            match &*key {
                "labelSelector" => selection.labels = selector::Selector::parse(&value).map_err(wrong)?,
                "fieldSelector" => selection.fields = fields::Selector::parse(&value, kind.fields()).map_err(wrong)?,
                "watch" => watching = truth(&value).ok_or_else(|| wrong(format!("expected `true` or `false`, found `{value}`")))?,
                "resourceVersion" if value.is_empty() => {}
                "resourceVersion" => watch.known = Some(number()?).filter(|known| *known > 0),
                "timeoutSeconds" => watch.timeout = Some(number()?).filter(|seconds| *seconds > 0).map(Duration::from_secs),
                _ => return Err(unknown(&key, &PARAMETERS.map(|(name, _)| name))),
            }
            if !given.insert(key.clone()) {
                return Err(format!("{key}: it is given twice"));
            }
        }
        let of_watch = ["resourceVersion", "timeoutSeconds"].into_iter().find(|key| given.contains(*key));
        match of_watch {
            _ if watching && !kind.is_watched() => {
                Err(format!("watch: {} change with every request and can't be watched; ask for the list again", kind.plural()))
            }
            Some(key) if !watching => Err(format!("{key}: it goes with `watch=true`")),
            _ => Ok(Self { selection, watch: watching.then_some(watch) }),
        }
    }
}

/// For what takes no parameters.
///
/// # Errors
/// One sentence, if there are some.
pub(super) fn refuse_all(query: &str) -> Result<(), String> {
    match pairs(query).next() {
        None => Ok(()),
        Some(pair) => Err(unknown(&pair?.0, &[])),
    }
}

impl Selection {
    /// Whether an object is asked for.
    pub(super) fn fits(&self, object: &impl Object) -> bool {
        let none = BTreeMap::new();
        self.fields.fits(|field| object.field(field)) && self.labels.fits(object.labels().unwrap_or(&none))
    }
}

/// Percent-encodes what is not unreserved (RFC 3986 section 2.3).
#[must_use]
pub fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Decodes once; `None`: a bad escape, or not UTF-8.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut pieces = text.split('%');
    let mut out = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(digits, 16).ok()?);
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// Keys and values, decoded as forms are: `+` is a space.
fn pairs(query: &str) -> impl Iterator<Item = Result<(String, String), String>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            unescape(&spaced).map(Cow::into_owned).ok_or_else(|| format!("`{text}` is not valid percent-encoding"))
        };
        Ok((decode(key)?, decode(value)?))
    })
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    match known {
        [] => format!("there is no parameter `{key}`; none is taken here"),
        known => format!("there is no parameter `{key}`; expected one of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Query, String> {
        Query::parse(query, Kind::App)
    }

    #[test]
    fn a_query_is_read_in_any_order() {
        let query = parse("timeoutSeconds=5&fieldSelector=metadata.name%3Dttrss&watch=true&resourceVersion=7").unwrap();
        assert_eq!(query.watch, Some(Watch { known: Some(7), timeout: Some(Duration::from_secs(5)) }));
        assert_eq!(query.selection.fields.name(), Some("ttrss"));
        assert_eq!((parse("").unwrap(), parse("&watch=false&").unwrap()), (Query::default(), Query::default()));
    }

    #[test]
    fn values_are_decoded_as_those_of_forms() {
        let wanted = parse("labelSelector=tier%20in%20(web,db)").unwrap();
        for query in ["labelSelector=tier+in+(web,db)", "labelSelector=tier+in+%28web%2Cdb%29", "label%53elector=tier in (web,db)"] {
            assert_eq!(parse(query).unwrap(), wanted, "{query}");
        }
    }

    #[test]
    fn what_changes_with_every_request_is_not_watched() {
        let refused = Query::parse("watch=true", Kind::Backend).unwrap_err();
        assert_eq!(refused, "watch: backends change with every request and can't be watched; ask for the list again");
        assert!(Query::parse("watch=false&labelSelector=a", Kind::Backend).is_ok());
    }

    #[test]
    fn zero_and_nothing_mean_no_revision_and_no_end() {
        for query in ["watch=1", "watch=true&resourceVersion=0&timeoutSeconds=0", "watch=true&resourceVersion="] {
            assert_eq!(parse(query).unwrap().watch, Some(Watch::default()), "{query}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_was_expected() {
        for (bad, words) in [
            (
                "newerThan=1",
                "there is no parameter `newerThan`; expected one of labelSelector, fieldSelector, watch, resourceVersion, timeoutSeconds",
            ),
            ("watch=yes", "watch: expected `true` or `false`, found `yes`"),
            ("watch", "watch: expected `true` or `false`, found ``"),
            ("watch=true&resourceVersion=x", "resourceVersion: expected a number, found `x`"),
            ("watch=true&timeoutSeconds=-1", "timeoutSeconds: expected a number, found `-1`"),
            ("timeoutSeconds=1", "timeoutSeconds: it goes with `watch=true`"),
            ("watch=false&resourceVersion=1", "resourceVersion: it goes with `watch=true`"),
            ("watch=true&watch=true", "watch: it is given twice"),
            ("labelSelector=a+b", "labelSelector: expected `=`, `==`, `!=`, `in`, `notin` or `,` after `a`, found `b`"),
            ("fieldSelector=spec.x=1", "fieldSelector: there is no field `spec.x` to select by; expected `metadata.name`"),
            ("fieldSelector=%zz", "`%zz` is not valid percent-encoding"),
        ] {
            assert_eq!(parse(bad), Err(words.to_owned()), "{bad}");
        }
        assert_eq!(refuse_all("verbose"), Err("there is no parameter `verbose`; none is taken here".to_owned()));
        assert_eq!(refuse_all(""), Ok(()));
    }

    #[test]
    fn escaping_and_unescaping_give_the_text_back() {
        for text in ["ttrss", "sub dir/ä%.yaml", "a=b&c+d", ""] {
            assert_eq!(unescape(&escape(text)).as_deref(), Some(text));
            let key = format!("{}=", escape(text));
            assert_eq!(pairs(&key).next().unwrap().unwrap().0, text);
        }
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "%é"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }
}
