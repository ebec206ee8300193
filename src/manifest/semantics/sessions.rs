//! `rules[].sessionPersistence`: a cookie that clients take, and a backend to stay with.
//!
//! In: a rule's tree. Out: entries of a [`Report`]. Never: a look at a cookie.

use crate::api::v1::Duration;
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;
use crate::names::shown;

pub(super) fn check(rule: &Cursor<'_>, report: &mut Report<'_>) {
    let Some(session) = rule.get("sessionPersistence").filter(Cursor::is_map) else { return };
    let has_scripts = rule.get("files").is_some_and(|files| !files.items_of("scripts").is_empty());
    if rule.items_of("backendRefs").is_empty() && !has_scripts {
        report.key(&session, "the rule has no backend to stay with", Some("add `backendRefs`, or leave it out".to_owned()));
    }
    if let Some(type_) = session.get("type").filter(|type_| type_.text() == Some("Header")) {
        report.unsupported(&type_, Some("`Cookie` is".to_owned()));
    }
    if let Some(idle) = session.get("idleTimeout") {
        report.unsupported(&idle, Some("`absoluteTimeout` is".to_owned()));
    }
    if let Some(name) = session.get("sessionName") {
        check_name(&name, report);
    }
    let absolute = session.get("absoluteTimeout");
    let is_empty = |at: &Cursor<'_>| at.text().and_then(|text| text.parse().ok()) == Some(Duration::ZERO);
    if let Some(absolute) = absolute.as_ref().filter(|absolute| is_empty(absolute)) {
        report.value(absolute, "a session without length keeps nobody", Some("leave it out for one without an end".to_owned()));
    }
    let lifetime = session.get("cookieConfig").and_then(|config| config.get("lifetimeType"));
    if let Some(lifetime) = lifetime.filter(|lifetime| lifetime.text() == Some("Permanent") && absolute.is_none()) {
        report.value(&lifetime, "a permanent cookie has an end", Some("add `absoluteTimeout` to `sessionPersistence`".to_owned()));
    }
}

/// RFC 6265 section 4.1.1: a token.
fn check_name(name: &Cursor<'_>, report: &mut Report<'_>) {
    let Some(text) = name.text().filter(|text| !text.is_empty()) else { return };
    if http::HeaderName::from_bytes(text.as_bytes()).is_err() {
        let hint = "expected letters, digits, `-` and `_`".to_owned();
        report.value(name, format!("`{}` is not a name of a cookie", shown(text)), Some(hint));
    }
}
