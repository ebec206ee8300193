//! `spec.rules`: what a rule refers to, and what its parts mean for each other.
//!
//! In: a rule's tree and the backends. Out: entries of a [`Report`]. Never: a comparison with rules of another App.

use super::backends::Backends;
use super::filters::{self, Place};
use super::{matches, no_longer_than, sessions, texts, unique};
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;
use crate::names::shown;

pub(super) fn check(rule: &Cursor<'_>, backends: &Backends<'_>, report: &mut Report<'_>) {
    let route_matches = rule.items_of("matches");
    for route_match in &route_matches {
        matches::check(route_match, report);
    }
    let prefixes_only = route_matches.iter().all(matches::is_prefix);

    let filters = rule.items_of("filters");
    filters::check(&filters, Place { in_rule: true, prefixes_only }, backends, report);
    let redirects = filters.iter().any(|filter| filter.text_of("type") == Some("RequestRedirect"));
    for field in ["backendRefs", "files"] {
        if let Some(unreached) = rule.get(field).filter(|_| redirects) {
            let message = "a rule with `RequestRedirect` answers by itself, and never comes here";
            report.key(&unreached, message, Some(format!("remove `{field}`, or the filter")));
        }
    }

    if let Some(files) = rule.get("files") {
        check_files(&files, backends, report);
    }
    for reference in rule.items_of("backendRefs") {
        if let Some(name) = reference.get("name") {
            backends.find(&name, report);
        }
        let filters = reference.items_of("filters");
        filters::check(&filters, Place { in_rule: false, prefixes_only }, backends, report);
    }
    if let Some(backoff) = rule.get("retry").and_then(|retry| retry.get("backoff")) {
        no_longer_than("1m", &backoff, report);
    }
    sessions::check(rule, report);
}

fn check_files(files: &Cursor<'_>, backends: &Backends<'_>, report: &mut Report<'_>) {
    let scripts = files.items_of("scripts");
    for candidate in files.items_of("try") {
        check_candidate(&candidate, &scripts, report);
    }
    unique(texts(&scripts, "extension"), "extension", report);
    for reference in scripts.iter().filter_map(|script| script.get("backend")) {
        let Some(backend) = backends.find(&reference, report) else { continue };
        if backend.get("http").is_some() && backend.get("fastcgi").is_none() {
            let message = format!("backend `{}` speaks `http`", shown(reference.text().unwrap_or_default()));
            report.value(&reference, message, Some("scripts need a `fastcgi` backend".to_owned()));
        }
    }
    let siblings = files.items_of("precompressed");
    unique(siblings.into_iter().filter_map(|at| Some((at.text()?.to_owned(), at))), "content coding", report);
}

fn check_candidate(candidate: &Cursor<'_>, scripts: &[Cursor<'_>], report: &mut Report<'_>) {
    let Some(text) = candidate.text() else { return };
    let script = text.split_once('?').map(|(file, _)| file);
    let is_run = |file: &&str| texts(scripts, "extension").iter().any(|(extension, _)| file.ends_with(extension.as_str()));
    if !text.starts_with('/') && !text.starts_with("{path}") {
        let message = format!("`{}` does not start with `/` or `{{path}}`", shown(text));
        report.value(
            candidate,
            message,
            Some("a candidate is a path below `root`; when none is there, the backends answer, or it is 404".to_owned()),
        );
    } else if let Some(file) = script.filter(is_run) {
        let message = format!("`{}` is the name of a file, with its `?`", shown(text));
        report.value(candidate, message, Some(format!("the script gets the query of the request; write `{}`", shown(file))));
    } else if text.split('/').any(|segment| matches!(segment, "." | "..")) || text.chars().any(char::is_control) {
        let message = format!("`{}` holds a `.` or `..` segment, or a control character", shown(text));
        report.value(candidate, message, Some("write the path without it".to_owned()));
    }
}
