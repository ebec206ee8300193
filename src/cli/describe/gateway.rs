//! A Gateway -> its sheet.

use std::path::Path;
use std::time::SystemTime;

use super::super::get::columns::{first_failure, first_line, status};
use super::super::table::Cell;
use super::sheet::Sheet;
use super::{begin, conditions, errors, origin, problem};
use crate::api::v1::{ConditionType, GatewayResource, ListenerStatus};

/// All that is known of a Gateway but its events.
pub(super) fn sheet(gateway: &GatewayResource, manifests: Option<&Path>, now: SystemTime) -> Sheet {
    let status = &gateway.status;
    let mut sheet = begin(&gateway.metadata.name, &problem::of_gateway(gateway, manifests));
    origin(&mut sheet, &gateway.metadata, &status.file, status.served_generation, now);
    if let Some(spec) = &gateway.spec {
        sheet.values("Trusted Proxies", &spec.trusted_proxies);
    }
    let rows = status.listeners.iter().map(|listener| row(gateway, listener));
    sheet.table("Listeners", &["Name", "Address", "Protocol", "Hostname", "Apps", "Accepted", "Programmed", "Message"], rows.collect());
    conditions(&mut sheet, &status.conditions, now);
    errors(&mut sheet, &status.errors);
    sheet
}

fn row(gateway: &GatewayResource, listener: &ListenerStatus) -> Vec<Cell> {
    let written = gateway.spec.iter().flat_map(|spec| &spec.listeners).find(|written| written.name.as_str() == listener.name);
    let protocol = written.map(|written| format!("{:?}", written.protocol).to_uppercase()).unwrap_or_default();
    let hostname = written.map(|written| written.hostname.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string));
    let failure = first_failure(listener, &[ConditionType::Accepted, ConditionType::Programmed]);
    vec![
        listener.name.clone().into(),
        listener.address.clone().into(),
        protocol.into(),
        hostname.unwrap_or_default().into(),
        listener.attached_apps.to_string().into(),
        status(listener, ConditionType::Accepted),
        status(listener, ConditionType::Programmed),
        failure.map(first_line).unwrap_or_default().into(),
    ]
}
