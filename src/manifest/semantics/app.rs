//! `spec` of an App: the container, and names that have to differ.
//!
//! In: the tree of `spec`. Out: entries of a [`Report`]. Never: a look at whether the container is there.

use super::backends::{self, Backends};
use super::{answers, limits, rules, texts, unique};
use crate::manifest::node::Cursor;
use crate::manifest::report::Report;
use crate::names::HostPattern;

pub(super) fn check(spec: &Cursor<'_>, report: &mut Report<'_>) {
    if let Some(container) = spec.get("container") {
        check_container(&container, report);
    }
    let parents = spec.items_of("parentRefs");
    unique(parents.into_iter().filter_map(|parent| Some((parent_key(&parent)?, parent))), "parent", report);
    let hosts = spec.items_of("hostnames");
    let canonical = |host: &Cursor<'_>| Some(host.text()?.parse::<HostPattern>().ok()?.to_string());
    unique(hosts.into_iter().filter_map(|host| Some((canonical(&host)?, host))), "hostname", report);

    let list = spec.items_of("backends");
    unique(texts(&list, "name"), "backend", report);
    for backend in &list {
        backends::check(backend, report);
    }

    answers::check_error_pages(&spec.items_of("errorPages"), report);

    let rules = spec.items_of("rules");
    unique(texts(&rules, "name"), "rule", report);
    let known = Backends::of(&list);
    for rule in &rules {
        rules::check(rule, &known, report);
    }
    limits::same_in_all(&rules, report);
}

/// What tells two parents apart: Gateway, listener, port.
fn parent_key(parent: &Cursor<'_>) -> Option<String> {
    let mut key = parent.text_of("name")?.to_owned();
    for (mark, field) in [('/', "sectionName"), (':', "port")] {
        if let Some(part) = parent.get(field) {
            key.push(mark);
            key.push_str(&part.node.to_value().to_string().replace('"', ""));
        }
    }
    Some(key)
}

fn check_container(container: &Cursor<'_>, report: &mut Report<'_>) {
    if !container.is_map() {
        return;
    }
    let named = container.text_of("runtime").unwrap_or("Auto");
    if let Some(file) = container.get("pidFile") {
        return check_pid_file(container, &file, report);
    }
    if named == "Directory" {
        if container.get("rootfs").is_none() {
            report.lacks(
                container,
                "missing field `rootfs`".to_owned(),
                Some("runtime `Directory` needs it: a path of the host".to_owned()),
            );
        }
        if let Some(path) = container.get("path") {
            let hint = "the directory itself is `rootfs`".to_owned();
            report.key(&path, "`path` has no meaning for runtime `Directory`", Some(hint));
        }
        return;
    }
    if let Some(rootfs) = container.get("rootfs") {
        let hint = "add `runtime: Directory`, or leave `rootfs` out".to_owned();
        report.key(&rootfs, "`rootfs` is for runtime `Directory`, and beside a `pidFile`", Some(hint));
    } else if container.get("name").is_none() {
        let hint = "the container's name, as its runtime knows it; or `pidFile`, a file with the pid of its init".to_owned();
        report.lacks(container, "missing field `name`", Some(hint));
    }
    if let Some(path) = container.get("path")
        && path.text().is_some_and(|text| !text.starts_with('/'))
    {
        report.value(&path, "the path is not absolute", Some("start it with `/`".to_owned()));
    }
}

/// A container by the pid of its init: no runtime is asked.
fn check_pid_file(container: &Cursor<'_>, file: &Cursor<'_>, report: &mut Report<'_>) {
    if let Some(runtime) = container.get("runtime").filter(|runtime| runtime.text().is_some_and(|named| named != "Auto")) {
        let hint = "leave one of the two out".to_owned();
        report.key(&runtime, "a container with a `pidFile` has no runtime that could be asked", Some(hint));
    }
    if let Some(path) = container.get("path") {
        let hint = "its root on disk, if it has one, is `rootfs`".to_owned();
        report.key(&path, "`path` has no meaning beside a `pidFile`", Some(hint));
    }
    if file.text().is_some_and(|text| text.ends_with('/')) {
        report.value(file, "the path is a directory's", Some("name the file that holds the pid".to_owned()));
    }
}
