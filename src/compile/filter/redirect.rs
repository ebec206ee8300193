//! `RequestRedirect`, `URLRewrite` -> the parts of a URL that are replaced.

use http::{HeaderValue, StatusCode};

use crate::api::v1::{self, PathModifierType};
use crate::compile::{Error, error};
use crate::route::{PathEdit, Redirect, Rewrite};

pub(super) fn redirect(written: &v1::RequestRedirect, field: &str) -> Result<Redirect, Error> {
    Ok(Redirect {
        scheme: written.scheme.as_deref().map(Into::into),
        hostname: written.hostname.as_deref().map(Into::into),
        port: written.port.map(std::num::NonZeroU16::get),
        path: written.path.as_ref().map(|path| path_edit(path, field)).transpose()?,
        status: StatusCode::from_u16(written.status_code).map_err(|_| error(field, "not a status code"))?,
    })
}

pub(super) fn rewrite(written: &v1::UrlRewrite, field: &str) -> Result<Rewrite, Error> {
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
