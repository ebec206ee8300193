//! `RequestMirror` -> a backend, and the share of requests that it gets.

use super::Scope;
use crate::api::v1;
use crate::compile::{Error, error, find};
use crate::route::Mirror;

pub(super) fn compile(written: &v1::RequestMirror, field: &str, scope: Scope<'_>) -> Result<Mirror, Error> {
    let backend = http_backend(&written.backend_ref, field, scope)?;
    let (numerator, denominator) = match (&written.percent, &written.fraction) {
        (Some(_), Some(_)) => return Err(error(field, "`percent` and `fraction` exclude each other")),
        (Some(percent), None) => (*percent, 100),
        (None, Some(fraction)) => (fraction.numerator, fraction.denominator),
        (None, None) => (1, 1),
    };
    if denominator == 0 || numerator > denominator {
        return Err(error(field, "more than all requests can't be mirrored"));
    }
    Ok(Mirror { backend, numerator, denominator })
}

/// A backend that speaks HTTP.
pub(super) fn http_backend(name: &crate::names::SectionName, field: &str, scope: Scope<'_>) -> Result<usize, Error> {
    let index = find(scope.names, name, field)?;
    match scope.resolved.app.spec.backends.get(index) {
        Some(backend) if backend.http.is_some() => Ok(index),
        _ => Err(error(field, format!("backend `{name}` does not speak HTTP"))),
    }
}
