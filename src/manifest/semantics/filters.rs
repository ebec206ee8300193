//! `filters` of rules and of `backendRefs`: each with its own field, in a combination that has a meaning.
//!
//! In: the trees of one list of filters. Out: entries of a [`Report`]. Never: a field that would break the framing of a message.

use super::backends::Backends;
use super::{access, answers, chosen_by_type, limits, unique};
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;
use crate::names::shown;

/// Each type and its field.
const FILTERS: [(&str, &str); 12] = [
    ("RequestHeaderModifier", "requestHeaderModifier"),
    ("ResponseHeaderModifier", "responseHeaderModifier"),
    ("RequestRedirect", "requestRedirect"),
    ("URLRewrite", "urlRewrite"),
    ("RequestMirror", "requestMirror"),
    ("CORS", "cors"),
    ("Compression", "compression"),
    ("BasicAuth", "basicAuth"),
    ("ForwardAuth", "forwardAuth"),
    ("IPAccess", "ipAccess"),
    ("RateLimit", "rateLimit"),
    ("MaxConnections", "maxConnections"),
];
const PATH_MODIFIERS: [(&str, &str); 2] = [("ReplaceFullPath", "replaceFullPath"), ("ReplacePrefixMatch", "replacePrefixMatch")];
/// Fields that say where a message ends or how the connection goes on: lxcproxy writes them itself (RFC 9110 section 7.6.1).
pub(super) const FRAMING: [&str; 8] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Where a list of filters stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// In a rule; else in one of its `backendRefs`.
    pub in_rule: bool,
    /// Every match of the rule is a prefix, so that there is a prefix to replace.
    pub prefixes_only: bool,
}

/// One list of filters.
pub(super) fn check(filters: &[Cursor<'_>], place: Place, backends: &Backends<'_>, report: &mut Report<'_>) {
    // A request may be copied to several backends (Gateway API).
    let once = filters.iter().filter(|filter| filter.text_of("type") != Some("RequestMirror"));
    let typed = once.filter_map(|filter| Some((filter.text_of("type")?, filter.get("type")?)));
    unique(typed.map(|(name, at)| (name.to_owned(), at)), "filter", report);
    let of_type =
        |wanted: &str| filters.iter().filter(|filter| filter.text_of("type") == Some(wanted)).find_map(|filter| filter.get("type"));
    if let (Some(_), Some(rewrite)) = (of_type("RequestRedirect"), of_type("URLRewrite")) {
        let hint = "the client is sent elsewhere, nothing is left to rewrite".to_owned();
        report.value(&rewrite, "`URLRewrite` and `RequestRedirect` exclude each other", Some(hint));
    }
    access::check_order(filters, report);
    for filter in filters {
        check_one(filter, place, backends, report);
    }
}

fn check_one(filter: &Cursor<'_>, place: Place, backends: &Backends<'_>, report: &mut Report<'_>) {
    access::check(filter, place.in_rule, backends, report);
    chosen_by_type(filter, &FILTERS, report);
    for (field, request) in [("requestHeaderModifier", true), ("responseHeaderModifier", false)] {
        if let Some(modifier) = filter.get(field) {
            check_headers(&modifier, request, report);
        }
    }
    limits::check(filter, report);
    if let Some(redirect) = filter.get("requestRedirect") {
        let fields = ["scheme", "hostname", "path", "port", "statusCode"];
        changes_something(&redirect, &fields, "the redirect says nothing", report);
        check_path_modifier(&redirect, place, report);
    }
    if let Some(compression) = filter.get("compression") {
        answers::check_compression(&compression, report);
    }
    if let Some(rewrite) = filter.get("urlRewrite") {
        changes_something(&rewrite, &["hostname", "path"], "the filter changes nothing", report);
        check_path_modifier(&rewrite, place, report);
    }
}

fn check_path_modifier(parent: &Cursor<'_>, place: Place, report: &mut Report<'_>) {
    let Some(modifier) = parent.get("path") else { return };
    chosen_by_type(&modifier, &PATH_MODIFIERS, report);
    if let Some(type_) = modifier.get("type").filter(|type_| type_.text() == Some("ReplacePrefixMatch") && !place.prefixes_only) {
        let hint = "every match of the rule has to be of type `PathPrefix`".to_owned();
        report.value(&type_, "`ReplacePrefixMatch` has no prefix to replace", Some(hint));
    }
}

fn check_headers(modifier: &Cursor<'_>, request: bool, report: &mut Report<'_>) {
    changes_something(modifier, &["set", "add", "remove"], "the filter changes nothing", report);
    let named = |field: &str| modifier.items_of(field).into_iter().filter_map(|header| header.get("name")).collect::<Vec<_>>();
    let (set, add, remove) = (named("set"), named("add"), modifier.items_of("remove"));
    let folded = |name: &Cursor<'_>| name.text().map(str::to_ascii_lowercase);
    unique(set.iter().filter_map(|name| Some((folded(name)?, name.clone()))), "header", report);
    for name in set.iter().chain(&add).chain(&remove) {
        let Some(text) = folded(name) else { continue };
        if FRAMING.contains(&text.as_str()) {
            let hint = Some("it is part of how the message is sent".to_owned());
            report.value(name, format!("`{}` is written by lxcproxy itself", shown(&text)), hint);
        } else if request && text == "host" {
            let hint = Some("use `URLRewrite` with `hostname`, or `http.host` of the backend".to_owned());
            report.value(name, "`host` is not changed as a header", hint);
        }
    }
}

/// At least one of `fields` is there, and is no empty list.
pub(super) fn changes_something(at: &Cursor<'_>, fields: &[&str], message: &str, report: &mut Report<'_>) {
    let is_empty = |field: &Cursor<'_>| field.node.to_value().as_array().is_some_and(Vec::is_empty);
    if at.is_map() && !fields.iter().filter_map(|field| at.get(field)).any(|field| !is_empty(&field)) {
        let list = fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
        let one_of = if fields.len() == 1 { "" } else { "one of " };
        report.lacks(at, message, Some(format!("set {one_of}{list}")));
    }
}
