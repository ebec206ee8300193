//! `RequestHeaderModifier`, `ResponseHeaderModifier`: set, then add, then remove.

use http::{HeaderMap, HeaderValue};

use crate::proxy::values::Values;
use crate::route::{FieldValue, HeaderEdit};

/// Changes the fields of a head.
pub(super) fn apply(edit: &HeaderEdit, headers: &mut HeaderMap, values: &Values<'_>) {
    let fill = |value: &FieldValue| match value {
        FieldValue::Fixed(value) => Some(value.clone()),
        FieldValue::Filled(template) => HeaderValue::try_from(values.fill(template)).ok(),
    };
    for (name, value) in &edit.set {
        if let Some(value) = fill(value) {
            headers.insert(name.clone(), value);
        }
    }
    for (name, value) in &edit.add {
        if let Some(value) = fill(value) {
            headers.append(name.clone(), value);
        }
    }
    for name in &edit.remove {
        headers.remove(name);
    }
}
