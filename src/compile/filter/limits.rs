//! `IPAccess`, `RateLimit`, `MaxConnections` -> who may ask, how often, and how many at once.

use std::sync::Arc;

use super::Scope;
use crate::api::v1;
use crate::compile::{Error, error};
use crate::names::Networks;
use crate::route::{CompiledApp, Filter, IpAccess, MaxConnections, RateLimit, Slots};

pub(super) fn access(written: &v1::IpAccess, field: &str) -> Result<IpAccess, Error> {
    let networks = |texts: &[String]| Networks::parse(texts).map_err(|cause| error(field, cause.to_string()));
    let allow = (!written.allow.is_empty()).then(|| networks(&written.allow)).transpose()?;
    Ok(IpAccess { allow, deny: networks(&written.deny)? })
}

/// With what the filter in its place knew of clients, if it had the same settings.
pub(super) fn rate(written: &v1::RateLimit, scope: Scope<'_>, field: &str) -> Result<RateLimit, Error> {
    let interval = written.interval.limit().ok_or_else(|| error(field, "the interval is zero"))?;
    let mut limit = RateLimit::new(written.requests, interval, written.burst.unwrap_or(written.requests));
    let same = scope.before.iter().find_map(|before| match before {
        Filter::RateLimit(before) if before.is_same(&limit) => Some(before.table.clone()),
        _ => None,
    });
    if let Some(table) = same {
        limit.table = table;
    }
    Ok(limit)
}

pub(super) fn connections(written: &v1::MaxConnections, scope: Scope<'_>, field: &str) -> Result<MaxConnections, Error> {
    let timeout = written.queue_timeout.limit().ok_or_else(|| error(field, "the time in the queue is zero"))?;
    Ok(MaxConnections { connections: written.connections.get(), queue: written.queue, timeout, slots: scope.slots.clone() })
}

/// The slots of an App, as its requests in flight have them.
pub(in crate::compile) fn slots(before: Option<&CompiledApp>) -> Arc<Slots> {
    let lists = before.into_iter().flat_map(|before| &before.rules).flat_map(|rule| {
        let of_shares = rule.backends.iter().map(|share| &share.filters);
        std::iter::once(&rule.filters).chain(of_shares)
    });
    let found = lists.flatten().find_map(|filter| match filter {
        Filter::MaxConnections(limit) => Some(limit.slots.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}
