//! The filters `RequestMirror`, `CORS`, `BasicAuth`, `ForwardAuth`: what their fields mean together.
//!
//! In: the tree of a filter. Out: entries of a [`Report`]. Never: a filter that seems to protect, and does not.

use super::backends::Backends;
use super::filters::{FRAMING, changes_something};
use crate::manifest::formats;
use crate::manifest::node::{Cursor, Data};
use crate::manifest::report::Report;
use crate::names::shown;

/// What stands in a list: a preflight has neither name nor password, and never comes past a filter that asks for them (Fetch standard).
pub(super) fn check_order(filters: &[Cursor<'_>], report: &mut Report<'_>) {
    let mut asks = None;
    for type_ in filters.iter().filter_map(|filter| filter.get("type")) {
        match (type_.text(), asks) {
            (Some(name @ ("BasicAuth" | "ForwardAuth")), _) => asks = Some(name),
            (Some("CORS"), Some(before)) => {
                let message = format!("`CORS` comes after `{before}`, which answers preflights: browsers send them without credentials");
                report.value(&type_, message, Some("list `CORS` first".to_owned()));
            }
            _ => {}
        }
    }
}

/// One filter.
pub(super) fn check(filter: &Cursor<'_>, in_rule: bool, backends: &Backends<'_>, report: &mut Report<'_>) {
    if let Some(mirror) = filter.get("requestMirror") {
        speaks_http(&mirror, backends, "copies of requests go to", report);
        check_share(&mirror, report);
    }
    if let Some(cors) = filter.get("cors") {
        check_cors(&cors, report);
    }
    if let Some(auth) = filter.get("basicAuth") {
        check_file(&auth, report);
    }
    if let Some(auth) = filter.get("forwardAuth") {
        speaks_http(&auth, backends, "questions go to", report);
        for name in auth.items_of("allowedHeaders").iter().chain(&auth.items_of("allowedResponseHeaders")) {
            check_name(name, report);
        }
    }
    if let Some(type_) = filter.get("type").filter(|_| !in_rule) {
        check_place(&type_, report);
    }
}

/// The own filters judge or change a request as a whole, before files and scripts are looked for; those of the Gateway API may stand in
/// `backendRefs` as well.
fn check_place(type_: &Cursor<'_>, report: &mut Report<'_>) {
    let message = match type_.text() {
        Some(name @ ("BasicAuth" | "ForwardAuth" | "IPAccess")) => {
            format!("`{name}` of a backend would leave the rule's files and scripts open")
        }
        Some(name @ ("RateLimit" | "MaxConnections" | "Compression")) => format!("`{name}` is not a filter of a backend"),
        _ => return,
    };
    report.value(type_, message, Some("move it to the rule".to_owned()));
}

fn speaks_http(filter: &Cursor<'_>, backends: &Backends<'_>, what: &str, report: &mut Report<'_>) {
    let Some(reference) = filter.get("backendRef") else { return };
    let Some(backend) = backends.find(&reference, report) else { return };
    if backend.get("fastcgi").is_some() && backend.get("http").is_none() {
        let message = format!("backend `{}` speaks `fastcgi`", shown(reference.text().unwrap_or_default()));
        report.value(&reference, message, Some(format!("{what} an `http` backend")));
    }
}

fn check_share(mirror: &Cursor<'_>, report: &mut Report<'_>) {
    let Some(fraction) = mirror.get("fraction") else { return };
    if mirror.get("percent").is_some() {
        report.key(&fraction, "`percent` and `fraction` exclude each other", Some("keep one of them".to_owned()));
    }
    let number = |name: &str| fraction.get(name).and_then(|number| number.node.to_value().as_u64());
    let denominator = number("denominator").unwrap_or(100);
    if let Some(numerator) = fraction.get("numerator").filter(|_| number("numerator").is_some_and(|numerator| numerator > denominator)) {
        report.value(&numerator, format!("is more than the whole, {denominator}"), Some("no request is copied twice".to_owned()));
    }
}

fn check_cors(cors: &Cursor<'_>, report: &mut Report<'_>) {
    changes_something(cors, &["allowOrigins"], "no origin may ask", report);
    for field in ["allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders"] {
        let items = cors.items_of(field);
        if let Some(star) = items.iter().find(|item| item.text() == Some("*")).filter(|_| items.len() > 1) {
            report.value(star, "`*` stands for all: nothing else can be in the list", Some("leave the others out".to_owned()));
        }
    }
    let credentials = cors.get("allowCredentials").is_some_and(|field| matches!(field.node.data, Data::Bool(true)));
    if let Some(star) = cors.items_of("exposeHeaders").into_iter().find(|item| credentials && item.text() == Some("*")) {
        let message = "browsers take `*` for a name where credentials are allowed";
        report.value(&star, message, Some("list the fields".to_owned()));
    }
}

/// Exactly one of `file` and `hostFile`; the latter from the root of the host.
fn check_file(auth: &Cursor<'_>, report: &mut Report<'_>) {
    match (auth.get("file"), auth.get("hostFile")) {
        (None, None) if auth.is_map() => {
            report.lacks(auth, "no file with passwords is named", Some("set `file`, or `hostFile`".to_owned()));
        }
        (Some(_), Some(host)) => report.key(&host, "`file` and `hostFile` exclude each other", Some("keep one of them".to_owned())),
        (None, Some(host)) if host.text().is_some_and(|text| formats::complaint("container-path", text).is_some()) => {
            let message = "is not an absolute path without `.` and `..` segments";
            report.value(&host, message, Some("write it as `/etc/lxcproxy/users.htpasswd`".to_owned()));
        }
        _ => {}
    }
}

fn check_name(name: &Cursor<'_>, report: &mut Report<'_>) {
    let Some(text) = name.text().map(str::to_ascii_lowercase) else { return };
    if FRAMING.contains(&text.as_str()) || text == "host" {
        report.value(name, format!("`{}` is written by lxcproxy itself", shown(&text)), Some("leave it out".to_owned()));
    }
}
