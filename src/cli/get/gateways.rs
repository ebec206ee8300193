//! A Gateway -> its line: where it listens, for how many Apps, and what is in its way.

use super::super::table::since;
use super::apps::served;
use super::columns::{Column, Listed, first_failure, first_line, joined, or_none, reason, status};
use crate::api::v1::{ConditionStatus, ConditionType, Conditions, GatewayResource, ListenerStatus};

impl Listed for GatewayResource {
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "NAME", wide: false, cell: |gateway, _| gateway.metadata.name.clone().into() },
        Column { name: "READY", wide: false, cell: |gateway, _| status(&gateway.status, ConditionType::Ready) },
        Column { name: "REASON", wide: false, cell: |gateway, _| reason(&gateway.status) },
        Column { name: "ADDRESSES", wide: false, cell: |gateway, _| each(gateway, |listener| listener.address.clone()) },
        Column { name: "APPS", wide: false, cell: |gateway, _| each(gateway, |listener| listener.attached_apps.to_string()) },
        Column { name: "GENERATION", wide: false, cell: |gateway, _| gateway.metadata.generation.to_string().into() },
        Column { name: "AGE", wide: false, cell: |gateway, now| since(&gateway.metadata.creation_timestamp, now).into() },
        Column { name: "SERVED", wide: true, cell: |gateway, _| served(gateway.status.served_generation) },
        Column { name: "LISTENERS", wide: true, cell: |gateway, _| each(gateway, state) },
        Column { name: "FILE", wide: true, cell: |gateway, _| or_none(&gateway.status.file) },
        Column { name: "MESSAGE", wide: false, cell: |gateway, _| message(gateway).into() },
    ];
}

/// A value of every listener, in their order.
fn each(gateway: &GatewayResource, value: impl Fn(&ListenerStatus) -> String) -> super::super::table::Cell {
    joined(gateway.status.listeners.iter().map(value))
}

/// `http=Programmed`, or the reason why it is not.
fn state(listener: &ListenerStatus) -> String {
    let failure = first_failure(listener, &[ConditionType::Accepted, ConditionType::Programmed]);
    let state = failure.map_or_else(|| ConditionType::Programmed.to_string(), |failure| failure.reason.to_string());
    format!("{}={state}", listener.name)
}

/// Why it is not ready, else what is wrong with one of its listeners.
fn message(gateway: &GatewayResource) -> String {
    let of_gateway = first_failure(&gateway.status, &[ConditionType::Accepted, ConditionType::Programmed]);
    if let Some(failure) = of_gateway {
        return first_line(failure).to_owned();
    }
    let of_listener = gateway.status.listeners.iter().find_map(|listener| {
        let failure = first_failure(listener, &[ConditionType::Accepted, ConditionType::Programmed])?;
        Some(format!("listener {}: {}", listener.name, first_line(failure)))
    });
    let ready = || gateway.status.condition(ConditionType::Ready).filter(|ready| ready.status != ConditionStatus::True);
    of_listener.or_else(|| ready().map(|ready| first_line(ready).to_owned())).unwrap_or_default()
}
