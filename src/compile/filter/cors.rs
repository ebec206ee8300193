//! `CORS` -> origins that were parsed, and values of fields that were joined.

use http::HeaderValue;

use crate::api::v1;
use crate::compile::{Error, error, header_value};
use crate::route::{Allowed, Cors, Origins};

/// Seconds that a preflight answer may be kept (Gateway API).
const MAX_AGE: u32 = 5;

pub(super) fn compile(written: &v1::Cors, field: &str) -> Result<Cors, Error> {
    let origins = if written.allow_origins.iter().any(|origin| origin == "*") {
        Origins::Any
    } else {
        let parsed = written.allow_origins.iter().map(|text| text.parse().map_err(|cause| error(field, format!("{cause}"))));
        Origins::Of(parsed.collect::<Result<_, Error>>()?)
    };
    let exposed = (!written.expose_headers.is_empty()).then(|| joined(&written.expose_headers, field));
    Ok(Cors {
        origins,
        credentials: written.allow_credentials,
        methods: allowed(&written.allow_methods, field)?,
        headers: allowed(&written.allow_headers, field)?,
        exposed: exposed.transpose()?,
        max_age: HeaderValue::from(written.max_age.unwrap_or(MAX_AGE)),
    })
}

fn allowed(list: &[String], field: &str) -> Result<Allowed, Error> {
    Ok(match list {
        [] => Allowed::Nothing,
        list if list.iter().any(|name| name == "*") => Allowed::Asked,
        list => Allowed::These(joined(list, field)?),
    })
}

fn joined(list: &[String], field: &str) -> Result<HeaderValue, Error> {
    header_value(&list.join(", "), field)
}
