//! `filters` -> changes to requests and responses.

use http::{HeaderName, HeaderValue, StatusCode};

use super::{Error, error, header_value, template};
use crate::api::v1::{self, FilterType, PathModifierType};
use crate::route::{Filter, HeaderEdit, PathEdit, Redirect, Rewrite, Template};

pub(super) fn compile(written: &[v1::Filter], field: &str) -> Result<Vec<Filter>, Error> {
    written.iter().map(|filter| compile_one(filter, field)).collect()
}

fn compile_one(written: &v1::Filter, field: &str) -> Result<Filter, Error> {
    let absent = || error(field, format!("filter {:?} lacks its field", written.type_));
    match written.type_ {
        FilterType::RequestHeaderModifier => {
            edit(written.request_header_modifier.as_ref().ok_or_else(absent)?, field).map(Filter::RequestHeaders)
        }
        FilterType::ResponseHeaderModifier => {
            edit(written.response_header_modifier.as_ref().ok_or_else(absent)?, field).map(Filter::ResponseHeaders)
        }
        FilterType::RequestRedirect => redirect(written.request_redirect.as_ref().ok_or_else(absent)?, field).map(Filter::Redirect),
        FilterType::UrlRewrite => rewrite(written.url_rewrite.as_ref().ok_or_else(absent)?, field).map(Filter::Rewrite),
        FilterType::RequestMirror | FilterType::Cors => {
            Err(error(field, format!("filter {:?} is not supported by this version", written.type_)))
        }
    }
}

fn edit(written: &v1::HeaderModifier, field: &str) -> Result<HeaderEdit, Error> {
    let fields = |headers: &[v1::Header]| -> Result<Vec<(HeaderName, Template)>, Error> {
        headers
            .iter()
            .map(|header| {
                header_value(&header.value, field)?;
                Ok((name(&header.name, field)?, template(&header.value, field)?))
            })
            .collect()
    };
    Ok(HeaderEdit {
        set: fields(&written.set)?,
        add: fields(&written.add)?,
        remove: written.remove.iter().map(|text| name(text, field)).collect::<Result<_, _>>()?,
    })
}

fn redirect(written: &v1::RequestRedirect, field: &str) -> Result<Redirect, Error> {
    Ok(Redirect {
        scheme: written.scheme.as_deref().map(Into::into),
        hostname: written.hostname.as_deref().map(Into::into),
        port: written.port.map(std::num::NonZeroU16::get),
        path: written.path.as_ref().map(|path| path_edit(path, field)).transpose()?,
        status: StatusCode::from_u16(written.status_code).map_err(|_| error(field, "not a status code"))?,
    })
}

fn rewrite(written: &v1::UrlRewrite, field: &str) -> Result<Rewrite, Error> {
    Ok(Rewrite {
        hostname: written.hostname.as_deref().map(HeaderValue::from_str).transpose().map_err(|_| error(field, "not a hostname"))?,
        path: written.path.as_ref().map(|path| path_edit(path, field)).transpose()?,
    })
}

fn path_edit(written: &v1::PathModifier, field: &str) -> Result<PathEdit, Error> {
    let absent = || error(field, format!("path modifier {:?} lacks its field", written.type_));
    Ok(match written.type_ {
        PathModifierType::ReplaceFullPath => PathEdit::Full(written.replace_full_path.as_deref().ok_or_else(absent)?.into()),
        PathModifierType::ReplacePrefixMatch => PathEdit::Prefix(written.replace_prefix_match.as_deref().ok_or_else(absent)?.into()),
    })
}

fn name(text: &str, field: &str) -> Result<HeaderName, Error> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| error(field, format!("`{}` is not a header name", text.escape_debug())))
}
