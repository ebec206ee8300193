//! `RequestHeaderModifier`, `ResponseHeaderModifier` -> fields that are set, added, removed.

use http::HeaderName;

use crate::api::v1;
use crate::compile::{Error, error, header_value, template};
use crate::route::{FieldValue, HeaderEdit};

pub(super) fn edit(written: &v1::HeaderModifier, field: &str) -> Result<HeaderEdit, Error> {
    let fields = |headers: &[v1::Header]| -> Result<Box<[(HeaderName, FieldValue)]>, Error> {
        headers.iter().map(|header| Ok((name(&header.name, field)?, value(&header.value, field)?))).collect()
    };
    Ok(HeaderEdit {
        set: fields(&written.set)?,
        add: fields(&written.add)?,
        remove: written.remove.iter().map(|text| name(text, field)).collect::<Result<_, _>>()?,
    })
}

fn value(text: &str, field: &str) -> Result<FieldValue, Error> {
    let fixed = header_value(text, field)?;
    let filled = template(text, field)?;
    Ok(if filled.as_text().is_some() { FieldValue::Fixed(fixed) } else { FieldValue::Filled(filled) })
}

pub(super) fn name(text: &str, field: &str) -> Result<HeaderName, Error> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| error(field, format!("`{}` is not a header name", text.escape_debug())))
}
