//! `rules[].matches`: paths that a request can have, expressions that compile.
//!
//! In: a match's tree. Out: entries of a [`Report`]. Never: a path that the normaliser would change, and so never finds.

use super::{texts, unique};
use crate::manifest::formats;
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;
use crate::names::shown;
use crate::route;

/// What usually repairs an expression.
const LITERALLY: &str = "a `\\` before one of `.+*?()[]{}|^$` takes it literally";

/// One entry of `matches`.
pub(super) fn check(route_match: &Cursor<'_>, report: &mut Report<'_>) {
    if let Some(path) = route_match.get("path") {
        check_path(&path, report);
    }
    let (headers, parameters) = (route_match.items_of("headers"), route_match.items_of("queryParams"));
    // The Gateway API would have the first of several count, and the others ignored in silence.
    unique(texts(&headers, "name").into_iter().map(|(name, at)| (name.to_ascii_lowercase(), at)), "header", report);
    unique(texts(&parameters, "name"), "query parameter", report);
    for header in headers {
        check_value(&header, report);
        if let Some(name) = header.get("name") {
            complain("header-name", &name, report);
        }
        if let Some(value) = header.get("value").filter(|_| !is_expression(&header)) {
            complain("header-value", &value, report);
        }
    }
    for parameter in parameters {
        check_value(&parameter, report);
    }
}

/// Whether its path is compared as a prefix, which is also the default.
pub(super) fn is_prefix(route_match: &Cursor<'_>) -> bool {
    let type_ = route_match.get("path").and_then(|path| path.text_of("type"));
    !matches!(type_, Some("Exact" | "RegularExpression"))
}

fn check_path(path: &Cursor<'_>, report: &mut Report<'_>) {
    match (path.text_of("type"), path.get("value")) {
        (Some("RegularExpression"), Some(value)) => check_expression(&value, report),
        (Some("Exact" | "PathPrefix") | None, Some(value)) => complain("request-path", &value, report),
        (Some("Exact" | "RegularExpression"), None) => {
            report.lacks(path, "missing field `value`", Some("it is optional for type `PathPrefix` only".to_owned()));
        }
        _ => {}
    }
}

fn check_value(matched: &Cursor<'_>, report: &mut Report<'_>) {
    if let Some(value) = matched.get("value").filter(|_| is_expression(matched)) {
        check_expression(&value, report);
    }
}

fn is_expression(matched: &Cursor<'_>) -> bool {
    matched.text_of("type") == Some("RegularExpression")
}

fn check_expression(value: &Cursor<'_>, report: &mut Report<'_>) {
    let Some(Err(error)) = value.text().map(route::anchored) else { return };
    let (reason, hint) = match error {
        regex::Error::CompiledTooBig(_) => ("it is too large when compiled".to_owned(), "use smaller repetitions"),
        // The last line of several: those before it draw the place.
        other => {
            let reason =
                other.to_string().lines().next_back().map(|line| line.trim_start_matches("error: ").to_owned()).unwrap_or_default();
            let hint = if reason.contains("not supported") { "write the expression without it" } else { LITERALLY };
            (reason, hint)
        }
    };
    let message = format!("`{}` is not a regular expression: {reason}", shown(value.text().unwrap_or_default()));
    report.value(value, message, Some(hint.to_owned()));
}

/// Reports what a format's parser says about a text.
fn complain(format: &str, at: &Cursor<'_>, report: &mut Report<'_>) {
    let Some(sentence) = at.text().and_then(|text| formats::complaint(format, text)) else { return };
    match sentence.split_once("; ") {
        Some((message, hint)) => report.value(at, message.to_owned(), Some(hint.to_owned())),
        None => report.value(at, sentence, None),
    }
}
