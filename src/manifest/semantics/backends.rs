//! `spec.backends`: one protocol, one address; and the names that rules refer to.
//!
//! In: a backend's tree, or all of them. Out: entries of a [`Report`]; [`Backends`]. Never: a connection.

use super::{answers, balance, endpoints, no_longer_than};
use crate::manifest::nearest;
use crate::manifest::node::{Cursor, Data};
use crate::manifest::report::Report;
use crate::names::shown;

const PROTOCOLS: [&str; 2] = ["http", "fastcgi"];
const ADDRESSES: [&str; 4] = ["unix", "tcp", "port", "endpoints"];

/// The backends of an App, by name.
#[derive(Debug)]
pub(super) struct Backends<'a>(Vec<(&'a str, Cursor<'a>)>);

impl<'a> Backends<'a> {
    pub(super) fn of(list: &[Cursor<'a>]) -> Self {
        Self(list.iter().filter_map(|backend| Some((backend.text_of("name")?, backend.clone()))).collect())
    }

    /// The backend that `reference` names; reports it if there is none.
    pub(super) fn find(&self, reference: &Cursor<'_>, report: &mut Report<'_>) -> Option<&Cursor<'a>> {
        let name = reference.text()?;
        let found = self.0.iter().find(|(known, _)| *known == name).map(|(_, backend)| backend);
        if found.is_none() {
            let known: Vec<&str> = self.0.iter().map(|(known, _)| *known).collect();
            let hint = nearest::hint(name, &known, "known backends");
            let hint = hint.unwrap_or_else(|| "`spec.backends` has none".to_owned());
            report.value(reference, format!("there is no backend `{}`", shown(name)), Some(hint));
        }
        found
    }
}

/// One backend.
pub(super) fn check(backend: &Cursor<'_>, report: &mut Report<'_>) {
    if !backend.is_map() {
        return;
    }
    let protocols: Vec<_> = PROTOCOLS.iter().filter_map(|name| backend.get(name)).collect();
    if protocols.is_empty() {
        report.lacks(backend, "the backend has no protocol", Some("add `http` or `fastcgi`".to_owned()));
    }
    for second in protocols.iter().skip(1) {
        report.key(second, "the backend has two protocols", Some("keep one of `http` and `fastcgi`".to_owned()));
    }
    for protocol in protocols.iter().filter(|protocol| protocol.is_map()) {
        check_address(protocol, report);
    }
    answers::check_internal_files(&backend.items_of("internalFiles"), report);
    balance::check(backend, report);
    if let Some(hold) = backend.get("hold") {
        no_longer_than("10m", &hold, report);
    }
    if let Some(tls) = backend.get("http").and_then(|http| http.get("tls")) {
        report.unsupported(&tls, Some("reach the backend without TLS".to_owned()));
    }
}

fn check_address(protocol: &Cursor<'_>, report: &mut Report<'_>) {
    let endpoints = protocol.get("endpoints");
    let no_endpoints = endpoints.as_ref().is_some_and(|list| matches!(&list.node.data, Data::List(items) if items.is_empty()));
    let addresses: Vec<_> = ADDRESSES.iter().filter_map(|name| protocol.get(name)).collect();
    if addresses.is_empty() || (addresses.len() == 1 && no_endpoints) {
        report.lacks(protocol, "the backend has no address", Some("add one of `unix`, `tcp` and `port`".to_owned()));
        return;
    }
    if let [first, more @ ..] = addresses.as_slice() {
        for second in more {
            let message = format!("the backend has two addresses, `{}` and `{}`", first.name(), second.name());
            report.key(second, message, Some("keep one of them".to_owned()));
        }
    }
    endpoints::check(protocol, report);
}
