//! A backend -> a line for each of its endpoints: whether it gets requests, and how it does with them.

use std::rc::Rc;
use std::time::SystemTime;

use super::super::table::{Cell, Tone, since};
use super::columns::{Column, NONE};
use crate::api::v1::{BackendResource, CheckStatus, EndpointState, EndpointStatus};

/// One endpoint of a backend.
pub(super) struct Line {
    backend: Rc<BackendResource>,
    endpoint: EndpointStatus,
}

/// The columns, from left to right.
pub(super) const COLUMNS: &[Column<Line>] = &[
    Column { name: "NAME", wide: false, cell: |line, _| line.backend.metadata.name.clone().into() },
    Column { name: "PROTOCOL", wide: false, cell: |line, _| line.of_spec(|spec| spec.protocol.clone()).into() },
    Column { name: "ENDPOINT", wide: false, cell: |line, _| line.endpoint.name.clone().into() },
    Column { name: "STATE", wide: false, cell: |line, _| state(line.endpoint.state) },
    Column { name: "IN-FLIGHT", wide: false, cell: |line, _| or_dash(line.endpoint.in_flight.map(|count| count.to_string())) },
    Column { name: "ERRORS", wide: false, cell: |line, _| line.endpoint.consecutive_errors.to_string().into() },
    Column { name: "BALANCING", wide: true, cell: |line, _| line.of_spec(|spec| format!("{:?}", spec.load_balancer)).into() },
    Column { name: "EJECTED FOR", wide: true, cell: |line, now| or_dash(ejected_for(&line.endpoint, now)) },
    Column { name: "LAST CHECK", wide: true, cell: |line, _| line.endpoint.last_check.as_ref().map_or_else(|| "-".into(), check) },
    Column {
        name: "CHECKED",
        wide: true,
        cell: |line, now| or_dash(line.endpoint.last_check.as_ref().map(|check| since(&check.time, now))),
    },
];

/// The lines of a backend.
pub(super) fn lines(mut backend: BackendResource) -> impl Iterator<Item = Line> {
    let endpoints = std::mem::take(&mut backend.status.endpoints);
    let backend = Rc::new(backend);
    endpoints.into_iter().map(move |endpoint| Line { backend: backend.clone(), endpoint })
}

impl Line {
    fn of_spec(&self, value: impl Fn(&crate::api::v1::BackendSpec) -> String) -> String {
        self.backend.spec.as_ref().map_or_else(|| NONE.to_owned(), value)
    }
}

/// Whether it gets requests: good if it does.
pub(in super::super) fn state(state: EndpointState) -> Cell {
    let tone = match state {
        EndpointState::Ready => Tone::Good,
        EndpointState::Ejected => Tone::Unsure,
        EndpointState::Unhealthy | EndpointState::Unavailable => Tone::Bad,
    };
    Cell::toned(format!("{state:?}"), tone)
}

/// What the last check found.
pub(in super::super) fn check(check: &CheckStatus) -> Cell {
    Cell::toned(check.message.clone(), if check.passed { Tone::Good } else { Tone::Bad })
}

fn ejected_for(endpoint: &EndpointStatus, now: SystemTime) -> Option<String> {
    let until = humantime::parse_rfc3339(endpoint.ejected_until.as_ref()?).ok()?;
    Some(super::super::table::age(until.duration_since(now).unwrap_or_default()))
}

/// A text, or a dash for what there is none of.
fn or_dash(text: Option<String>) -> Cell {
    text.unwrap_or_else(|| "-".to_owned()).into()
}
