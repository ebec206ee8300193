//! `IPAccess`, `RateLimit`, `MaxConnections`: whether a request may pass, now or later.

use std::sync::LazyLock;
use std::time::Instant;

use crate::metrics::HeldUp;
use crate::names::ClientKey;
use crate::proxy::forward::Forward;
use crate::proxy::rescue::Cause;
use crate::route::{IpAccess, MaxConnections, RateLimit, Turn};

/// The moment that all threads count from.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(super) fn access(access: &IpAccess, forward: &Forward<'_>) -> Result<(), Cause> {
    if access.lets_in(forward.values().peer.client.ip()) { Ok(()) } else { Err(Cause::HeldUp(HeldUp::IpAccess, None)) }
}

pub(super) fn rate(limit: &RateLimit, forward: &Forward<'_>) -> Result<(), Cause> {
    let client = ClientKey::of(forward.values().peer.client.ip());
    limit.admit(client, BEGAN.elapsed()).map_err(|wait| Cause::HeldUp(HeldUp::RateLimit, Some(wait)))
}

/// The slot is kept with the request's record, until its answer is out or its tunnel is over. A request needs no second one.
pub(super) async fn connections(limit: &MaxConnections, forward: &Forward<'_>) -> Result<(), Cause> {
    if forward.record().has_slot() {
        return Ok(());
    }
    let slot = match limit.ask() {
        Turn::Now(slot) => slot,
        Turn::Never => return Err(Cause::HeldUp(HeldUp::QueueFull, None)),
        Turn::Later(waiting) => {
            tokio::time::timeout(limit.timeout, waiting).await.map_err(|_| Cause::HeldUp(HeldUp::QueueTimeout, None))?
        }
    };
    forward.record().keep(slot);
    Ok(())
}
